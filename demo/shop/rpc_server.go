package shop

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/shop/shoppb"
)

// RPCServer serves s, which speaks gRPC, as Handler does for HTTP.
func RPCServer(s Service, c *Client, faults *fault.Switch) *grpc.Server {
	server := grpc.NewServer()
	w := rpcWorker{worker{s.Name, c, faults}, map[string]Endpoint{}}
	for _, e := range s.Endpoints {
		w.endpoints[e.RPC] = e
	}
	switch s.Name {
	case "prices":
		shoppb.RegisterPricesServer(server, prices{rpcWorker: w})
	case "stock":
		shoppb.RegisterStockServer(server, stock{rpcWorker: w})
	case "payments":
		shoppb.RegisterPaymentsServer(server, payments{rpcWorker: w})
	}
	return server
}

type rpcWorker struct {
	worker
	endpoints map[string]Endpoint // by full method name
}

// visit is the call that ctx belongs to.
func (w rpcWorker) visit(ctx context.Context) *Visit {
	trace := ""
	if values := metadata.ValueFromIncomingContext(ctx, dice.Header); len(values) > 0 {
		trace = values[0]
	}
	return NewVisit(dice.ParseTrace(trace), w.service, nil)
}

// serve acts out the endpoint of method for v. The error is the call's status.
func (w rpcWorker) serve(ctx context.Context, method string, v *Visit) error {
	e := w.endpoints[method]
	code := w.work(ctx, e, v)
	if code == codes.OK {
		code = w.ask(ctx, e, v)
	}
	if code == codes.OK {
		return nil
	}
	return status.Error(code, fmt.Sprintf("%s: %s", w.service, code))
}

type prices struct {
	shoppb.UnimplementedPricesServer
	rpcWorker
}

func (s prices) GetPrice(ctx context.Context, req *shoppb.GetPriceRequest) (*shoppb.Price, error) {
	v := s.visit(ctx)
	if err := s.serve(ctx, shoppb.Prices_GetPrice_FullMethodName, v); err != nil {
		return nil, err
	}
	return price(req, v), nil
}

func (s prices) Quote(stream grpc.BidiStreamingServer[shoppb.GetPriceRequest, shoppb.Price]) error {
	v := s.visit(stream.Context())
	for first := true; ; first = false {
		req, err := stream.Recv()
		if err != nil {
			return unlessEnd(err)
		}
		if first {
			if err := s.serve(stream.Context(), shoppb.Prices_Quote_FullMethodName, v); err != nil {
				return err
			}
		}
		if err := stream.Send(price(req, v)); err != nil {
			return err
		}
	}
}

func price(req *shoppb.GetPriceRequest, v *Visit) *shoppb.Price {
	return &shoppb.Price{Sku: req.GetSku(), Currency: req.GetCurrency(), Cents: int64(100 + v.dice.IntN(20000))}
}

type stock struct {
	shoppb.UnimplementedStockServer
	rpcWorker
}

func (s stock) GetLevel(ctx context.Context, req *shoppb.GetLevelRequest) (*shoppb.Level, error) {
	v := s.visit(ctx)
	if err := s.serve(ctx, shoppb.Stock_GetLevel_FullMethodName, v); err != nil {
		return nil, err
	}
	return level(req.GetSku(), v), nil
}

// ListLevels sends a first level before it works, so that what goes wrong goes wrong amid the answer.
func (s stock) ListLevels(_ *shoppb.ListLevelsRequest, stream grpc.ServerStreamingServer[shoppb.Level]) error {
	const method = shoppb.Stock_ListLevels_FullMethodName
	v := s.visit(stream.Context())
	for i := range s.endpoints[method].Chunks {
		if i == 1 {
			if err := s.serve(stream.Context(), method, v); err != nil {
				return err
			}
		}
		if err := stream.Send(level(v.Value("sku"), v)); err != nil {
			return err
		}
	}
	return nil
}

// Reserve works when it has the first item: what goes wrong is answered while the client still sends.
func (s stock) Reserve(stream grpc.ClientStreamingServer[shoppb.Item, shoppb.Reservation]) error {
	v := s.visit(stream.Context())
	for items := int32(0); ; items++ {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&shoppb.Reservation{Id: v.Value("reservation"), Items: items})
		}
		if err != nil {
			return err
		}
		if items == 0 {
			if err := s.serve(stream.Context(), shoppb.Stock_Reserve_FullMethodName, v); err != nil {
				return err
			}
		}
	}
}

func level(sku string, v *Visit) *shoppb.Level {
	return &shoppb.Level{Sku: sku, Warehouse: "north", Pieces: int32(v.dice.IntN(100))}
}

type payments struct {
	shoppb.UnimplementedPaymentsServer
	rpcWorker
}

func (s payments) Charge(ctx context.Context, _ *shoppb.ChargeRequest) (*shoppb.Receipt, error) {
	v := s.visit(ctx)
	if err := s.serve(ctx, shoppb.Payments_Charge_FullMethodName, v); err != nil {
		return nil, err
	}
	return &shoppb.Receipt{Id: v.Value("receipt")}, nil
}
