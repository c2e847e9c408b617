// Package rpc is a gRPC server and a load generator for it that know exactly what was called: how many calls of each method
// ended with each code.
//
// What a call shall be like is written in its first message, as a query: code=N is the status it ends with, messages=N how
// many messages the server sends on a stream, bytes=N the size of each, delay=MILLISECONDS comes before the first.
package rpc

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Kind says which ends stream.
type Kind int

// Kinds.
const (
	Unary Kind = iota
	ServerStream
	ClientStream
	Bidi
)

type method struct {
	service, name string
	kind          Kind
}

// path is how a call names the method, without the slash before it.
func (m method) path() string { return m.service + "/" + m.name }

// methods are what the server has.
var methods = []method{
	{"test.Shop", "Get", Unary},
	{"test.Shop", "Put", Unary},
	{"test.Shop", "List", ServerStream},
	{"test.Shop", "Upload", ClientStream},
	{"test.Shop", "Chat", Bidi},
	{"test.Orders", "Place", Unary},
	{"test.Orders", "Cancel", Unary},
	{"test.Orders", "Track", ServerStream},
}

// kindOf is the kind of a method by its path; one that the server has not is called as unary.
func kindOf(path string) Kind {
	for _, m := range methods {
		if m.path() == path {
			return m.kind
		}
	}
	return Unary
}

// Call is one kind of call.
type Call struct {
	// Method is "service/name".
	Method string
	// Code is what the server shall answer.
	Code codes.Code
	// Messages is how many messages each end that streams sends, Bytes the size of each.
	Messages, Bytes int
	// Delay is how long the server waits before it answers.
	Delay time.Duration
	// Deadline, if not 0, is the call's deadline; Cancel, if not 0, is after how long the client cancels it.
	Deadline, Cancel time.Duration
}

// ParseCall reads "METHOD [code=N] [messages=N] [bytes=N] [delay=DURATION] [deadline=DURATION] [cancel=DURATION]".
func ParseCall(s string) (Call, error) {
	fields := strings.Fields(s)
	if len(fields) == 0 || strings.Count(fields[0], "/") != 1 {
		return Call{}, fmt.Errorf("call %q: want SERVICE/METHOD [name=value]…", s)
	}
	c := Call{Method: fields[0], Messages: 1, Bytes: 10}
	for _, option := range fields[1:] {
		if err := c.set(option); err != nil {
			return Call{}, fmt.Errorf("call %q: option %q: %w", s, option, err)
		}
	}
	return c, nil
}

func (c *Call) set(option string) (err error) {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "code":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 32)
		c.Code = codes.Code(n)
	case "messages":
		c.Messages, err = strconv.Atoi(value)
	case "bytes":
		c.Bytes, err = strconv.Atoi(value)
	case "delay":
		c.Delay, err = time.ParseDuration(value)
	case "deadline":
		c.Deadline, err = time.ParseDuration(value)
	case "cancel":
		c.Cancel, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("unknown name %q", name)
	}
	return err
}

// wish is what a call's first message asks of the server. It is filled up to c.Bytes.
func (c Call) wish() string {
	text := fmt.Sprintf("code=%d&messages=%d&bytes=%d&delay=%d", c.Code, c.Messages, c.Bytes, c.Delay.Milliseconds())
	if fill := c.Bytes - len(text) - len("&fill="); fill > 0 {
		text += "&fill=" + strings.Repeat("f", fill)
	}
	return text
}

// parseWish reads what wish wrote.
func parseWish(text string) (Call, error) {
	q, err := url.ParseQuery(text)
	if err != nil {
		return Call{}, err
	}
	var failed error
	number := func(name string) int {
		n, err := strconv.Atoi(q.Get(name))
		if err != nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
		return n
	}
	c := Call{
		Code: codes.Code(number("code")), Messages: number("messages"), Bytes: number("bytes"),
		Delay: time.Duration(number("delay")) * time.Millisecond,
	}
	return c, failed
}
