package protocol

import (
	"slices"

	"github.com/toposcope/toposcope/collector/event"
)

// TLSLabels are those of toposcope_tls_connections_total, from closed sets.
type TLSLabels struct {
	// Version is a Handshake's, or "unknown".
	Version string
	// ALPN is a Handshake's when it is a registered name, "other" when it is another one, "none" when there is none, and "unknown"
	// when the client's hello was not seen.
	ALPN string
}

// Versions by their number, the last one's place for those that are not known, and the names of IANA's registry that a label may
// have, with those for none, other and unknown.
var (
	tlsVersions = [...]string{"3.0", "1.0", "1.1", "1.2", "1.3", Unknown}
	tlsALPNs    = [...]string{
		"h2", "http/1.1", "http/1.0", "grpc-exp", "postgresql", "mongodb", "mqtt", "dot", "imap", "pop3", "managesieve", "ftp", "irc",
		"xmpp-client", "xmpp-server", "acme-tls/1", "tds/8.0", "smb", "nnsp", "nntp", "sip/2", "radius/1.1",
		alpnNone, alpnOther, Unknown,
	}
)

const (
	alpnNone  = "none"
	alpnOther = "other"
)

// versionOf is the place in tlsVersions of a version.
func versionOf(v uint16) int {
	if v>>8 == 3 && int(v&0xff) < len(tlsVersions)-1 {
		return int(v & 0xff)
	}
	return len(tlsVersions) - 1
}

// alpnOf is the place in tlsALPNs of what h says.
func (h *hello) alpnOf() int {
	name := h.alpn()
	i := slices.IndexFunc(tlsALPNs[:], func(s string) bool { return s == string(name) })
	switch last := len(tlsALPNs) - 1; {
	case i >= 0 && i < last-2:
		return i
	case len(name) > 0:
		return last - 1
	case h.client, h.server && h.version != 0 && h.version < version13:
		return last - 2
	default:
		return last
	}
}

// version13 is the first version whose server says under encryption what it chose.
const version13 = 0x0304

// alpn is what h knows of the protocol within.
func (h *hello) alpn() []byte {
	switch {
	case len(h.chosen) > 0:
		return h.chosen
	case h.server && h.version < version13 && h.version != 0:
		return nil // the server chose none
	default:
		return h.wish
	}
}

// expectTLS notes that c speaks TLS, because both ends said that it will or, if first, by the first bytes that either of them said.
func (t *Tracker) expectTLS(c *conn, promised, first bool) {
	if n := len(t.hellos); n > 0 {
		c.hello = t.hellos[n-1]
		t.hellos = t.hellos[:n-1]
	} else {
		c.hello = &hello{}
	}
	c.hello.promised = promised
	c.hello.direct = !c.tunnel && (promised || first && !c.existing && c.turns == 0 && c.sniffed == 0)
	c.sniffed = 0
	t.count.tls.Add(1)
}

// greet reads what TLS says in clear at direction d's pos. again: it is no TLS after all, and the connection undecided; or else the
// connection is refused as soon as there is no more to be told.
func (t *Tracker) greet(c *conn, d event.Dir, v *view, data []byte, then Then) (again bool) {
	h, st := c.hello, &c.dirs[d]
	opinion := No
	if h.promised || !h.client || d != h.from {
		opinion = sniffTLS(data)
	}
	switch waits := then == Continues && int(c.sniffed) < t.cfg.SniffBytes; {
	case opinion == No && h.promised:
		t.noTLS(c)
		c.swapped = true // the other end may have waited
		return true
	case opinion == More && waits:
		return false
	case opinion == No && h.client && d == h.from && waits:
		t.take(st, v, uint64(len(data))) // early data, until the server answers
		c.unrecognised(len(data))
		return false
	case opinion == Yes && data[0] == recordHandshake:
		if whole := t.hear(c, d, v, data, waits); !whole && waits {
			return false
		}
		if t.take(st, v, uint64(len(data))); !h.server && waits {
			return false
		}
	}
	t.refuse(c, ReasonTLS)
	return false
}

// hear reads a hello, of which there will be no more unless it waits. It reports whether it was whole; what is no hello is.
func (t *Tracker) hear(c *conn, d event.Dir, v *view, data []byte, waits bool) (whole bool) {
	h, pos := c.hello, c.dirs[d].pos
	h.promised = false
	if h.at == 0 {
		mk, _ := v.at(pos)
		h.at, h.task = mk.at.UnixNano(), mk.task
	}
	if len(data) <= recordHeader {
		return false
	}
	kind := data[recordHeader]
	if kind != handshakeClientHello && kind != handshakeServerHello {
		h.server = true // too late for hellos
		return true
	}
	part := &h.coming[d]
	if whole = part.whole(pos, data); whole || !waits || part.due(len(data)) {
		h.read(data)
	}
	if kind == handshakeClientHello {
		h.client, h.from = whole, d
	} else {
		h.server = whole
	}
	return whole
}

// noTLS goes back to where c was before TLS was agreed on.
func (t *Tracker) noTLS(c *conn) {
	t.count.tls.Add(-1)
	t.keepHello(c)
}

// keepHello puts c's hello aside for another connection.
func (t *Tracker) keepHello(c *conn) {
	const pooled = 64
	if len(t.hellos) < pooled {
		c.hello.reset()
		t.hellos = append(t.hellos, c.hello)
	}
	c.hello = nil
}

// greeted tells what was learnt of TLS, and forgets it.
func (t *Tracker) greeted(c *conn) {
	h := c.hello
	if h == nil {
		return
	}
	version, alpn := versionOf(h.version), h.alpnOf()
	t.count.handshakes[version][alpn].Add(1)
	if t.handshakes != nil {
		side, at := c.side(), h.at
		if c.role == event.RoleUnknown && h.client && h.from == event.Received {
			side = ServerSide
		}
		if h.from != event.Sent && side == ClientSide {
			h.direct = false // who was called calls: the name is not the other end's
		}
		if at == 0 {
			at = c.lastAt
		}
		t.handshake = Handshake{Conn: c.id, Side: side, Task: h.task, At: ns(at), ServerName: h.name, ALPN: h.alpn(), Direct: h.direct}
		if version < len(tlsVersions)-1 {
			t.handshake.Version = tlsVersions[version]
		}
		t.handshakes.Handshake(&t.handshake)
	}
	t.noTLS(c)
}
