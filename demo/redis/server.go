// Package redis is the demo's Redis server: alicebob/miniredis, with faults that can be switched on.
package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/toposcope/toposcope/demo/fault"
)

// upkeep are the commands that clients send for themselves; they meet no faults.
func upkeep() []string { return []string{"HELLO", "CLIENT", "AUTH", "SELECT", "PING", "QUIT"} }

// Server is a running server.
type Server struct {
	mini *miniredis.Miniredis
}

// New starts a server at address, "127.0.0.1:0" for a free port, and meets its commands with faults.
func New(address string, faults *fault.Fates) (*Server, error) {
	s := &Server{miniredis.NewMiniRedis()}
	s.mini.ClockTTL(true)
	if err := s.mini.StartAddr(address); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	s.mini.Server().SetPreHook(func(c *server.Peer, command string, args ...string) bool {
		if slices.Contains(upkeep(), command) {
			return false
		}
		slow, failed := faults.Draw(command)
		select {
		case <-time.After(slow):
		case <-s.mini.Ctx.Done():
		}
		if failed {
			c.WriteError("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")
		}
		return failed
	})
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.mini.Addr() }

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	<-ctx.Done()
	s.mini.Close()
	return nil
}
