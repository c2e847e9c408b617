package shop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"

	"github.com/toposcope/toposcope/demo/mongodb"
	"github.com/toposcope/toposcope/demo/tally"
)

// selectTimeout is how long MongoDB's driver looks for a server that is away.
const selectTimeout = 2 * time.Second

// collection is one of the shop's in MongoDB.
func (d *databases) collection(name string) (*mongo.Collection, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.document == nil {
		// An operation is sent once: so the report is of what was wanted.
		client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + d.address(documentServer) + "/?directConnection=true").
			SetAppName(d.name).SetDialer(dialer(d.dial)).SetMonitor((&watcher{d: d, open: map[int64]opened{}}).monitor()).
			SetRetryReads(false).SetRetryWrites(false).SetServerSelectionTimeout(selectTimeout))
		if err != nil {
			return nil, fmt.Errorf("configuring MongoDB: %w", err)
		}
		d.document = client
	}
	return d.document.Database(mongodb.Database).Collection(name), nil
}

// dialer is a function in the shape that MongoDB's driver wants.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// watcher counts the commands that MongoDB's driver sends.
type watcher struct {
	d *databases

	mu   sync.Mutex
	open map[int64]opened // by request ID
}

// opened is a command without an answer.
type opened struct{ collection string }

func (w *watcher) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{
		Started: func(_ context.Context, e *event.CommandStartedEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.open[e.RequestID] = opened{collectionOf(e.Command, e.CommandName)}
		},
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			w.done(e.CommandFinishedEvent, writeError(e.Reply))
		},
		Failed: func(_ context.Context, e *event.CommandFailedEvent) {
			status := tally.Unanswered
			var wrong driver.Error
			if errors.As(e.Failure, &wrong) && wrong.Code != 0 {
				status = strconv.Itoa(int(wrong.Code))
			}
			w.done(e.CommandFinishedEvent, status)
		},
	}
}

// done counts a command that has ended, but none that the driver sends for itself.
func (w *watcher) done(e event.CommandFinishedEvent, status string) {
	w.mu.Lock()
	o := w.open[e.RequestID]
	delete(w.open, e.RequestID)
	w.mu.Unlock()
	if !slices.Contains([]string{"hello", "isMaster", "ping", "endSessions", "killCursors"}, e.CommandName) {
		w.d.count(documentServer, e.CommandName, o.collection, status)
	}
}

// collectionOf is the collection that a command is about: the value of its first field, of getMore that of another.
func collectionOf(command bson.Raw, name string) string {
	if name == "getMore" {
		name = "collection"
	}
	collection, _ := command.Lookup(name).StringValueOK()
	return collection
}

// writeError is the code of the first of reply's write errors, "" where there is none: such an answer says ok all the same.
func writeError(reply bson.Raw) string {
	wrong, ok := reply.Lookup("writeErrors").ArrayOK()
	if !ok {
		return ""
	}
	code, ok := wrong.Index(0).Document().Lookup("code").AsInt64OK()
	if !ok {
		return ""
	}
	return strconv.FormatInt(code, 10)
}

func findProfile(ctx context.Context, d *databases, v *Visit) error {
	profiles, err := d.collection("profiles")
	if err != nil {
		return err
	}
	return profiles.FindOne(ctx, bson.D{{Key: "_id", Value: v.dice.IntN(mongodb.Profiles)}}).Err()
}

func countVisit(ctx context.Context, d *databases, v *Visit) error {
	profiles, err := d.collection("profiles")
	if err != nil {
		return err
	}
	_, err = profiles.UpdateOne(ctx, bson.D{{Key: "_id", Value: v.dice.IntN(mongodb.Profiles)}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "visits", Value: 1}}}})
	return err
}

func countStars(ctx context.Context, d *databases, v *Visit) error {
	reviews, err := d.collection("reviews")
	if err != nil {
		return err
	}
	cursor, err := reviews.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "shelf", Value: v.dice.IntN(mongodb.Shelves)}}}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$stars"}, {Key: "count", Value: bson.D{{Key: "$sum", Value: 1}}}}}},
	})
	if err != nil {
		return err
	}
	return readAll(ctx, cursor)
}

// listReviews takes the reviews of one shelf in pieces.
func listReviews(ctx context.Context, d *databases, v *Visit) error {
	reviews, err := d.collection("reviews")
	if err != nil {
		return err
	}
	const piece = 5
	cursor, err := reviews.Find(ctx, bson.D{{Key: "shelf", Value: v.dice.IntN(mongodb.Shelves)}}, options.Find().SetBatchSize(piece))
	if err != nil {
		return err
	}
	return readAll(ctx, cursor)
}

func readAll(ctx context.Context, cursor *mongo.Cursor) error {
	for cursor.Next(ctx) { // what it holds is of no use here
	}
	return errors.Join(cursor.Err(), cursor.Close(ctx))
}

// addShipment now and then tells of a shipment that is known already.
func addShipment(ctx context.Context, d *databases, v *Visit) error {
	shipments, err := d.collection("shipments")
	if err != nil {
		return err
	}
	number := orderNumber(v)
	if v.dice.Chance(0.05) {
		number = mongodb.FirstShipment
	}
	_, err = shipments.InsertOne(ctx, bson.D{{Key: "_id", Value: number}, {Key: "carrier", Value: "north"}})
	if mongo.IsDuplicateKeyError(err) {
		return errConflict
	}
	return err
}
