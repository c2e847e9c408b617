package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/fault"
)

// Bounds on what strangers can make the server hold.
const (
	maxWaiting     = 1024             // answers that are being held back because they are to be slow; one more is lost
	maxConnections = 64               // over TCP; one more waits
	maxQuestions   = 4096             // different questions whose number is kept
	idle           = 10 * time.Second // a TCP connection without a query is closed
)

// Server answers from Zone. Faults gives what goes wrong at the moment, drawn by Seed: the nth time that a question is asked meets
// the same fate in every run.
type Server struct {
	Zone   *Zone
	Faults func() fault.Fault
	Seed   uint64

	mu    sync.Mutex
	asked map[string]uint64 // how often, by question
}

// Serve answers queries at l, which it closes, until ctx ends.
func (s *Server) Serve(ctx context.Context, l *Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	ended := make(chan error, 2)
	go func() { ended <- s.serveUDP(ctx, l.udp) }()
	go func() { ended <- s.serveTCP(ctx, l.tcp) }()
	err := <-ended
	cancel() // one without the other is no name server
	return errors.Join(err, <-ended)
}

func (s *Server) serveUDP(ctx context.Context, conn *net.UDPConn) error {
	waiting := make(chan struct{}, maxWaiting)
	buf := make([]byte, math.MaxUint16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a datagram: %w", err)
		}
		answer, late := s.answer(buf[:n], true)
		if answer == nil {
			continue
		}
		send := func() { _, _ = conn.WriteToUDPAddrPort(answer, from) } // a client that went away has no use for an error
		if late == 0 {
			send()
			continue
		}
		select {
		case waiting <- struct{}{}:
			time.AfterFunc(late, func() {
				send()
				<-waiting
			})
		default:
		}
	}
}

func (s *Server) serveTCP(ctx context.Context, listener net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxConnections)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			s.converse(ctx, conn)
		})
	}
}

// converse answers the queries that come on conn in turn, until its client has no more or does something that is not DNS.
func (s *Server) converse(ctx context.Context, conn net.Conn) {
	var length [2]byte
	for {
		_ = conn.SetDeadline(time.Now().Add(idle)) // fails where conn is closed, and so does the read
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, msg); err != nil {
			return
		}
		answer, late := s.answer(msg, false)
		if answer == nil {
			continue
		}
		select {
		case <-time.After(late):
		case <-ctx.Done():
			return
		}
		_ = conn.SetDeadline(time.Now().Add(idle))
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer makes the answer to msg, and says how late it is to be. nil: there is none.
func (s *Server) answer(msg []byte, udp bool) (answer []byte, late time.Duration) {
	q, code, ok := parse(msg)
	if !ok {
		return nil, 0
	}
	r := reply{code: code}
	if code == 0 {
		f, d := s.Faults(), s.dice(q)
		switch {
		case d.Chance(f.Lost):
			return nil, 0
		case d.Chance(f.Fail):
			r.code = dnsmessage.RCodeServerFailure
		default:
			r = s.Zone.lookup(q.name, q.question.Type)
		}
		if d.Chance(f.Slow) {
			late = f.SlowBy
		}
	}
	size := math.MaxUint16
	if udp {
		size = max(q.size, plainSize)
	}
	answer, err := pack(q, r, size)
	if err != nil {
		return nil, 0
	}
	return answer, late
}

// dice are those of this asking of q.
func (s *Server) dice(q query) *dice.Dice {
	key := q.question.Type.String() + " " + q.name
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil || len(s.asked) >= maxQuestions {
		s.asked = map[string]uint64{}
	}
	s.asked[key]++
	return dice.New(s.Seed, fmt.Sprintf("dns %s %d", key, s.asked[key]))
}
