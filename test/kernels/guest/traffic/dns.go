package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// nameServers are where the name server listens, at the port by which DNS is known. The first is its address.
func nameServers() []string { return []string{"127.0.53.77:53", "[::1]:53"} }

// patience is how long an answer, or the next question on a connection, may take: in emulation the library's 2 s and 8 s are not much.
const patience = 5 * time.Minute

func newDNSClient(network string) *dns.Client { return &dns.Client{Net: network, Timeout: patience} }

// question is asked, and answered with that code.
type question struct {
	name string
	kind uint16
	code int
}

func questions() []question {
	return []question{
		{"www.shop.test.", dns.TypeA, dns.RcodeSuccess},
		{"www.shop.test.", dns.TypeAAAA, dns.RcodeSuccess},
		{"text.shop.test.", dns.TypeTXT, dns.RcodeSuccess},
		{"nobody.shop.test.", dns.TypeA, dns.RcodeNameError},
		{"broken.test.", dns.TypeA, dns.RcodeServerFailure},
		{"example.", dns.TypeMX, dns.RcodeRefused},
	}
}

func (q question) operation() Operation {
	return Operation{
		Key:      Key(strings.TrimSuffix(q.name, "."), dns.TypeToString[q.kind], dns.RcodeToString[q.code]),
		Rejected: q.code == dns.RcodeNameError, Failed: q.code == dns.RcodeServerFailure || q.code == dns.RcodeRefused,
	}
}

// serveDNS answers over UDP and TCP, on both IP versions.
func serveDNS(ctx context.Context, listening func(string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	started := make(chan struct{})
	wanted := 0
	for _, address := range nameServers() {
		for _, network := range []string{"udp", "tcp"} {
			srv := &dns.Server{
				Addr: address, Net: network, Handler: dns.HandlerFunc(answerDNS), NotifyStartedFunc: func() { started <- struct{}{} },
				ReadTimeout: patience, IdleTimeout: func() time.Duration { return patience }, MaxTCPQueries: -1,
			}
			wanted++
			g.Go(func() error {
				defer context.AfterFunc(ctx, func() { _ = srv.Shutdown() })()
				if err := srv.ListenAndServe(); err != nil {
					return fmt.Errorf("serving %s at %s: %w", network, address, err)
				}
				return nil
			})
		}
	}
	for range wanted {
		select {
		case <-started:
		case <-ctx.Done():
			return g.Wait()
		}
	}
	if err := listening(nameServers()[0]); err != nil {
		return err
	}
	return g.Wait()
}

// answerDNS looks the code of the answer up among the questions.
func answerDNS(w dns.ResponseWriter, asked *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetRcode(asked, dns.RcodeFormatError)
	for _, q := range questions() {
		if len(asked.Question) != 1 || asked.Question[0].Name != q.name || asked.Question[0].Qtype != q.kind {
			continue
		}
		answer.SetRcode(asked, q.code)
		head := dns.RR_Header{Name: q.name, Rrtype: q.kind, Class: dns.ClassINET, Ttl: 5}
		switch q.kind {
		case dns.TypeA:
			answer.Answer = []dns.RR{&dns.A{Hdr: head, A: net.IPv4(192, 0, 2, 10)}}
		case dns.TypeAAAA:
			answer.Answer = []dns.RR{&dns.AAAA{Hdr: head, AAAA: net.ParseIP("2001:db8::10")}}
		case dns.TypeTXT:
			// Too large for an answer over UDP, which is cut.
			answer.Answer = []dns.RR{&dns.TXT{Hdr: head, Txt: []string{strings.Repeat("a", 255), strings.Repeat("b", 255), "c"}}}
		}
		if q.code != dns.RcodeSuccess {
			answer.Answer = nil
		}
	}
	if w.RemoteAddr().Network() == "udp" {
		answer.Truncate(dns.MinMsgSize)
	}
	_ = w.WriteMsg(answer) // a client that has gone has no use for it
}

// loadDNS asks over UDP and TCP, on sockets that are older than capture and on new ones, connected and not.
func loadDNS(ctx context.Context, address string, small bool, ready func() error) ([]Operation, error) {
	var old []*dns.Conn
	for _, network := range []string{"udp", "tcp"} {
		c, err := newDNSClient(network).DialContext(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("opening an old socket: %w", err)
		}
		defer c.Close()
		if err := askAll(c, nil); err != nil {
			return nil, err
		}
		old = append(old, c)
	}
	if err := ready(); err != nil {
		return nil, err
	}
	var made tally
	rounds := portion(3, small)
	for _, c := range old {
		if err := repeat(rounds, func() error { return askAll(c, &made) }); err != nil {
			return nil, err
		}
	}
	for _, at := range nameServers() {
		for _, network := range []string{"udp", "tcp"} {
			err := repeat(rounds, func() error { return askAfresh(ctx, network, at, &made) })
			if err != nil {
				return nil, err
			}
		}
		if err := repeat(rounds, func() error { return askUnconnected(at, &made) }); err != nil {
			return nil, err
		}
	}
	return made.all, nil
}

// askAfresh asks everything on a socket of its own.
func askAfresh(ctx context.Context, network, address string, made *tally) error {
	c, err := newDNSClient(network).DialContext(ctx, address)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer c.Close()
	return askAll(c, made)
}

// askAll asks each question in turn; made, if not nil, is told.
func askAll(c *dns.Conn, made *tally) error {
	for _, q := range questions() {
		asked := new(dns.Msg).SetQuestion(q.name, q.kind)
		answer, _, err := newDNSClient("").ExchangeWithConn(asked, c)
		if err := q.answered(answer, err); err != nil {
			return err
		}
		if made != nil {
			made.add(q.operation(), 1)
		}
	}
	return nil
}

// askUnconnected asks by a socket that could ask others too.
func askUnconnected(address string, made *tally) error {
	to, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return fmt.Errorf("reading the server's address: %w", err)
	}
	c, err := net.ListenUDP("udp", nil)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer c.Close()
	buf := make([]byte, dns.MaxMsgSize)
	for _, q := range questions() {
		packed, err := new(dns.Msg).SetQuestion(q.name, q.kind).Pack()
		if err != nil {
			return fmt.Errorf("making a question: %w", err)
		}
		if _, err := c.WriteToUDP(packed, to); err != nil {
			return fmt.Errorf("asking: %w", err)
		}
		n, _, err := c.ReadFromUDP(buf)
		answer := new(dns.Msg)
		if err := q.answered(answer, errors.Join(err, answer.Unpack(buf[:n]))); err != nil {
			return err
		}
		made.add(q.operation(), 1)
	}
	return nil
}

func (q question) answered(answer *dns.Msg, err error) error {
	if err != nil {
		return fmt.Errorf("asking for %s: %w", q.name, err)
	}
	if answer.Rcode != q.code {
		return fmt.Errorf("%s was answered with %s", q.name, dns.RcodeToString[answer.Rcode])
	}
	return nil
}
