// Package dns is the demo's name server: it answers for the shop's services and for some names of the world outside, over UDP and
// TCP.
//
// It is no resolver: for names that it does not hold it says REFUSED.
package dns

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Domain is the domain of the shop's services, as a cluster would name it.
const Domain = "shop.svc.cluster.test."

// Search is the list of domains in which programs of the shop look for a name that has less than Dots dots.
func Search() []string { return []string{Domain, "svc.cluster.test.", "cluster.test."} }

// Dots is the resolver option "ndots" as clusters set it.
const Dots = 5

// How long answers may be kept, in seconds. Short, so that there is something to see.
const (
	ttl         = 5
	negativeTTL = 2
)

// apexes are the names of the zones that are answered for.
func apexes() []string { return []string{"cluster.test.", "example."} }

type record struct {
	kind dnsmessage.Type
	body dnsmessage.ResourceBody

	address netip.Addr // that in body, of those that Put made
}

// Zone holds what is known. Its methods may be called from any goroutine.
type Zone struct {
	mu      sync.RWMutex
	records map[string][]record // by name in lower case
}

// NewZone makes a zone that holds the world outside alone.
func NewZone() *Zone {
	z := &Zone{records: map[string][]record{}}
	for _, apex := range apexes() {
		z.add(apex, dnsmessage.TypeSOA, soa(apex))
		z.add(apex, dnsmessage.TypeNS, &dnsmessage.NSResource{NS: dnsmessage.MustNewName("ns." + apex)})
		z.add("ns."+apex, dnsmessage.TypeA, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 53}})
	}
	// The bank's name is an alias, as those of big sites are.
	z.add("api.bank.example.", dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("edge.bank.example.")})
	z.add("edge.bank.example.", dnsmessage.TypeA, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 10}})
	z.add("edge.bank.example.", dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::10").As16()})
	for _, domain := range []string{"mail.example.", "post.example.", "inbox.example."} {
		for i, host := range []string{"mx1.", "mx2."} {
			z.add(domain, dnsmessage.TypeMX, &dnsmessage.MXResource{Pref: uint16(10 * (i + 1)), MX: dnsmessage.MustNewName(host + domain)})
			z.add(host+domain, dnsmessage.TypeA, &dnsmessage.AResource{A: [4]byte{192, 0, 2, byte(25 + i)}})
		}
	}
	// A policy that does not fit in a datagram: whoever asks by UDP has to ask again by TCP.
	policy := slices.Repeat([]string{strings.Repeat("v=policy1; ", 20)}, 9)
	z.add("policy.mail.example.", dnsmessage.TypeTXT, &dnsmessage.TXTResource{TXT: policy})
	return z
}

func soa(apex string) *dnsmessage.SOAResource {
	return &dnsmessage.SOAResource{
		NS: dnsmessage.MustNewName("ns." + apex), MBox: dnsmessage.MustNewName("hostmaster." + apex),
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: negativeTTL,
	}
}

// add is for names that are right by construction.
func (z *Zone) add(name string, kind dnsmessage.Type, body dnsmessage.ResourceBody) {
	z.records[name] = append(z.records[name], record{kind: kind, body: body})
}

// Put says that the service called name listens at addresses, one for each of its instances, for protocol ("http", "grpc"). It replaces
// what was said of name before.
func (z *Zone) Put(name, protocol string, addresses ...netip.AddrPort) {
	host := name + "." + Domain
	target, err := dnsmessage.NewName(host)
	if err != nil {
		return // too long for the DNS: nobody can ask for it
	}
	service := "_" + protocol + "._tcp." + host
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[host], z.records[service] = nil, nil
	for _, address := range addresses {
		// Of instances at one address, as where all listen on the loopback interface, there is one address.
		switch known := slices.ContainsFunc(z.records[host], func(r record) bool { return r.address == address.Addr() }); {
		case known:
		case address.Addr().Is4():
			z.records[host] = append(z.records[host],
				record{dnsmessage.TypeA, &dnsmessage.AResource{A: address.Addr().As4()}, address.Addr()})
		default:
			z.records[host] = append(z.records[host],
				record{dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: address.Addr().As16()}, address.Addr()})
		}
		z.add(service, dnsmessage.TypeSRV, &dnsmessage.SRVResource{Priority: 10, Weight: 100, Port: address.Port(), Target: target})
	}
}

// reply is what a zone has to say to a question.
type reply struct {
	code               dnsmessage.RCode
	answers, authority []dnsmessage.Resource
}

// lookup answers for name, which is in lower case and has its final dot.
func (z *Zone) lookup(name string, kind dnsmessage.Type) reply {
	z.mu.RLock()
	defer z.mu.RUnlock()
	apex := apexOf(name)
	if apex == "" {
		return reply{code: dnsmessage.RCodeRefused}
	}
	var r reply
	for range 8 { // aliases of aliases, in case of a circle
		alias := ""
		for _, rec := range z.records[name] {
			if rec.kind == kind || rec.kind == dnsmessage.TypeCNAME {
				r.answers = append(r.answers, resource(name, ttl, rec))
			}
			if c, ok := rec.body.(*dnsmessage.CNAMEResource); ok && kind != dnsmessage.TypeCNAME {
				alias = c.CNAME.String()
			}
		}
		if alias == "" {
			break
		}
		name = alias
	}
	if len(r.answers) == 0 {
		r.authority = append(r.authority, resource(apex, negativeTTL, record{kind: dnsmessage.TypeSOA, body: soa(apex)}))
		if !z.exists(name) {
			r.code = dnsmessage.RCodeNameError
		}
	}
	return r
}

// exists is true also for a name that has no records but names below it.
func (z *Zone) exists(name string) bool {
	if len(z.records[name]) > 0 {
		return true
	}
	for other := range z.records {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}

func apexOf(name string) string {
	for _, apex := range apexes() {
		if name == apex || strings.HasSuffix(name, "."+apex) {
			return apex
		}
	}
	return ""
}

func resource(name string, ttl uint32, r record) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   r.body,
	}
}
