package grpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	googlegrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http2"
)

// raw sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }
func (raw) Name() string                       { return "raw" }

// tape records what a connection carries, from one of its ends: what is read when it was read, what is written when it is
// handed over.
type tape struct {
	net.Conn
	mu       sync.Mutex
	segments []*event.Segment
	off      [2]uint64
}

func (c *tape) note(d event.Dir, data []byte, at time.Time) {
	s := &event.Segment{Conn: 1, Dir: d, Seq: uint64(len(c.segments)), Off: c.off[d], Data: bytes.Clone(data), Size: len(data), Time: at}
	c.off[d] += uint64(len(data))
	c.segments = append(c.segments, s)
}

func (c *tape) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.note(event.Received, p[:n], time.Now())
	}
	return n, err
}

func (c *tape) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.note(event.Sent, p, time.Now())
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// listener records the connections that it accepts.
type listener struct {
	net.Listener
	tapes chan *tape
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &tape{Conn: c}
	l.tapes <- t
	return t, nil
}

// ask is a call as the client makes it: what the server shall do with it.
type ask struct {
	sends, receives int // messages
	code            codes.Code
	size            int           // of each message
	wait            time.Duration // of the server, before it answers
	hang            bool          // the server waits for the client to go
	timeout, cancel time.Duration // of the client
	gzip            bool
}

// method is where the server reads what to do.
func (a ask) method() string {
	return fmt.Sprintf("/test.Service/S%dR%dC%dW%dH%vZ%d", a.sends, a.receives, a.code, a.wait, a.hang, a.size)
}

// serve does what a call asks for.
func serve(_ any, stream googlegrpc.ServerStream) error {
	name, _ := googlegrpc.MethodFromServerStream(stream)
	var a ask
	var code int
	if _, err := fmt.Sscanf(name, "/test.Service/S%dR%dC%dW%dH%tZ%d", &a.sends, &a.receives, &code, &a.wait, &a.hang, &a.size); err != nil {
		return status.Error(codes.Unimplemented, "no such method")
	}
	for {
		var m []byte
		if err := stream.RecvMsg(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if a.hang {
			<-stream.Context().Done()
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
	time.Sleep(a.wait)
	for range a.receives {
		m := bytes.Repeat([]byte{'r'}, a.size)
		if err := stream.SendMsg(&m); err != nil {
			return err
		}
	}
	if code != 0 {
		return status.Error(codes.Code(code), "as you asked: "+strings.Repeat("why ", code))
	}
	return nil
}

// do makes the call, and returns the status that the client got.
func (a ask) do(ctx context.Context, conn *googlegrpc.ClientConn) codes.Code {
	var cancel context.CancelFunc = func() {}
	if a.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
	} else if a.cancel > 0 {
		ctx, cancel = context.WithCancel(ctx)
		time.AfterFunc(a.cancel, cancel)
	}
	defer cancel()
	var opts []googlegrpc.CallOption
	if a.gzip {
		opts = append(opts, googlegrpc.UseCompressor(gzip.Name))
	}
	desc := &googlegrpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, a.method(), opts...)
	if err != nil {
		return status.Code(err)
	}
	for range a.sends {
		m := bytes.Repeat([]byte{'s'}, a.size)
		if err := stream.SendMsg(&m); err != nil {
			break
		}
	}
	_ = stream.CloseSend()
	for {
		var m []byte
		if err := stream.RecvMsg(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return codes.OK
			}
			return status.Code(err)
		}
	}
}

// record runs what over a grpc-go client and server with one connection between them, and returns what each of its ends saw.
func record(t *testing.T, what func(context.Context, *googlegrpc.ClientConn)) (client, server *tape) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listener{Listener: lis, tapes: make(chan *tape, 8)}
	srv := googlegrpc.NewServer(googlegrpc.UnknownServiceHandler(serve), googlegrpc.ForceServerCodec(raw{}))
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	dialed := make(chan *tape, 8)
	conn, err := googlegrpc.NewClient("passthrough:///"+lis.Addr().String(), googlegrpc.WithTransportCredentials(insecure.NewCredentials()),
		googlegrpc.WithDefaultCallOptions(googlegrpc.ForceCodec(raw{})),
		googlegrpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			tp := &tape{Conn: c}
			dialed <- tp
			return tp, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	what(ctx, conn)
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	srv.GracefulStop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	client, server = <-dialed, <-l.tapes
	if len(dialed)+len(l.tapes) > 0 {
		t.Fatal("more than one connection")
	}
	return client, server
}

// found is an exchange, copied.
type found struct {
	method, code, outcome string
	requests, responses   string
	sizes                 [2]int64
	id                    uint64
	start, end            time.Time
	unresolved            bool
}

// finder is a Sink.
type finder struct {
	list []found
	gaps uint64
}

func (f *finder) Exchange(x *protocol.Exchange) {
	e := found{
		method: x.Protocol.Name + " " + string(x.Request.Attrs.Get(protocol.RPCMethod)), outcome: x.Outcome.String(),
		requests: string(x.Request.Attrs.Get(protocol.RPCRequestMessages)), sizes: [2]int64{x.Request.Size, -1},
		id: x.Request.ID, start: x.Start(), end: x.End(), unresolved: x.Request.Unresolved, code: x.Error,
	}
	if r := x.Response; r != nil {
		e.code, e.responses = string(r.Attrs.Get(protocol.RPCStatusCode)), string(r.Attrs.Get(protocol.RPCResponseMessages))
		e.sizes[1], e.unresolved = r.Size, e.unresolved || r.Unresolved
	}
	f.list = append(f.list, e)
}
func (f *finder) Gap(_ event.ConnID, _ string, n uint64)  { f.gaps += n }
func (*finder) SetVerdict(event.ConnID, protocol.Verdict) {}

// decode has a tracker read a tape from the from-th segment on; from > 0: as a connection that is older than capture.
func decode(tp *tape, role event.Role, from int) *finder {
	f := &finder{}
	t := protocol.NewTracker([]*protocol.Spec{http2.Spec(grpc.Layer{}), grpc.Spec()}, protocol.Config{}, f, f)
	t.Handle(&event.Opened{Conn: 1, Role: role, Existing: from > 0, Time: tp.segments[0].Time})
	turn, last := uint32(tp.segments[from].Dir), tp.segments[from].Dir
	for i, s := range tp.segments[from:] {
		c := *s
		if c.Dir != last {
			turn, last = turn+1, c.Dir
		}
		c.Seq, c.Turn, c.Turns = uint64(i), turn, true
		t.Handle(&c)
	}
	t.Handle(&event.Closed{Conn: 1, Seq: uint64(len(tp.segments) - from), Sent: tp.off[event.Sent], Received: tp.off[event.Received]})
	return f
}
