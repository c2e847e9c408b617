package grpc_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	googlegrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// span is what golang.org/x/net/http2 says of a stream: when its request began and its answer ended, and how long both are.
type span struct {
	start, end time.Time
	sizes      [2]int64
	over       bool
}

// piece is a frame that the reference has read: the segments that its first and last bytes are in, and its length.
type piece struct {
	xhttp2.FrameHeader
	asks        bool
	first, last *event.Segment
	size        int64
}

// frames reads one direction of a tape with the reference's Framer.
func frames(t *testing.T, tp *tape, d event.Dir, asks bool) (list []piece) {
	t.Helper()
	var data []byte
	var segments []*event.Segment
	for _, s := range tp.segments {
		if s.Dir == d {
			data, segments = append(data, s.Data...), append(segments, s)
		}
	}
	at := func(off int) *event.Segment {
		i, _ := slices.BinarySearchFunc(segments, uint64(off), func(s *event.Segment, off uint64) int {
			return cmp.Compare(s.Off+uint64(s.Size)-1, off)
		})
		return segments[i]
	}
	r := bytes.NewReader(data)
	if asks {
		_, _ = r.Seek(int64(len(xhttp2.ClientPreface)), io.SeekStart)
	}
	framer := xhttp2.NewFramer(io.Discard, r)
	framer.SetMaxReadFrameSize(1<<24 - 1)
	for {
		from := len(data) - r.Len()
		f, err := framer.ReadFrame()
		if errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		to := len(data) - r.Len()
		list = append(list, piece{f.Header(), asks, at(from), at(to - 1), int64(to - from)})
	}
}

// spans puts the frames of a tape together to streams.
func spans(t *testing.T, tp *tape, role event.Role) map[uint64]*span {
	t.Helper()
	asks := event.Sent
	if role == event.RoleServer {
		asks = event.Received
	}
	list := append(frames(t, tp, asks, true), frames(t, tp, asks.Reverse(), false)...)
	slices.SortStableFunc(list, func(a, b piece) int { return cmp.Compare(a.last.Seq, b.last.Seq) })
	all := map[uint64]*span{}
	for _, f := range list {
		s := all[uint64(f.StreamID)]
		if s == nil && f.Type == xhttp2.FrameHeaders {
			s = &span{start: f.first.Time}
			all[uint64(f.StreamID)] = s
		}
		reset := f.Type == xhttp2.FrameRSTStream
		if s == nil || s.over || !reset && f.Type != xhttp2.FrameHeaders && f.Type != xhttp2.FrameData {
			continue
		}
		k := 1
		if f.asks && !reset {
			k = 0
		}
		s.sizes[k] += f.size
		if reset || k == 1 && f.Flags&xhttp2.FlagDataEndStream != 0 {
			s.over, s.end = true, f.last.Time
		}
	}
	return all
}

// scenario is a set of calls, of which so many are made at a time.
type scenario struct {
	name     string
	asks     []ask
	parallel int
}

func scenarios() []scenario {
	var every, many []ask
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		every = append(every, ask{sends: 1, receives: min(1, int(codes.Unauthenticated-c)%2), code: c, size: 10})
	}
	for i := range 300 {
		many = append(many, ask{
			sends: 1 + i%3, receives: i % 4, size: (i * 37) % 3000, wait: time.Duration(i%7) * time.Millisecond, code: codes.Code(i % 17), gzip: i%5 == 0,
		})
	}
	return []scenario{
		{"unary", []ask{{sends: 1, receives: 1}, {sends: 1, receives: 1, size: 100}, {sends: 1, receives: 1, size: 100, gzip: true}}, 1},
		{"codes", every, 1},
		{"streams", []ask{
			{sends: 1, receives: 50, size: 100}, {sends: 50, receives: 1, size: 100}, {sends: 30, receives: 40, size: 5}, {receives: 3}, {},
		}, 1},
		{"large", []ask{
			{sends: 3, receives: 3, size: 1 << 20}, {sends: 1, receives: 1, size: 3 << 20}, {sends: 2, receives: 2, size: 1 << 20, gzip: true},
		}, 3},
		{"concurrent", many, 100},
		{"deadline", []ask{
			{sends: 1, hang: true, timeout: 300 * time.Millisecond},
			{sends: 1, hang: true, timeout: 500 * time.Millisecond},
			{sends: 1, receives: 1, timeout: time.Minute},
		}, 1},
		{"cancel", []ask{
			{sends: 1, hang: true, cancel: 200 * time.Millisecond},
			{sends: 1, hang: true, cancel: 300 * time.Millisecond, size: 1000},
			{sends: 1, receives: 1},
		}, 1},
	}
}

// want is what must be found of a call.
func (a ask) want(got codes.Code) found {
	f := found{
		method: "grpc " + strings.TrimPrefix(a.method(), "/"), code: codeNames[got], outcome: "rejected",
		requests: strconv.Itoa(a.sends), responses: strconv.Itoa(a.receives),
	}
	switch got {
	case codes.OK:
		f.outcome = "ok"
	case codes.Unknown, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		f.outcome = "failed"
	}
	return f
}

