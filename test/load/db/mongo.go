package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	wire "go.mongodb.org/mongo-driver/v2/x/mongo/driver"
)

// Errors of MongoDB.
const (
	duplicateKey   = 11000
	unknownCommand = 59
	badValue       = 2
)

// mongoCommands sends commands on one connection, beside that on which the driver watches the server. The driver tells of each.
func mongoCommands(ctx context.Context, target string, w worker, s *session) error {
	watched := make(chan struct{}, 1)
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + target + "/?directConnection=true").
		SetMaxPoolSize(1).SetHeartbeatInterval(time.Hour).SetMonitor(s.commands()).SetServerMonitor(s.heartbeats(watched)).SetPoolMonitor(s.connections()))
	if err != nil {
		return err
	}
	s.close = client.Disconnect
	items := client.Database("shop").Collection(fmt.Sprintf("items-%d-%d", os.Getpid(), w)) // nobody else's
	var all []any
	for i := range 30 {
		all = append(all, bson.D{{Key: "_id", Value: i}, {Key: "name", Value: fmt.Sprint("item ", i)}, {Key: "stock", Value: i}})
	}
	if _, err := items.InsertMany(ctx, all); err != nil {
		return err
	}
	s.steps = mongoSteps(items, s.value)
	select {
	case <-watched:
	case <-time.After(time.Second): // it was in no hurry
	}
	return nil
}

func mongoSteps(items *mongo.Collection, value string) []step {
	orders := items.Database().Collection("orders")
	one, nobody := bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "_id", Value: value}}
	order := bson.D{{Key: "item", Value: 1}, {Key: "note", Value: strings.Repeat(value, 100)}}
	inc := bson.D{{Key: "$inc", Value: bson.D{{Key: "stock", Value: 1}}}}
	stock := mongo.Pipeline{{{Key: "$group", Value: bson.D{{Key: "_id", Value: nil}, {Key: "sum", Value: bson.D{{Key: "$sum", Value: "$stock"}}}}}}}
	do := func(name string, code int, do func(ctx context.Context) error) step {
		return step{name, func(ctx context.Context) error { return mongoCode(do(ctx), code) }, nil}
	}
	run := func(command bson.D) func(ctx context.Context) error {
		return func(ctx context.Context) error { return items.Database().RunCommand(ctx, command).Err() }
	}
	return []step{
		do("insert", 0, func(ctx context.Context) error { _, err := orders.InsertOne(ctx, order); return err }),
		do("insert several", 0, func(ctx context.Context) error {
			_, err := orders.InsertMany(ctx, []any{order, order, order})
			return err
		}),
		do("find one", 0, func(ctx context.Context) error { return items.FindOne(ctx, one).Err() }),
		do("find nothing", 0, func(ctx context.Context) error {
			if err := items.FindOne(ctx, nobody).Err(); !errors.Is(err, mongo.ErrNoDocuments) {
				return fmt.Errorf("found something: %w", err)
			}
			return nil
		}),
		do("find all", 0, func(ctx context.Context) error {
			found, err := items.Find(ctx, bson.D{}, options.Find().SetBatchSize(10))
			if err != nil {
				return err
			}
			return found.All(ctx, &[]bson.Raw{})
		}),
		do("update", 0, func(ctx context.Context) error { _, err := items.UpdateOne(ctx, one, inc); return err }),
		do("delete", 0, func(ctx context.Context) error {
			_, err := orders.DeleteMany(ctx, bson.D{{Key: "item", Value: 1}})
			return err
		}),
		do("aggregate", 0, func(ctx context.Context) error {
			found, err := items.Aggregate(ctx, stock)
			if err != nil {
				return err
			}
			return found.All(ctx, &[]bson.Raw{})
		}),
		do("find and modify", 0, func(ctx context.Context) error { return items.FindOneAndUpdate(ctx, one, inc).Err() }),
		do("duplicate", duplicateKey, func(ctx context.Context) error { _, err := items.InsertOne(ctx, one); return err }),
		do("unknown command", unknownCommand, run(bson.D{{Key: nonsense, Value: "items"}})),
		do("bad value", badValue, func(ctx context.Context) error {
			return items.FindOne(ctx, bson.D{{Key: "$nonsense", Value: 1}}).Err()
		}),
		do("ping", 0, run(bson.D{{Key: "ping", Value: 1}})),
	}
}

