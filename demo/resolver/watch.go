package resolver

import (
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/toposcope/toposcope/demo/tally"
)

// question is one that is open.
type question struct {
	name string
	kind dnsmessage.Type
}

// watch counts the questions that leave through a connection, each with the code of its answer once that is there.
type watch struct {
	resolver  *Resolver
	transport string

	mu    sync.Mutex
	asked map[uint16]question // by ID
}

// parse reads the header and the first question of msg.
func parse(msg []byte) (dnsmessage.Header, question, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return h, question{}, false
	}
	q, err := p.Question()
	return h, question{q.Name.String(), q.Type}, err == nil
}

func (w *watch) sent(msg []byte) {
	if h, q, ok := parse(msg); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked[h.ID] = q
	}
}

func (w *watch) received(msg []byte) {
	h, q, ok := parse(msg)
	if !ok || !h.Response {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked[h.ID] == q {
		delete(w.asked, h.ID)
		w.count(q, codeName(h.RCode))
	}
}

// closed counts what was not answered.
func (w *watch) closed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.asked {
		w.count(q, "")
	}
	clear(w.asked)
}

func (w *watch) count(q question, code string) {
	w.resolver.Book.Questions.Add(tally.Question{
		Client: w.resolver.Client, Server: w.resolver.Server, Transport: w.transport,
		Name: q.name, Type: strings.TrimPrefix(q.kind.String(), "Type"), Code: code,
	})
}

// codeName is c's name in IANA's list of DNS RCODEs.
func codeName(c dnsmessage.RCode) string {
	switch c {
	case dnsmessage.RCodeSuccess:
		return "NOERROR"
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeNameError:
		return "NXDOMAIN"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	}
	return c.String()
}

// sooner is t, or Timeout from now if that is sooner: on some hosts resolv.conf has programs wait for long.
func sooner(t time.Time) time.Time {
	if most := time.Now().Add(Timeout); t.IsZero() || t.After(most) {
		return most
	}
	return t
}

// datagrams is a connection over UDP. Go's resolver tells it by its being a net.PacketConn.
type datagrams struct {
	*net.UDPConn
	*watch
}

func (d *datagrams) Write(msg []byte) (int, error) {
	n, err := d.UDPConn.Write(msg)
	if err == nil {
		d.sent(msg)
	}
	return n, err
}

func (d *datagrams) Read(buf []byte) (int, error) {
	n, err := d.UDPConn.Read(buf)
	if err == nil {
		d.received(buf[:n])
	}
	return n, err
}

func (d *datagrams) SetDeadline(t time.Time) error { return d.UDPConn.SetDeadline(sooner(t)) }

func (d *datagrams) Close() error {
	d.closed()
	return d.UDPConn.Close()
}

// stream is a connection over TCP, where each message follows its length.
type stream struct {
	net.Conn
	*watch
	out, in []byte // bytes that are no whole message yet
}

// whole takes the whole messages off the front of bytes and calls use with each; it returns the rest.
func whole(bytes []byte, use func(msg []byte)) []byte {
	for len(bytes) >= 2 && len(bytes)-2 >= int(binary.BigEndian.Uint16(bytes)) {
		end := 2 + int(binary.BigEndian.Uint16(bytes))
		use(bytes[2:end])
		bytes = bytes[end:]
	}
	return bytes
}

func (s *stream) Write(bytes []byte) (int, error) {
	n, err := s.Conn.Write(bytes)
	s.out = whole(append(s.out, bytes[:n]...), s.sent)
	return n, err
}

func (s *stream) Read(buf []byte) (int, error) {
	n, err := s.Conn.Read(buf)
	s.in = whole(append(s.in, buf[:n]...), s.received)
	return n, err
}

func (s *stream) SetDeadline(t time.Time) error { return s.Conn.SetDeadline(sooner(t)) }

func (s *stream) Close() error {
	s.closed()
	return s.Conn.Close()
}
