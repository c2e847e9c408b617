package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// client calls by grpc-go, on one connection.
type client struct{ *grpc.ClientConn }

// dial opens a connection. "passthrough" keeps DNS out of it.
func dial(ctx context.Context, target string) (*client, error) {
	c, err := grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	c.Connect()
	for state := c.GetState(); state != connectivity.Ready; state = c.GetState() {
		if state == connectivity.TransientFailure || !c.WaitForStateChange(ctx, state) {
			_ = c.Close() // it has not been opened
			return nil, fmt.Errorf("the connection to %s is %s", target, state)
		}
	}
	return &client{c}, nil
}

func (c *client) close() { _ = c.Close() } // nothing is under way

func (c *client) call(ctx context.Context, call Call) (codes.Code, error) {
	err := c.invoke(ctx, call)
	return status.Code(err), err
}

func (c *client) invoke(ctx context.Context, call Call) error {
	path, kind := "/"+call.Method, kindOf(call.Method)
	in, out := wrapperspb.String(call.wish()), &wrapperspb.StringValue{}
	if kind == Unary {
		return c.Invoke(ctx, path, in, out)
	}
	s, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: kind != ClientStream, ClientStreams: kind != ServerStream}, path)
	if err != nil {
		return err
	}
	return stream(s, call, kind, in, out)
}

// stream sends and reads what call says. On a bidirectional stream each message is answered before the next is sent.
func stream(s grpc.ClientStream, call Call, kind Kind, in, out *wrapperspb.StringValue) error {
	sends := call.Messages
	if kind == ServerStream {
		sends = 1
	}
	for range sends {
		err := s.SendMsg(in)
		if err == nil && kind == Bidi {
			err = s.RecvMsg(out)
		}
		if errors.Is(err, io.EOF) {
			break // the stream has ended: what with, RecvMsg says
		}
		if err != nil {
			return err
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	for {
		if err := s.RecvMsg(out); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
