package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Serve answers calls until l is closed.
func Serve(l net.Listener) error {
	s := grpc.NewServer(grpc.MaxConcurrentStreams(1000))
	byService := map[string]*grpc.ServiceDesc{}
	for _, m := range methods {
		d := byService[m.service]
		if d == nil {
			d = &grpc.ServiceDesc{ServiceName: m.service, HandlerType: (*any)(nil)}
			byService[m.service] = d
		}
		if m.kind == Unary {
			d.Methods = append(d.Methods, grpc.MethodDesc{MethodName: m.name, Handler: handleUnary})
			continue
		}
		d.Streams = append(d.Streams, grpc.StreamDesc{
			StreamName: m.name, Handler: handleStream,
			ServerStreams: m.kind != ClientStream, ClientStreams: m.kind != ServerStream,
		})
	}
	for _, d := range byService {
		s.RegisterService(d, nil)
	}
	return s.Serve(l)
}

func handleUnary(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := &wrapperspb.StringValue{}
	if err := decode(in); err != nil {
		return nil, err
	}
	c, err := parseWish(in.Value)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	time.Sleep(c.Delay) // it does not look whether the client still waits, as many do not
	if c.Code != codes.OK {
		return nil, asked(c)
	}
	return reply(c), nil
}

// handleStream serves streams of every kind: it reads to the first message or, of a client that streams, answers each
// message of a bidirectional stream, and once all are read sends the messages that are still owed.
func handleStream(_ any, s grpc.ServerStream) error {
	in := &wrapperspb.StringValue{}
	if err := s.RecvMsg(in); err != nil {
		return err
	}
	c, err := parseWish(in.Value)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	time.Sleep(c.Delay)
	name, _ := grpc.MethodFromServerStream(s)
	kind := kindOf(strings.TrimPrefix(name, "/"))
	for kind != ServerStream {
		if kind == Bidi {
			if err := s.SendMsg(reply(c)); err != nil {
				return err
			}
		}
		if err := s.RecvMsg(in); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	owed := map[Kind]int{ServerStream: c.Messages, ClientStream: 1}[kind]
	if c.Code != codes.OK && kind == ClientStream {
		owed = 0 // what ends in an error has no answer
	}
	for range owed {
		if err := s.SendMsg(reply(c)); err != nil {
			return err
		}
	}
	if c.Code != codes.OK {
		return asked(c)
	}
	return nil
}

// asked is the error that c asks for, with a message that is not plain ASCII, which goes percent-encoded.
func asked(c Call) error { return status.Error(c.Code, "as you wish: 100 % \u2713") }

func reply(c Call) *wrapperspb.StringValue {
	return wrapperspb.String(strings.Repeat(".", c.Bytes))
}
