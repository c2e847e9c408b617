package traffic

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// operation is what one request of the step is to Toposcope.
func (s step) operation() Operation {
	return Operation{
		Key:      Key(s.method, s.route, strconv.Itoa(s.status)),
		Rejected: s.status >= 400 && s.status < 500, Failed: s.status >= 500,
	}
}

// loadHTTP opens and uses the old connections, waits, and sends the plan.
func loadHTTP(ctx context.Context, address string, small bool, ready func() error) ([]Operation, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("reading the server's address: %w", err)
	}
	c := client{port: port}
	steps := plan()
	if small {
		steps = smallPlan()
	}
	old, err := c.openOld(ctx, steps)
	defer func() {
		for _, open := range old {
			for _, w := range open {
				w.Close()
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := ready(); err != nil {
		return nil, err
	}
	var made tally
	for i, s := range steps {
		if err := c.step(ctx, s, old[i]); err != nil {
			return nil, fmt.Errorf("step %q: %w", s.name, err)
		}
		made.add(s.operation(), uint64(s.conns*s.requests))
	}
	return made.all, nil
}

// openOld opens and uses the old connections of steps, by the step's index. What is open is returned with an error too.
func (c client) openOld(ctx context.Context, steps []step) (map[int][]*wire, error) {
	old := map[int][]*wire{}
	for i, s := range steps {
		if !s.old {
			continue
		}
		for range s.conns {
			w, err := c.dial(ctx, s)
			if err != nil {
				return old, err
			}
			old[i] = append(old[i], w)
			// An old connection has had traffic; it is not counted.
			if err := repeat(3, func() error { return w.keepAlive(s) }); err != nil {
				return old, err
			}
		}
	}
	return old, nil
}

type client struct{ port string }

// wire is one connection with its reader.
type wire struct {
	net.Conn
	r    *bufio.Reader
	host string
}

func (c client) dial(ctx context.Context, s step) (*wire, error) {
	host := "127.0.0.1"
	if s.ipv6 {
		host = "::1"
	}
	addr := net.JoinHostPort(host, c.port)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &wire{Conn: conn, r: bufio.NewReader(conn), host: addr}, nil
}

// step sends one row of the plan: its connections side by side.
func (c client) step(ctx context.Context, s step, open []*wire) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range s.conns {
		g.Go(func() error {
			switch {
			case open != nil:
				return repeat(s.requests, func() error { return open[i].keepAlive(s) })
			case s.how == oneShot:
				return repeat(s.requests, func() error { return c.fresh(ctx, s, 1) })
			default:
				return c.fresh(ctx, s, s.requests)
			}
		})
	}
	return g.Wait()
}

func repeat(n int, f func() error) error {
	for range n {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// fresh sends n requests on a connection of their own.
func (c client) fresh(ctx context.Context, s step, n int) error {
	w, err := c.dial(ctx, s)
	if err != nil {
		return err
	}
	defer w.Close()
	if s.how == pipelined {
		return w.pipeline(s, n)
	}
	return repeat(n, func() error { return w.keepAlive(s) })
}

// keepAlive sends one request and reads its answer.
func (w *wire) keepAlive(s step) error {
	req, err := s.request(w.host)
	if err != nil {
		return err
	}
	if s.expect {
		return w.expect(req, s)
	}
	if err := req.Write(w); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return w.answer(req, s)
}

// expect sends the head, awaits the 100 and sends the body then.
func (w *wire) expect(req *http.Request, s step) error {
	var whole bytes.Buffer
	if err := req.Write(&whole); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	head := whole.Len() - s.body
	if _, err := w.Write(whole.Next(head)); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	interim, err := http.ReadResponse(w.r, req)
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	interim.Body.Close()
	if interim.StatusCode != http.StatusContinue {
		return fmt.Errorf("status %d instead of 100", interim.StatusCode)
	}
	if _, err := whole.WriteTo(w); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return w.answer(req, s)
}

// pipeline sends n requests in one write and then reads n answers.
func (w *wire) pipeline(s step, n int) error {
	req, err := s.request(w.host)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for range n {
		if err := req.Write(&all); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
	}
	if _, err := all.WriteTo(w); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return repeat(n, func() error { return w.answer(req, s) })
}

// answer reads one answer whole and judges it.
func (w *wire) answer(req *http.Request, s step) error {
	res, err := http.ReadResponse(w.r, req)
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	if res.StatusCode != s.status {
		return fmt.Errorf("status %d instead of %d", res.StatusCode, s.status)
	}
	return nil
}

func (s step) request(host string) (*http.Request, error) {
	var body io.Reader
	if s.body > 0 {
		body = strings.NewReader(strings.Repeat("b", s.body))
	}
	if s.chunked {
		body = struct{ io.Reader }{body} // hides the length
	}
	req, err := http.NewRequest(s.method, "http://"+host+s.path, body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	if s.headers > 0 {
		req.Header.Set("X-Padding", strings.Repeat("p", s.headers))
	}
	if s.expect {
		req.Header.Set("Expect", "100-continue")
	}
	req.Close = s.how == oneShot
	return req, nil
}
