// Command soak runs Toposcope for a long time beside mixed protocols, storms of connections, short-lived processes, clients that are
// killed, reloads, and a kill -9 of Toposcope itself, and says whether what it counted is what was sent, and whether what it uses stays
// the same. It needs root, bin/toposcope and Debian's mariadb-server, redis-server, dnsmasq and bind9-dnsutils, and writes tables in
// Markdown. It exits with 1 when something is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/toposcope/toposcope/test/subject"
)

func main() {
	var s soak
	flag.DurationVar(&s.duration, "duration", time.Hour, "how long to go on")
	flag.DurationVar(&s.round, "round", 20*time.Second, "length of a round; what was counted is compared after each")
	flag.StringVar(&s.method, "method", "auto", "way of capture")
	flag.StringVar(&s.program, "toposcope", "../bin/toposcope", "the program to test")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak is one long run.
type soak struct {
	duration, round time.Duration
	method, program string

	dir    string // for programs and data
	top    *subject.Subject
	actors []actor
}

func (s *soak) run(ctx context.Context, out io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("root is needed: sudo make soak")
	}
	if s.dir, err = os.MkdirTemp("", "soak-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	if err := s.build(ctx); err != nil {
		return err
	}
	var stop func()
	if s.actors, stop, err = s.startActors(); err != nil {
		return err
	}
	defer stop()
	if err := s.start(ctx); err != nil {
		return err
	}
	defer func() { s.top.Stop() }()
	first, err := s.rounds(ctx, s.duration*3/4)
	if err != nil {
		return err
	}
	revival, err := s.revive(ctx)
	if err != nil {
		return err
	}
	second, err := s.rounds(ctx, s.duration/4)
	if err != nil {
		return err
	}
	return s.report(out, first, second, revival)
}

func (s *soak) build(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", s.dir+"/", "./load/httpload", "./load/httpserve", "./load/grpcload",
		"./load/grpcserve", "./load/dbload", "./load/mongoserve")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the load: %w", err)
	}
	return nil
}

func (s *soak) start(ctx context.Context) (err error) {
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	s.top, err = subject.Start(ctx, subject.Config{
		Program: s.program, Dir: data, Settings: "capture: {method: " + s.method + "}\n", Flags: []string{"--web.enable-lifecycle"},
	})
	return err
}

// revival is what came of a kill -9.
type revival struct {
	took   time.Duration // until it was ready again
	before float64       // samples of one series in the store from before the kill
}

// revive kills Toposcope and starts it again on its data.
func (s *soak) revive(ctx context.Context) (r revival, err error) {
	s.top.Kill()
	begin := time.Now()
	if err := s.start(ctx); err != nil {
		return r, fmt.Errorf("starting after a kill -9: %w", err)
	}
	r.took = time.Since(begin)
	r.before, err = s.samples(begin)
	return r, err
}
