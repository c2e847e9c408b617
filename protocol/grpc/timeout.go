package grpc

import (
	"time"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// A client that gives up at its deadline sends the same RST_STREAM as one that was told to cancel. Its clock began when it made
// the header, a little before the bytes moved; what it sent was rounded; and timers fire late. So a call that is broken off
// by then, less a tenth of the timeout but at most slack, has reached its deadline.
const (
	slack     = 50 * time.Millisecond
	leastGap  = 2 * time.Millisecond
	slackPart = 10
)

func tolerance(timeout time.Duration) time.Duration {
	return min(max(timeout/slackPart, leastGap), slack)
}

// timeoutOf reads the timeout of a request.
func timeoutOf(h *semantics.Header) deadline {
	if v := h.Own(fieldTimeout); v != nil {
		after, _ := parseTimeout(v)
		return deadline{after: after}
	}
	d := deadline{unclear: h.Unresolved}
	loose, _ := h.Loose()
	for _, l := range loose {
		if after, ok := parseTimeout(l.Value); ok {
			if d.likely {
				return deadline{unclear: true} // which of them is not known
			}
			d.after, d.likely = after, true
		}
	}
	return d
}

// parseTimeout reads a TimeoutValue with its TimeoutUnit: at most eight digits and a letter.
func parseTimeout(s []byte) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	var n time.Duration
	for _, b := range s[:len(s)-1] {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + time.Duration(b-'0')
	}
	unit := time.Duration(0)
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	return min(n, 1<<62/unit) * unit, true // the longest that fits is more than a hundred years
}

// cancelled is the code of a call that was broken off, by either end, after it took so long.
func (d deadline) cancelled(took time.Duration, m *protocol.Message) code {
	near := tolerance(d.after)
	switch {
	case d.after > 0 && !d.likely && took >= d.after-near:
		return deadlineExceeded
	case d.likely && took >= d.after-near && took <= d.after+slack:
		return deadlineExceeded // that it comes just then proves what the value is
	}
	m.Unresolved = m.Unresolved || d.unclear && !d.likely
	return cancelled
}
