package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/shop/shoppb"
	"github.com/toposcope/toposcope/demo/tally"
)

const currency = "EUR"

// rpc makes a gRPC call, and counts it if it went out.
func (c *Client) rpc(ctx context.Context, call Call, v *Visit) codes.Code {
	conn, err := c.conn(call.Server)
	if err != nil {
		return codes.Unavailable
	}
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, dice.Header, v.trace.String()), rpcTimeout)
	defer cancel()
	var to peer.Peer
	code := status.Code(invoke(ctx, conn, call, v, grpc.Peer(&to)))
	if to.Addr != nil {
		c.book.RPCs.Add(tally.RPC{
			Client: c.name, Server: call.Server, Method: strings.TrimPrefix(call.RPC, "/"), Code: codeName(code),
		})
	}
	return code
}

// codeName is code's name in gRPC's list of status codes: "NOT_FOUND".
func codeName(code codes.Code) string {
	switch code {
	case codes.OK:
		return "OK"
	case codes.Canceled:
		return "CANCELLED" // Go spells it with one L
	}
	var b strings.Builder
	for i, r := range code.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// conn is the one connection to server, which stays open. It is made with the first call.
func (c *Client) conn(server string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.conns[server]; conn != nil {
		return conn, nil
	}
	conn, err := grpc.NewClient("passthrough:///"+server,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(c.dialService),
		grpc.WithNoProxy(),
		grpc.WithUserAgent("toposcope-demo/"+c.name),
	)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", server, err)
	}
	c.conns[server] = conn
	return conn, nil
}

// dialService looks up where the service called name listens, and connects to that.
func (c *Client) dialService(ctx context.Context, name string) (net.Conn, error) {
	if c.resolver == nil {
		return c.dial(ctx, "tcp", c.peers[name])
	}
	host, port, err := c.resolver.Service(ctx, "_grpc._tcp."+name)
	if err != nil {
		return nil, err
	}
	found, err := c.resolver.Addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, "tcp", net.JoinHostPort(found[0].String(), strconv.Itoa(int(port))))
}

// invoke makes call on conn and takes all that is answered.
func invoke(ctx context.Context, conn *grpc.ClientConn, call Call, v *Visit, opts ...grpc.CallOption) error {
	switch call.RPC {
	case shoppb.Prices_GetPrice_FullMethodName:
		_, err := shoppb.NewPricesClient(conn).GetPrice(ctx, priceRequest(v), opts...)
		return err
	case shoppb.Prices_Quote_FullMethodName:
		return quote(ctx, conn, call, v, opts...)
	case shoppb.Stock_GetLevel_FullMethodName:
		_, err := shoppb.NewStockClient(conn).GetLevel(ctx, &shoppb.GetLevelRequest{Sku: v.Value("sku")}, opts...)
		return err
	case shoppb.Stock_ListLevels_FullMethodName:
		return listLevels(ctx, conn, opts...)
	case shoppb.Stock_Reserve_FullMethodName:
		return reserve(ctx, conn, call, v, opts...)
	case shoppb.Payments_Charge_FullMethodName:
		_, err := shoppb.NewPaymentsClient(conn).Charge(ctx, &shoppb.ChargeRequest{
			Order: v.Value("order"), Currency: currency, Cents: int64(100 + v.dice.IntN(20000)),
		}, opts...)
		return err
	}
	return status.Errorf(codes.Unimplemented, "no client for %s", call.RPC)
}

func priceRequest(v *Visit) *shoppb.GetPriceRequest {
	return &shoppb.GetPriceRequest{Sku: v.Value("sku"), Currency: currency}
}

// quote asks for one price after another, each when it has that before.
func quote(ctx context.Context, conn *grpc.ClientConn, call Call, v *Visit, opts ...grpc.CallOption) error {
	stream, err := shoppb.NewPricesClient(conn).Quote(ctx, opts...)
	if err != nil {
		return err
	}
	for range call.Messages {
		// What is wrong with a stream that takes nothing more (io.EOF) is what Recv says.
		if err := stream.Send(priceRequest(v)); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
	_ = stream.CloseSend() // never fails, by its documentation
	_, err = stream.Recv()
	return unlessEnd(err)
}

func listLevels(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) error {
	stream, err := shoppb.NewStockClient(conn).ListLevels(ctx, &shoppb.ListLevelsRequest{Query: "lamp"}, opts...)
	for err == nil {
		_, err = stream.Recv()
	}
	return unlessEnd(err)
}

func reserve(ctx context.Context, conn *grpc.ClientConn, call Call, v *Visit, opts ...grpc.CallOption) error {
	stream, err := shoppb.NewStockClient(conn).Reserve(ctx, opts...)
	if err != nil {
		return err
	}
	for range call.Messages {
		item := &shoppb.Item{Sku: v.Value("sku"), Pieces: int32(1 + v.dice.IntN(3))}
		if err := stream.Send(item); errors.Is(err, io.EOF) {
			break // the server has answered already
		} else if err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// unlessEnd is err, and nil for the end of a stream that ended well.
func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
