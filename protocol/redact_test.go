package protocol_test

import (
	"fmt"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

// kept notes what is left of texts when an exchange leaves the tracker.
type kept struct{ got, address string }

func (k *kept) Exchange(x *protocol.Exchange) {
	a := &x.Request.Attrs
	k.got = fmt.Sprintf("%s %s %s", a.Get(protocol.URLPath), a.Get(protocol.URLQuery), a.Get(protocol.UserAgent))
	k.address = string(a.Get(protocol.ServerAddress))
}

func (k *kept) Gap(event.ConnID, string, uint64) {}

// TestRedact: by default no value in a URL's query and no header that names no operation leaves the tracker.
func TestRedact(t *testing.T) {
	for _, c := range []struct {
		keep          protocol.Options
		target, wants string
	}{
		{protocol.Options{}, "/a?card=4111&to=me;x=%20", "/a card=REDACTED&to=REDACTED&x=REDACTED "},
		{protocol.Options{}, "/a?secret", "/a REDACTED "},
		{protocol.Options{}, "/a?&&=s&a==s", "/a =REDACTED&a=REDACTED "},
		{protocol.Options{}, "/a", "/a  "},
		{protocol.Options{URLQuery: true}, "/a?card=4111", "/a card=4111 hush/1"},
		{protocol.Options{}, "/cart;jsessionid=4F;v/x;secret/;/;;=s?a", "/cart;jsessionid=REDACTED;REDACTED/x;REDACTED/;/;;=REDACTED REDACTED "},
		{protocol.Options{URLQuery: true}, "/cart;jsessionid=4F", "/cart;jsessionid=4F  hush/1"},
		{protocol.Options{}, "http://ann:s3cret@shop/a", "/a  "},
		{protocol.Options{}, "/get/http://ann:s3cret@a.b/c@d/https://e@f", "/get/http://REDACTED@a.b/c@d/https://REDACTED@f  "},
		{protocol.Options{URLQuery: true}, "/get/http://ann:s@cret@a.b/", "/get/http://REDACTED@a.b/  hush/1"},
		{protocol.Options{}, "/get/http://a.b/@c", "/get/http://a.b/@c  "},
	} {
		k := &kept{}
		w := newWire(t, protocol.Config{})
		w.tracker = protocol.NewTracker([]*protocol.Spec{http1.Spec()}, protocol.Config{Keep: c.keep}, nil, k)
		w.client()
		w.send("GET " + c.target + " HTTP/1.1\r\nHost: shop\r\nUser-Agent: hush/1\r\nAuthorization: hush\r\n\r\n")
		w.recv("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if k.got != c.wants || k.address != "shop" {
			t.Errorf("%s: %q at %q, want %q", c.target, k.got, k.address, c.wants)
		}
	}
}

// TestRedactAllocates nothing on a steady stream.
func TestRedactAllocates(t *testing.T) {
	w := newWire(t, protocol.Config{})
	w.tracker = protocol.NewTracker([]*protocol.Spec{http1.Spec()}, protocol.Config{}, nil, &silent{})
	w.client()
	ask := w.seg(out, "GET /a?card=4111&to=me HTTP/1.1\r\nHost: shop\r\n\r\n")
	answer := w.seg(in, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	n := testing.AllocsPerRun(100, func() {
		for _, s := range []*event.Segment{ask, answer} {
			w.tracker.Handle(s)
			s.Seq += 2
			s.Off += uint64(len(s.Data))
		}
	})
	if n > 0 {
		t.Errorf("%v allocations an exchange", n)
	}
}

type silent struct{}

func (silent) Exchange(*protocol.Exchange) {}

func (silent) Gap(event.ConnID, string, uint64) {}
