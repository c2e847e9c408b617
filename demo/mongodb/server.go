// Package mongodb is the demo's MongoDB server: FerretDB with SQLite, and faults that can be switched on.
//
// SQLite has its files in a folder that goes with the server. In memory it has one connection alone, which a cursor that is open holds.
//
// FerretDB has no place to put faults at, so it listens on a Unix socket that has no file, and a front of this package takes the
// connections, hands on what comes, and answers itself where a fault says so.
package mongodb

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"

	"github.com/toposcope/toposcope/demo/fault"
)

// Server answers commands.
type Server struct {
	front  front
	folder *folder
	stop   context.CancelFunc
	ended  chan struct{} // closed when FerretDB has ended
}

// New starts a server with the shop's collections, and makes a front for it at l, which it owns from then on.
func New(ctx context.Context, l net.Listener, faults *fault.Fates) (*Server, error) {
	folder, err := newFolder()
	if err != nil {
		l.Close()
		return nil, err
	}
	// An abstract Unix socket: it goes with the process. Two servers of one process, in tests, have different ports.
	socket := fmt.Sprintf("@toposcope-demo-mongodb-%d-%d", os.Getpid(), l.Addr().(*net.TCPAddr).Port)
	db, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{Unix: socket},
		Logger:   slog.New(slog.DiscardHandler),
		Handler:  "sqlite",
		// What a crash leaves is of no use to anybody, so nothing waits for the disk.
		SQLiteURL: (&url.URL{Scheme: "file", Path: folder.path + "/", RawQuery: "_pragma=synchronous(off)"}).String(),
	})
	if err != nil {
		l.Close()
		folder.remove()
		return nil, fmt.Errorf("making the server: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		front:  front{listener: l, back: dialer(socket), faults: faults, closing: make(chan struct{})},
		folder: folder, stop: stop, ended: make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		_ = db.Run(ctx) // by its text it is always nil
	}()
	if err := fill(ctx, "mongodb://back/?directConnection=true", s.front.back); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	defer s.close()
	defer context.AfterFunc(ctx, func() { _ = s.front.listener.Close() })()
	err := s.front.serve()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// close ends everything, once, and waits for it.
func (s *Server) close() {
	_ = s.front.listener.Close() // says only that it is closed already
	close(s.front.closing)
	s.front.drop()
	s.stop()
	<-s.ended
	s.folder.remove()
}

// dialer connects to a Unix socket, whatever it is asked for.
type dialer string

func (d dialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", string(d))
}

// open is a set of connections that can be closed from outside.
type open struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func (o *open) add(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conns == nil {
		o.conns = map[net.Conn]bool{}
	}
	o.conns[c] = true
}

func (o *open) close(c net.Conn) {
	_ = c.Close() // says only that it is closed already
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.conns, c)
}

// drop closes all, and waits until nobody works on them any more.
func (o *open) drop() {
	o.mu.Lock()
	for c := range o.conns {
		_ = c.Close()
	}
	o.mu.Unlock()
	o.wg.Wait()
}
