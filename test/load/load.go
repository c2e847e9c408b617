// Package load is an HTTP load generator that knows exactly what it sent: how many requests of each method, route and status, and how
// many it meant to send but did not.
//
// It writes HTTP/1.1 by hand on plain sockets, so that it can pipeline, hold a connection open before the first request, and
// never retries behind the caller's back; Plan.NetHTTP asks for what programs use instead. See Plan for what to send and Report for what came of it.
package load

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Plan says what to send.
type Plan struct {
	// Target is the server's host:port.
	Target string
	// Rate is requests per second over all connections, evenly spaced; 0 sends each as soon as the one before is answered.
	Rate float64
	// Count is how many requests to send; 0: Rate × Duration, or as many as fit into Duration when there is no rate.
	Count    int
	Duration time.Duration
	// Connections is how many are used side by side.
	Connections int
	// Close opens a connection for every request, or every Pipeline requests, and asks the server to close it.
	Close bool
	// Pipeline is how many requests are written at once before their answers are read; 0 and 1 do not pipeline.
	Pipeline int
	// NetHTTP sends by net/http, as programs do, instead of by hand on plain sockets. It does not pipeline.
	NetHTTP bool
	// Warm is how many requests each connection sends before the start. They are not in the report's counts.
	Warm int
	// Requests are taken in turn.
	Requests []Request
	// Timeout bounds the wait for one answer; 0 means 30 s.
	Timeout time.Duration
}

// Request is one kind of request.
type Request struct {
	Method string
	// Path is what is asked for; "{n}" in it becomes the request's number.
	Path string
	// Body is the size of the body, Header of additional header lines, in bytes.
	Body, Header int
}

// ParseRequest reads "METHOD PATH [body=BYTES] [header=BYTES]".
func ParseRequest(s string) (Request, error) {
	fields := strings.Fields(s)
	if len(fields) < 2 || !strings.HasPrefix(fields[1], "/") {
		return Request{}, fmt.Errorf("request %q: want METHOD /PATH [body=BYTES] [header=BYTES]", s)
	}
	r := Request{Method: fields[0], Path: fields[1]}
	for _, option := range fields[2:] {
		name, value, _ := strings.Cut(option, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return Request{}, fmt.Errorf("request %q: %q is no size", s, option)
		}
		switch name {
		case "body":
			r.Body = n
		case "header":
			r.Header = n
		default:
			return Request{}, fmt.Errorf("request %q: unknown option %q", s, name)
		}
	}
	return r, nil
}

// Route is the path as a route template: without its query, its number as "{id}".
func (r Request) Route() string {
	path, _, _ := strings.Cut(r.Path, "?")
	return strings.ReplaceAll(path, "{n}", "{id}")
}

// Validate tells what is wrong with p.
func (p *Plan) Validate() error {
	switch {
	case p.Target == "":
		return errors.New("no target")
	case len(p.Requests) == 0:
		return errors.New("no requests")
	case p.Connections < 1:
		return errors.New("at least one connection is needed")
	case p.Rate < 0 || p.Count < 0 || p.Duration < 0 || p.Pipeline < 0 || p.Warm < 0:
		return errors.New("no number may be negative")
	case p.NetHTTP && p.Pipeline > 1:
		return errors.New("net/http does not pipeline")
	case p.Count == 0 && p.Duration == 0:
		return errors.New("a count or a duration is needed")
	}
	return nil
}

// planned is how many requests p means to send; 0: that depends on the server.
func (p *Plan) planned() int {
	if p.Count > 0 {
		return p.Count
	}
	return int(p.Rate * p.Duration.Seconds())
}

func (p *Plan) batch() int { return max(p.Pipeline, 1) }

func (p *Plan) timeout() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return 30 * time.Second
}
