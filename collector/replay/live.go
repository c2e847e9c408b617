package replay

import (
	"context"
	"errors"
	"io"
	"time"
)

// poll is how often a file at its end is looked at again, and how often a reader that waits says so.
const poll = 50 * time.Millisecond

// chunk is what a live reader reads at a time.
const chunk = 64 << 10

// live reads what somebody is still writing: a pipe, or with follow a file, whose end is then only the end so far. The reading
// goroutine of a pipe that stays silent ends with the process.
type live struct {
	ctx    context.Context
	f      *File
	full   chan read
	empty  chan []byte
	buffer []byte // of rest
	rest   []byte
	err    error
}

type read struct {
	data []byte
	err  error
}

func (f *File) live(ctx context.Context, follow bool) *live {
	l := &live{ctx: ctx, f: f, full: make(chan read, 2), empty: make(chan []byte, 2)}
	l.empty <- make([]byte, chunk)
	l.empty <- make([]byte, chunk)
	go l.pump(follow)
	return l
}

// pump reads until the end, an error or the end of the context.
func (l *live) pump(follow bool) {
	defer close(l.full)
	for {
		var b []byte
		select {
		case <-l.ctx.Done():
			return
		case b = <-l.empty:
		}
		n, err := counted{l.f}.Read(b[:chunk])
		if n == 0 && follow && errors.Is(err, io.EOF) {
			l.empty <- b
			select {
			case <-l.ctx.Done():
				return
			case <-time.After(poll):
			}
			continue
		}
		if follow && errors.Is(err, io.EOF) {
			err = nil
		}
		l.full <- read{b[:n], err}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader. It ends with the context as it does with the file.
func (l *live) Read(b []byte) (int, error) {
	for len(l.rest) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		if l.buffer != nil {
			l.empty <- l.buffer
			l.buffer = nil
		}
		select {
		case <-l.ctx.Done():
			return 0, io.EOF
		case r, ok := <-l.full:
			if !ok {
				return 0, io.EOF
			}
			l.buffer, l.rest, l.err = r.data, r.data, r.err
		case <-time.After(poll):
			if l.f.idle != nil {
				l.f.idle()
			}
		}
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
