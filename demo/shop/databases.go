package shop

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/tally"
)

// The databases of the shop, by the names of their services, which are also those of their systems.
const (
	sqlServer      = "mysql"
	documentServer = "mongodb"
	queueServer    = "redis"
)

// query asks a database something for v.
type query func(ctx context.Context, d *databases, v *Visit) error

// queries are those that a Call can have, by name.
func queries() map[string]query {
	return map[string]query{
		"items": listItems, "item": findItem, "count items": countItems,
		"place order": placeOrder, "ship order": shipOrder, "forget order": forgetOrder, "find order": findOrder,
		"best sellers": bestSellers, "scores": scores,
		"profile": findProfile, "count visit": countVisit, "stars": countStars, "reviews": listReviews, "add shipment": addShipment,
		"session": session, "cart": readCart, "add to cart": addToCart, "empty cart": emptyCart, "enqueue order": enqueueOrder,
	}
}

// errConflict says that what was to be made is there already.
var errConflict = errors.New("it is there already")

// query asks what call says. The databases count that, operation by operation.
func (c *Client) query(ctx context.Context, call Call, v *Visit) codes.Code {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	ask := c.queries[call.Query]
	if ask == nil {
		return codes.Unimplemented
	}
	switch err := ask(ctx, c.databases, v); {
	case err == nil:
		return codes.OK
	case errors.Is(err, errConflict):
		return codes.FailedPrecondition
	}
	return codes.Unavailable
}

// databases are one service's connections to the shop's databases. They are made when they are first needed.
type databases struct {
	name    string // the service's, for the tally
	book    *tally.Book
	address func(server string) string // "name:port", which dial takes
	connect func(ctx context.Context, network, address string) (net.Conn, error)

	mu       sync.Mutex
	sql      *sql.DB
	document *mongo.Client
	redis    *redis.Client
}

// count counts an operation that went out.
func (d *databases) count(server, operation, collection, status string) {
	d.book.Operations.Add(tally.Operation{
		Client: d.name, Server: server, System: server, Operation: operation, Collection: collection, Status: status,
	})
}

// errNotSent says that there was no connection to send anything on.
type errNotSent struct{ error }

func (e errNotSent) Unwrap() error { return e.error }

// dial is connect, with errors that tell that nothing was sent.
func (d *databases) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, errNotSent{err}
	}
	return conn, nil
}

// notSent says whether err comes from dial.
func notSent(err error) bool {
	var e errNotSent
	return errors.As(err, &e)
}

// close closes all connections. Errors say only that one is closed already.
func (d *databases) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sql != nil {
		_ = d.sql.Close()
	}
	if d.document != nil {
		_ = d.document.Disconnect(context.Background())
	}
	if d.redis != nil {
		_ = d.redis.Close()
	}
}