// mongoCode fails unless err is that of code, 0 being none.
func mongoCode(err error, code int) error {
	var failed mongo.ServerError
	if errors.As(err, &failed) && len(failed.ErrorCodes()) > 0 {
		return sameCode(strconv.Itoa(failed.ErrorCodes()[0]), strconv.Itoa(code))
	}
	if err != nil || code != 0 {
		return fmt.Errorf("want the code %d: %w", code, err)
	}
	return nil
}

// nonsense is a command that no server knows.
const nonsense = "nonsense"

// mongoUpkeep are the commands by which a driver looks after itself.
var mongoUpkeep = map[string]bool{"endSessions": true, "ping": true}

// commands counts what the driver tells of its commands.
func (t *tally) commands() *event.CommandMonitor {
	asked := map[int64]string{}
	started := func(_ context.Context, e *event.CommandStartedEvent) {
		value, err := e.Command.LookupErr("collection")
		if e.CommandName != "getMore" || err != nil {
			value = e.Command.Index(0).Value()
		}
		collection, _ := value.StringValueOK()
		t.mu.Lock()
		defer t.mu.Unlock()
		asked[e.RequestID] = collection
	}
	ended := func(e event.CommandFinishedEvent, code string) {
		t.mu.Lock()
		collection := asked[e.RequestID]
		delete(asked, e.RequestID)
		t.mu.Unlock()
		op := Operation{Name: e.CommandName, Collection: collection, Code: code, Upkeep: mongoUpkeep[e.CommandName]}
		if e.CommandName == nonsense {
			op.Name, op.Collection = "other", ""
		}
		op.Rejected = op.Upkeep && code != "" // FerretDB knows no sessions
		t.add(op)
	}
	return &event.CommandMonitor{
		Started: started,
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			code := ""
			if failed, err := e.Reply.LookupErr("writeErrors", "0", "code"); err == nil {
				code = fmt.Sprint(failed.AsInt64())
			}
			ended(e.CommandFinishedEvent, code)
		},
		Failed: func(_ context.Context, e *event.CommandFailedEvent) {
			code := "?"
			var failed wire.Error
			if errors.As(e.Failure, &failed) {
				code = strconv.Itoa(int(failed.Code))
			}
			ended(e.CommandFinishedEvent, code)
		},
	}
}

// hello is the command by which the driver watches the server, isMaster by which it greets it on each connection.
const (
	hello    = "hello"
	isMaster = "isMaster"
)

// heartbeats counts those of the driver, and tells of the second. If the driver was in a hurry for the server
// that comes half a second after the first, else in an hour.
func (t *tally) heartbeats(second chan<- struct{}) *event.ServerMonitor {
	var greeted sync.Map // connections, by their IDs
	return &event.ServerMonitor{ServerHeartbeatSucceeded: func(e *event.ServerHeartbeatSucceededEvent) {
		if _, known := greeted.LoadOrStore(e.ConnectionID, true); !known {
			t.add(Operation{Name: isMaster, Upkeep: true})
			return
		}
		t.add(Operation{Name: hello, Upkeep: true})
		select {
		case second <- struct{}{}:
		default:
		}
	}}
}

// connections counts the greetings on those that the driver opens for commands.
func (t *tally) connections() *event.PoolMonitor {
	return &event.PoolMonitor{Event: func(e *event.PoolEvent) {
		if e.Type == event.ConnectionReady {
			t.add(Operation{Name: isMaster, Upkeep: true})
		}
	}}
}
