package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/toposcope/toposcope/test/load/rpc"
)

// serveGRPC answers calls as they ask for.
func serveGRPC(ctx context.Context, listening func(string) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if err := listening(l.Addr().String()); err != nil {
		return err
	}
	if err := rpc.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// grpcCalls are of every kind of method, and end with codes of every kind: NOT_FOUND is rejected, INTERNAL and UNAVAILABLE failed.
func grpcCalls() []string {
	return []string{
		"test.Shop/Get", "test.Shop/Put bytes=40000", "test.Shop/List messages=5", "test.Shop/Upload messages=3 bytes=9000",
		"test.Shop/Chat messages=3", "test.Shop/Get code=5", "test.Orders/Place code=13", "test.Orders/Track messages=2 code=14",
		"test.Shop/Missing",
	}
}

// grpcFailures are the codes of failed calls; see the contract's metrics.
func grpcFailures() []string {
	return []string{"UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
}

// loadGRPC calls on a connection that is older than capture and unused until then, so that nothing was said before, and on new ones.
func loadGRPC(ctx context.Context, address string, small bool, ready func() error) ([]Operation, error) {
	plan := rpc.Plan{Target: address, Connections: 1, Streams: 4, Count: portion(63, small)}
	for _, text := range grpcCalls() {
		call, err := rpc.ParseCall(text)
		if err != nil {
			return nil, err
		}
		plan.Calls = append(plan.Calls, call)
	}
	old, err := rpc.Run(ctx, plan, ready)
	if err != nil {
		return nil, fmt.Errorf("on the old connection: %w", err)
	}
	plan.Connections = 2
	fresh, err := rpc.Run(ctx, plan, nil)
	if err != nil {
		return nil, fmt.Errorf("on new connections: %w", err)
	}
	if wrong := append(old.Wrong, fresh.Wrong...); len(wrong) > 0 {
		return nil, errors.New("calls did not end as planned: " + wrong[0])
	}
	var made tally
	for _, op := range append(old.Operations, fresh.Operations...) {
		failed := slices.Contains(grpcFailures(), op.Code)
		made.add(Operation{Key: Key(op.Method, op.Code), Failed: failed, Rejected: !failed && op.Code != "OK"}, uint64(op.Count))
	}
	return made.all, nil
}
