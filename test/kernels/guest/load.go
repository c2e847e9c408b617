package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
)

// tally is what the client knows it did: one entry a request that was sent and answered as planned.
type tally map[tallyKey]uint64

// tallyKey is written as "method route status".
type tallyKey string

func (s step) key() tallyKey { return tallyKey(fmt.Sprintf("%s %s %d", s.method, s.route, s.status)) }

// load is the client process. It opens and uses the old connections, says so with a line, waits for a line on its
// standard input, sends the plan and prints its tally as JSON. Any request that fails ends it.
func load(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: load PORT")
	}
	c := client{port: args[0]}
	steps := plan()
	old := map[int][]*wire{}
	for i, s := range steps {
		if !s.old {
			continue
		}
		for range s.conns {
			w, err := c.dial(ctx, s)
			if err != nil {
				return err
			}
			defer w.Close()
			for range 3 { // an old connection has had traffic; it is not counted
				if err := w.keepAlive(s); err != nil {
					return err
				}
			}
			old[i] = append(old[i], w)
		}
	}
	fmt.Println("open")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("waiting for the start: %w", err)
	}
	sent := tally{}
	for i, s := range steps {
		if err := c.step(ctx, s, old[i]); err != nil {
			return fmt.Errorf("step %q: %w", s.name, err)
		}
		sent[s.key()] += uint64(s.conns * s.requests)
	}
	return json.NewEncoder(os.Stdout).Encode(sent)
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
