package api

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/toposcope/toposcope/topology"
)

// clockSkew is how far a client's clock may be ahead of ours.
const clockSkew = time.Minute

// parseWindow reads start and end, or time and window, from a query. Without any it is the last DefaultWindow.
func parseWindow(get func(string) string, now time.Time, longest time.Duration) (w topology.Window, err error) {
	if (get("start") != "" || get("end") != "") && (get("time") != "" || get("window") != "") {
		return w, badRequest("give start and end, or time and window, not of both")
	}
	length := DefaultWindow
	if s := get("window"); s != "" {
		if length, err = parseLength(s); err != nil {
			return w, badRequest("window: %v", err)
		}
	}
	w.End = now
	for _, name := range []string{"end", "time"} {
		if s := get(name); s != "" {
			if w.End, err = parseTime(s); err != nil {
				return w, badRequest("%s: %v", name, err)
			}
		}
	}
	w.Start = w.End.Add(-length)
	if s := get("start"); s != "" {
		if w.Start, err = parseTime(s); err != nil {
			return w, badRequest("start: %v", err)
		}
	}
	switch {
	case w.End.After(now.Add(clockSkew)):
		return w, badRequest("the window ends in the future, at %s; it is %s here", w.End.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case !w.Start.Before(w.End):
		return w, badRequest("the window does not start before its end, at %s", w.End.Format(time.RFC3339))
	case w.End.Sub(w.Start) > longest:
		return w, badRequest("the window is %s long, the longest is %s", model.Duration(w.End.Sub(w.Start)), model.Duration(longest))
	}
	return w, nil
}

// Times outside of these bounds are nobody's: RFC 3339 has four digits for the year.
var (
	firstTime = time.Unix(0, 0)
	lastTime  = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

// parseTime reads RFC 3339 or Unix seconds. It keeps milliseconds, as the store does.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || math.IsNaN(f) || math.Abs(f) > float64(lastTime.Unix()) {
			return t, fmt.Errorf("%q is neither RFC 3339 nor Unix seconds", shorten(s))
		}
		t = time.UnixMilli(int64(math.Round(f * 1000)))
	}
	if t.Before(firstTime) || t.After(lastTime) {
		return t, fmt.Errorf("%q is out of range", shorten(s))
	}
	return t.UTC(), nil
}

// parseLength reads a duration as Prometheus writes it, or seconds.
func parseLength(s string) (time.Duration, error) {
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > math.MaxInt64/float64(time.Second) {
		return 0, fmt.Errorf("%q is neither a duration such as 5m nor seconds", shorten(s))
	}
	return time.Duration(f * float64(time.Second)), nil
}

// shorten keeps what a client sent from filling its own answer.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
