package traffic

import (
	"context"
	"fmt"

	"github.com/toposcope/toposcope/test/load/db"
)

// loadMongoDB sends commands through the driver, which tells of each, its upkeep included. All is on connections that are newer than
// capture: when the driver of an old one looks after itself is its own affair.
func loadMongoDB(ctx context.Context, address string, small bool, ready func() error) ([]Operation, error) {
	if err := ready(); err != nil {
		return nil, err
	}
	plan := db.Plan{Driver: "mongo", Target: address, Connections: 1, Count: portion(60, small), Value: "a value"}
	report, err := db.Run(ctx, plan, func() error { return nil })
	if err != nil {
		return nil, fmt.Errorf("sending commands: %w", err)
	}
	var made tally
	for _, op := range append(report.Before, report.Operations...) {
		made.add(Operation{
			Key:    Key(op.Name, op.Collection, op.Code),
			Failed: op.Code != "" && !op.Rejected, Rejected: op.Rejected, Upkeep: op.Upkeep,
		}, uint64(op.Count))
	}
	return made.all, nil
}