var codeNames = map[codes.Code]string{
	0: "OK", 1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND", 6: "ALREADY_EXISTS",
	7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 10: "ABORTED", 11: "OUT_OF_RANGE", 12: "UNIMPLEMENTED",
	13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS", 16: "UNAUTHENTICATED",
}

// run makes the calls and returns what must be found of them.
func (sc scenario) run(ctx context.Context, conn *googlegrpc.ClientConn) (want []found) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, sc.parallel)
	for _, a := range sc.asks {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			got := a.do(ctx, conn)
			mu.Lock()
			defer mu.Unlock()
			want = append(want, a.want(got))
		}()
	}
	wg.Wait()
	return want
}

// TestLive has a grpc-go client and server talk, and compares what is found with what they did; times and sizes with what
// golang.org/x/net/http2 reads from the same bytes.
func TestLive(t *testing.T) {
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			var want []found
			client, server := record(t, func(ctx context.Context, conn *googlegrpc.ClientConn) { want = sc.run(ctx, conn) })
			for _, end := range []struct {
				name string
				tp   *tape
				role event.Role
			}{{"client", client, event.RoleClient}, {"server", server, event.RoleServer}} {
				f := decode(end.tp, end.role, 0)
				if f.gaps != 0 {
					t.Errorf("%s: %d gaps", end.name, f.gaps)
				}
				reference := spans(t, end.tp, end.role)
				for i := range f.list {
					e := &f.list[i]
					if r := reference[e.id]; r == nil || !e.start.Equal(r.start) || !e.end.Equal(r.end) || e.sizes != r.sizes {
						t.Errorf("%s: stream %d: %v to %v, %v; the reference has %+v", end.name, e.id, e.start, e.end, e.sizes, r)
					}
					*e = found{method: e.method, code: e.code, outcome: e.outcome, requests: e.requests, responses: e.responses, unresolved: e.unresolved}
				}
				compare(t, end.name, f.list, want)
			}
		})
	}
}

// TestLiveExisting joins a connection at each of its segments. Of the calls that begin from there on none is missed but the first
// few, none is wrong, and what is not known says so.
func TestLiveExisting(t *testing.T) {
	sc := scenario{parallel: 1}
	for i := range 60 {
		a := ask{sends: 1, receives: 1, size: 20}
		switch {
		case i == 20 || i == 21 || i == 50:
			a.receives, a.code = 0, codes.NotFound
		case i == 30:
			a.code = codes.DataLoss
		case i > 40:
			a.size = 21 // a method that is called late
		}
		sc.asks = append(sc.asks, a)
	}
	client, server := record(t, func(ctx context.Context, conn *googlegrpc.ClientConn) { sc.run(ctx, conn) })
	for _, tp := range []*tape{client, server} {
		role := event.RoleClient
		if tp == server {
			role = event.RoleServer
		}
		all := decode(tp, role, 0).list
		seen, missed, resolved := 0, 0, 0
		for from := 1; from < len(tp.segments); from++ {
			list := decode(tp, role, from).list
			var due []found
			for _, e := range all {
				if !e.start.Before(tp.segments[from].Time) {
					due = append(due, e)
				}
			}
			skip := len(due) - len(list)
			if skip < 0 || skip > 2 {
				t.Fatalf("%v from segment %d: %d calls of %d", role, from, len(list), len(due))
			}
			missed, seen = missed+skip, seen+len(list)
			for i, e := range list {
				full := due[skip+i]
				known := e.method == full.method && e.code == full.code
				if known != !e.unresolved || !e.start.Equal(full.start) || !e.end.Equal(full.end) || e.sizes != full.sizes {
					t.Fatalf("%v from segment %d: %+v, which is %+v", role, from, e, full)
				}
				if e.method != full.method && e.method != "grpc unknown" || e.code != full.code && e.code != protocol.Unknown {
					t.Fatalf("%v from segment %d: %+v, which is %+v", role, from, e, full)
				}
				if e.code == full.code {
					if resolved++; e.outcome != full.outcome {
						t.Fatalf("%v from segment %d: %+v, which is %+v", role, from, e, full)
					}
				}
				if full.code == codeNames[codes.NotFound] && i > 0 && e.code != full.code && from < 20 {
					t.Fatalf("%v from segment %d: a status that was new is %s", role, from, e.code)
				}
			}
		}
		t.Logf("%v: of %d calls %d were missed, and the status of %d was known", role, seen+missed, missed, resolved)
	}
}

func compare(t *testing.T, end string, got, want []found) {
	t.Helper()
	text := func(list []found) []string {
		var lines []string
		for _, f := range list {
			lines = append(lines, fmt.Sprintf("%+v", f))
		}
		slices.Sort(lines)
		return lines
	}
	g, w := text(got), text(want)
	if len(g) != len(w) {
		t.Errorf("%s: %d exchanges, want %d", end, len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("%s:\n got %s\nwant %s", end, g[i], w[i])
		}
	}
}
