package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// ServeWeb answers the unary calls and the server's streams in gRPC-Web, over HTTP/1.1 and HTTP/2, and in gRPC, until l is
// closed.
func ServeWeb(l net.Listener) error {
	mux := http.NewServeMux()
	for _, m := range methods {
		path := "/" + m.path()
		switch m.kind {
		case Unary:
			mux.Handle(path, connect.NewUnaryHandler(path, webUnary))
		case ServerStream:
			mux.Handle(path, connect.NewServerStreamHandler(path, webStream))
		}
	}
	s := &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s.Serve(l)
}

func webUnary(_ context.Context, in *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
	c, err := parseWish(in.Msg.Value)
	switch {
	case err != nil:
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	case c.Code != codes.OK:
		return nil, webAsked(c)
	}
	return connect.NewResponse(reply(c)), nil
}

func webStream(_ context.Context, in *connect.Request[wrapperspb.StringValue], s *connect.ServerStream[wrapperspb.StringValue]) error {
	c, err := parseWish(in.Msg.Value)
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	for range c.Messages {
		if err := s.Send(reply(c)); err != nil {
			return err
		}
	}
	if c.Code != codes.OK {
		return webAsked(c)
	}
	return nil
}

// webAsked is what asked is: the codes of both have the same numbers.
func webAsked(c Call) error {
	return connect.NewError(connect.Code(c.Code), errors.New("as you wish: 100 % \u2713"))
}

// Web says how a Plan's calls travel.
type Web string

// Ways. gRPC-Web goes over HTTP/1.1 too.
const (
	Native    Web = ""
	WebOver1  Web = "http1"
	WebOver2  Web = "http2"
	WebGzip   Web = "http2-gzip" // answers are compressed, their trailers too
	WebNative Web = "grpc"       // gRPC, but by net/http's HTTP/2
)

// webClient calls by connect-go, on a connection of HTTP/2 or as many of HTTP/1.1 as calls are under way.
type webClient struct {
	http    *http.Client
	target  string
	options []connect.ClientOption
}

func newWebClient(target string, way Web) *webClient {
	c := &webClient{target: target, options: []connect.ClientOption{connect.WithGRPCWeb()}}
	if way == WebNative {
		c.options[0] = connect.WithGRPC()
	}
	if way != WebGzip {
		c.options = append(c.options, connect.WithAcceptCompression("gzip", nil, nil)) // which it takes by default
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(way == WebOver1)
	protocols.SetUnencryptedHTTP2(way != WebOver1)
	// None is closed between two calls.
	c.http = &http.Client{Transport: &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: 1000}}
	return c
}

func (c *webClient) close() { c.http.CloseIdleConnections() }

func (c *webClient) call(ctx context.Context, call Call) (codes.Code, error) {
	err := c.invoke(ctx, call)
	return webCode(err), err
}

func (c *webClient) invoke(ctx context.Context, call Call) error {
	client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](c.http, "http://"+c.target+"/"+call.Method, c.options...)
	in := connect.NewRequest(wrapperspb.String(call.wish()))
	switch kind := kindOf(call.Method); kind {
	case Unary:
		_, err := client.CallUnary(ctx, in)
		return err
	case ServerStream:
		s, err := client.CallServerStream(ctx, in)
		if err != nil {
			return err
		}
		for s.Receive() {
		}
		return errors.Join(s.Err(), s.Close())
	default:
		return fmt.Errorf("%s: gRPC-Web has no streams of the client", call.Method)
	}
}

// webCode is the status that err stands for.
func webCode(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return codes.Code(connect.CodeOf(err))
}
