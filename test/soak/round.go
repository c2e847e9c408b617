package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/toposcope/toposcope/test/subject"
)

// tally is what was sent by one actor and what of it was counted.
type tally struct {
	name           string
	sent           float64
	client, server float64 // at either end; server is -1 where its server is shared or no end of its own
}

// round is one round's outcome.
type round struct {
	tallies []tally
	lost    float64 // exchanges that edges are known to miss
	usage   usage
}

// rounds plays for a time. Reloads and kills of clients go on meanwhile.
func (s *soak) rounds(ctx context.Context, length time.Duration) (list []round, err error) {
	for end := time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; {
		r, err := s.play(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w\n%s", len(list)+1, err, s.top.Log())
		}
		list = append(list, r)
		fmt.Fprintf(os.Stderr, "round %d: %s\n", len(list), r)
	}
	return list, ctx.Err()
}

// play is one round: every actor plays its part, and when all are done the counts are compared.
func (s *soak) play(ctx context.Context) (r round, err error) {
	before, err := s.top.Metrics()
	if err != nil {
		return r, err
	}
	disturbing, stop := context.WithCancel(ctx)
	var disturbers sync.WaitGroup
	disturbers.Go(func() { s.reload(disturbing) })
	disturbers.Go(func() { s.killClients(disturbing) })
	sent, err := s.playAll()
	stop()
	disturbers.Wait()
	if err != nil {
		return r, err
	}
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(250 * time.Millisecond) {
		now, err := s.top.Metrics()
		if err != nil {
			return r, err
		}
		r.tallies = s.compare(before, now, sent)
		r.lost = now.Sum("toposcope_edge_lost_total") - before.Sum("toposcope_edge_lost_total")
		if r.exact() || time.Now().After(deadline) {
			break
		}
	}
	r.usage, err = s.use()
	return r, err
}

func (s *soak) playAll() ([]int, error) {
	sent, errs := make([]int, len(s.actors)), make([]error, len(s.actors))
	var playing sync.WaitGroup
	for i := range s.actors {
		playing.Go(func() { sent[i], errs[i] = s.actors[i].play() })
	}
	playing.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return sent, nil
}

// compare sets what was counted between two readings beside what was sent. Servers are compared as wholes: the last of their clients
// carries the server's count and the sum of what was sent to it.
func (s *soak) compare(before, now subject.Metrics, sent []int) (list []tally) {
	grown := func(name, service string) float64 {
		label := `service_name="` + service + `"`
		return now.Sum(name+"_count", label) - before.Sum(name+"_count", label)
	}
	served := map[string]*tally{}
	var order []string
	for i, a := range s.actors {
		list = append(list, tally{name: a.name, sent: float64(sent[i]), client: grown(a.client, a.name), server: -1})
		if a.server == "" {
			continue
		}
		if served[a.service] == nil {
			served[a.service] = &tally{name: a.service, client: -1, server: grown(a.server, a.service)}
			order = append(order, a.service)
		}
		served[a.service].sent += float64(sent[i])
	}
	for _, name := range order {
		list = append(list, *served[name])
	}
	return list
}

// exact says whether everything that was sent was counted once.
func (r round) exact() bool {
	for _, t := range r.tallies {
		if t.client >= 0 && t.client != t.sent || t.server >= 0 && t.server != t.sent {
			return false
		}
	}
	return true
}

// explained says whether nothing was counted twice, and no more is missing than is known to be.
func (r round) explained() bool {
	var missing float64
	for _, t := range r.tallies {
		counted := max(t.client, t.server)
		if counted > t.sent {
			return false
		}
		missing += t.sent - counted
	}
	return missing <= 2*r.lost // at either end
}

func (r round) String() string {
	var sent float64
	var wrong []string
	for _, t := range r.tallies {
		if t.client >= 0 {
			sent += t.sent
		}
		if counted := max(t.client, t.server); counted != t.sent {
			wrong = append(wrong, fmt.Sprintf("%s %g of %g", t.name, counted, t.sent))
		}
	}
	if len(wrong) == 0 {
		return fmt.Sprintf("%g sent, all counted once; %s", sent, r.usage)
	}
	return fmt.Sprintf("%g sent, counted %s, known to be missing %g; %s", sent, strings.Join(wrong, ", "), r.lost, r.usage)
}

// reload lets Toposcope read its configuration anew, every few seconds.
func (s *soak) reload(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(3 * time.Second):
			_ = s.top.Signal(syscall.SIGHUP)
		}
	}
}

// killClients starts clients and kills them in the midst of what they do. Nobody knows how much they sent: their server is their own.
func (s *soak) killClients(ctx context.Context) {
	server := exec.CommandContext(ctx, s.tool("httpserve"), "-listen", "127.0.77.2:7677")
	server.Env = append(os.Environ(), "OTEL_SERVICE_NAME=soak-victims-server")
	if server.Start() != nil {
		return
	}
	defer func() { _ = server.Wait() }() // killed, always
	for ctx.Err() == nil {
		victim, cancel := context.WithTimeout(ctx, time.Second)
		c := exec.CommandContext(victim, s.tool("httpload"), "-target", "127.0.77.2:7677", "-rate", "200", "-duration", "1h",
			"-connections", "4", "-request", "GET /users/{n}?bytes=500")
		c.Env = append(os.Environ(), "OTEL_SERVICE_NAME=soak-victim")
		_ = c.Run() // killed, always
		cancel()
	}
}
