// Package mysql is the demo's MySQL server: dolthub/go-mysql-server with the shop's tables in memory, and faults that can be switched
// on.
package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	wire "github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	"github.com/dolthub/vitess/go/vt/proto/query"
	"github.com/sirupsen/logrus"

	sqle "github.com/dolthub/go-mysql-server"

	"github.com/toposcope/toposcope/demo/fault"
)

// version is what the server says it is.
const version = "8.0.43-demo"

// Server answers queries.
type Server struct {
	server *server.Server
}

// New makes a server with the shop's tables at l, which it owns from then on, and meets queries with faults.
func New(l net.Listener, faults *fault.Fates) (*Server, error) {
	logrus.SetOutput(io.Discard) // the engine has no other way of being silent
	db := memory.NewDatabase(Database)
	db.EnablePrimaryKeyIndexes()
	provider := memory.NewDBProvider(db)
	engine := sqle.NewDefault(provider)
	session := memory.NewSession(sql.NewBaseSession(), provider)
	ctx := sql.NewContext(context.Background(), sql.WithSession(session))
	ctx.SetCurrentDatabase(Database)
	for _, statement := range schema() {
		_, rows, _, err := engine.Query(ctx, statement)
		if err == nil {
			_, err = sql.RowIterToRows(ctx, rows)
		}
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("making the tables: %w", err)
		}
	}
	wrap := func(h wire.Handler) (wire.Handler, error) { return &handler{Handler: h, faults: faults}, nil }
	config := server.Config{Protocol: "tcp", Address: l.Addr().String(), Listener: l, Version: version}
	s, err := server.NewServerWithHandler(config, engine, sql.NewContext, memory.NewSessionBuilder(provider), nil, wrap)
	if err != nil {
		return nil, fmt.Errorf("making the server: %w", err)
	}
	return &Server{s}, nil
}

// Serve answers until ctx ends. Connections that are open then go with the process.
func (s *Server) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.server.Listener.Close)()
	s.server.Listener.Accept()
	return nil
}

// handler stands before the engine's: it meets queries with faults, and lets one at a time into the engine, whose tables in memory are
// not made for several that write.
type handler struct {
	wire.Handler
	faults *fault.Fates

	mu sync.Mutex
}

func (h *handler) ComQuery(ctx context.Context, c *wire.Conn, query string, callback wire.ResultSpoolFn) error {
	if err := h.meet(ctx, query); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return named(h.Handler.ComQuery(ctx, c, query, callback))
}

func (h *handler) ComMultiQuery(ctx context.Context, c *wire.Conn, query string, callback wire.ResultSpoolFn) (string, error) {
	if err := h.meet(ctx, query); err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	rest, err := h.Handler.ComMultiQuery(ctx, c, query, callback)
	return rest, named(err)
}

func (h *handler) ComPrepare(ctx context.Context, c *wire.Conn, text string, p *wire.PrepareData) ([]*query.Field, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Handler.ComPrepare(ctx, c, text, p)
}

func (h *handler) ComStmtExecute(ctx context.Context, c *wire.Conn, p *wire.PrepareData, callback func(*sqltypes.Result) error) error {
	if err := h.meet(ctx, p.PrepareStmt); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return named(h.Handler.ComStmtExecute(ctx, c, p, callback))
}

// meet acts out the faults that query meets. The end of a transaction meets none: what is begun can be undone.
func (h *handler) meet(ctx context.Context, query string) error {
	if query == "COMMIT" || query == "ROLLBACK" {
		return nil
	}
	slow, failed := h.faults.Draw(query)
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	if failed {
		return wire.NewSQLError(wire.ERLockWaitTimeout, wire.SSUnknownSQLState, "Lock wait timeout exceeded; try restarting transaction")
	}
	return nil
}

// named is err with the code that MySQL has for it, where the engine says no more than that there is an error.
func named(err error) error {
	var wrong *wire.SQLError
	if errors.As(err, &wrong) && wrong.Num == wire.ERUnknownError && strings.Contains(wrong.Message, "could not be found in any table") {
		return wire.NewSQLError(wire.ERBadFieldError, wire.SSBadFieldError, "%s", wrong.Message)
	}
	return err
}
