package dnsname_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/labeler/dnsname"
)

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// table is a Table with names for what tests do.
type table struct {
	*testing.T
	*dnsname.Table
}

func newTable(t *testing.T, c dnsname.Config) table { return table{t, dnsname.New(c)} }

// learn takes in an answer that process 1 of namespace 1 got.
func (t table) learn(after time.Duration, name, addresses string, ttl int) {
	t.learnBy(1, 1, after, name, addresses, ttl)
}

func (t table) learnBy(netns, pid uint32, after time.Duration, name, addresses string, ttl int) {
	t.Learn(&dnsname.Answer{
		NetNS: netns, PID: pid, At: dawn.Add(after),
		Name: []byte(name), Addresses: []byte(addresses), TTL: strconv.AppendInt(nil, int64(ttl), 10),
	})
}

// want wants a name, "" for none, for a connection of process 1 of namespace 1.
func (t table) want(after time.Duration, address, want string) {
	t.Helper()
	t.wantBy(1, 1, after, address, want)
}

func (t table) wantBy(netns, pid uint32, after time.Duration, address, want string) {
	t.Helper()
	got, ok := t.Name(netip.MustParseAddr(address), netns, pid, dawn.Add(after))
	if got != want || ok != (want != "") {
		t.Errorf("after %v, %s is %q (%v), want %q", after, address, got, ok, want)
	}
}

func TestNewest(t *testing.T) {
	x := newTable(t, dnsname.Config{})
	x.want(0, "10.0.0.1", "")
	x.learn(0, "db.example", "10.0.0.1,10.0.0.2", 60)
	x.learn(time.Second, "cart.example", "10.0.0.1,2001:db8::1", 60)
	x.want(0, "10.0.0.1", "db.example")
	x.want(999*time.Millisecond, "10.0.0.1", "db.example")
	x.want(time.Second, "10.0.0.1", "cart.example")
	x.want(time.Second, "10.0.0.2", "db.example")
	x.want(time.Second, "2001:db8::1", "cart.example")
	x.want(time.Second, "::ffff:10.0.0.2", "db.example")
	x.learn(2*time.Second, "db.example", "10.0.0.1", 60)
	x.want(2*time.Second, "10.0.0.1", "db.example")
}

// say takes in that process 1 of namespace 1 called a server by a name.
func (t table) say(after time.Duration, name, address string) {
	t.Learn(&dnsname.Answer{NetNS: 1, PID: 1, At: dawn.Add(after), Name: []byte(name), Addresses: []byte(address), Said: true})
}

func TestSaid(t *testing.T) {
	x := newTable(t, dnsname.Config{Floor: time.Minute})
	x.say(0, "api.example", "192.0.2.1")
	x.want(0, "192.0.2.1", "api.example")
	x.say(time.Second, "files.example", "192.0.2.1")
	x.want(0, "192.0.2.1", "api.example") // each connection has what was said on it
	x.want(time.Second, "192.0.2.1", "files.example")
	x.learn(2*time.Second, "edge.example", "192.0.2.1", 1)
	x.say(3*time.Second, "api.example", "192.0.2.1")
	x.want(4*time.Second, "192.0.2.1", "edge.example") // somebody asked for it
	x.say(3*time.Minute, "api.example", "192.0.2.1")
	x.want(4*time.Minute, "192.0.2.1", "api.example") // but not any more

	x.say(0, "both.example", "192.0.2.2")
	x.learn(time.Second, "both.example", "192.0.2.2", 1)
	x.say(2*time.Second, "other.example", "192.0.2.2")
	x.want(3*time.Second, "192.0.2.2", "both.example")
	x.Expire(dawn.Add(time.Hour))
	if s := x.Stats(); s.Addresses != 0 {
		t.Errorf("%+v", s)
	}
}

// TestLearntAgain: what is learnt of an address later does not change what a connection of before is called.
func TestLearntAgain(t *testing.T) {
	said := func(x table, after time.Duration, name string) { x.say(after, name, "192.0.2.1") }
	asked := func(x table, after time.Duration, name string) { x.learn(after, name, "192.0.2.1", 60) }
	for _, tell := range []func(table, time.Duration, string){said, asked} {
		x := newTable(t, dnsname.Config{Floor: time.Minute})
		tell(x, 0, "api.example")
		tell(x, time.Second, "files.example")
		tell(x, 2*time.Second, "api.example")
		x.want(0, "192.0.2.1", "api.example")
		x.want(time.Second, "192.0.2.1", "files.example")
		x.want(2*time.Second, "192.0.2.1", "api.example")
		tell(x, time.Hour, "files.example") // both had been forgotten
		x.want(30*time.Minute, "192.0.2.1", "")
		x.want(time.Hour, "192.0.2.1", "files.example")
	}
}

// TestLocalhost names nobody's address.
func TestLocalhost(t *testing.T) {
	x := newTable(t, dnsname.Config{})
	for i, name := range []string{"localhost", "web.localhost", "localhost.localdomain", "notlocalhost"} {
		address := fmt.Sprintf("192.0.2.%d", i)
		x.say(0, name, address)
		want := ""
		if i == 3 {
			want = name
		}
		x.want(0, address, want)
	}
}

// TestSaidCrowd: names that were only said leave room for those that somebody asks for.
func TestSaidCrowd(t *testing.T) {
	x := newTable(t, dnsname.Config{MaxAddresses: 64, MaxNames: 64})
	x.learn(0, "db.example", "10.1.0.1", 60)
	for i := range 1000 {
		x.say(time.Second, fmt.Sprintf("h%d.t%d", i, i), fmt.Sprintf("10.0.%d.%d", i/250, i%250))
		x.say(time.Second, "one.name", fmt.Sprintf("10.2.%d.%d", i/250, i%250))
	}
	if s := x.Stats(); s.Addresses > 32 || s.Names > 33 || s.Evicted > 0 || s.Refused == 0 {
		t.Errorf("%+v", s)
	}
	x.learn(2*time.Second, "cart.shop", "10.1.0.2", 60)
	x.want(3*time.Second, "10.1.0.1", "db.example")
	x.want(3*time.Second, "10.1.0.2", "cart.shop")
}

func TestTimes(t *testing.T) {
	x := newTable(t, dnsname.Config{Floor: time.Minute, Keep: time.Hour})
	x.learn(0, "short.example", "10.0.0.1", 1)
	x.learn(0, "long.example", "10.0.0.2", 600)
	x.learn(0, "forever.example", "10.0.0.3", 1<<31-1)
	x.learn(0, "beyond.example", "10.0.0.4", 1<<31) // stands for 0
	x.want(-time.Hour, "10.0.0.1", "short.example") // older than all that is known
	x.want(2*time.Minute, "10.0.0.1", "")
	x.want(59*time.Second, "10.0.0.1", "short.example") // and is known for another minute
	x.want(118*time.Second, "10.0.0.1", "short.example")
	x.want(179*time.Second, "10.0.0.1", "")
	x.want(601*time.Second, "10.0.0.2", "")
	x.want(time.Hour, "10.0.0.3", "forever.example")
	x.want(time.Hour+time.Second, "10.0.0.3", "") // to which nothing adds
	x.want(61*time.Second, "10.0.0.4", "")

	x.Expire(dawn.Add(3 * time.Minute))
	if s := x.Stats(); s.Addresses != 2 {
		t.Errorf("%d addresses are left, want 2", s.Addresses)
	}
	x.want(0, "10.0.0.1", "")
	x.Expire(dawn.Add(3 * time.Hour))
	if s := x.Stats(); s.Addresses != 0 || s.Names != 0 {
		t.Errorf("%+v is left", s)
	}
}

// TestNewerGoes: of two names the newer holds for a shorter time.
func TestNewerGoes(t *testing.T) {
	x := newTable(t, dnsname.Config{Floor: time.Minute})
	x.learn(0, "long.example", "10.0.0.1", 3600)
	x.learn(time.Second, "short.example", "10.0.0.1", 1)
	x.want(2*time.Minute, "10.0.0.1", "long.example")
	x.Expire(dawn.Add(2 * time.Minute))
	x.want(2*time.Minute, "10.0.0.1", "long.example")
	x.learn(3*time.Minute, "third.example", "10.0.0.1", 1)
	x.want(3*time.Minute, "10.0.0.1", "third.example")
}

func TestWhoAsked(t *testing.T) {
	x := newTable(t, dnsname.Config{})
	x.learnBy(1, 10, 0, "one.example", "192.0.2.1", 60)
	x.learnBy(1, 11, time.Second, "two.example", "192.0.2.1", 60)
	x.learnBy(2, 10, time.Second, "three.example", "192.0.2.1", 60)
	x.wantBy(1, 10, time.Minute, "192.0.2.1", "one.example")
	x.wantBy(1, 11, time.Minute, "192.0.2.1", "two.example")
	x.wantBy(1, 12, time.Minute, "192.0.2.1", "two.example")
	x.wantBy(1, 0, time.Minute, "192.0.2.1", "two.example")
	x.wantBy(2, 0, time.Minute, "192.0.2.1", "three.example")
	x.wantBy(3, 0, time.Minute, "192.0.2.1", "")
	for i := range 20 { // more than an address has names
		x.learnBy(1, 20, time.Duration(i)*time.Second, fmt.Sprintf("n%d.example", i), "192.0.2.2", 60)
	}
	x.wantBy(1, 20, time.Minute, "192.0.2.2", "n19.example")
	x.wantBy(1, 20, 17*time.Second, "192.0.2.2", "n17.example")
}

func TestNotLearnt(t *testing.T) {
	x := newTable(t, dnsname.Config{})
	for _, name := range []string{
		"", ".", "a..b", ".a", "a.", "10.0.0.1", "*.a.example", `a\.b.example`, "a b", "A.example", "é.example", "a/b",
		"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q",
	} {
		x.learn(0, name, "10.0.0.1", 60)
	}
	for _, addresses := range []string{
		"", ",", "127.0.0.1", "0.0.0.0,::", "224.0.0.251", "::1,ff02::fb", "fe80::1%eth0", "10.0.0", "10.0.0.1.2", "x,y,",
	} {
		x.learn(0, "a.example", addresses, 60)
	}
	if s := x.Stats(); s != (dnsname.Stats{}) {
		t.Errorf("%+v was learnt", s)
	}
	x.learn(0, "_sip.a_b-c.d.e.f.g.h.i.j.k.l.m.n.o.p", "nonsense,10.0.0.1,", 60)
	x.want(0, "10.0.0.1", "_sip.a_b-c.d.e.f.g.h.i.j.k.l.m.n.o.p")
}

func TestBounds(t *testing.T) {
	x := newTable(t, dnsname.Config{MaxAddresses: 50, MaxNames: 90})
	for i := range 1000 {
		x.learn(time.Duration(i)*time.Second, fmt.Sprintf("n%d.example", i%80), fmt.Sprintf("10.0.%d.%d", i/250, i%250), 60)
	}
	if s := x.Stats(); s.Addresses != 50 || s.Evicted != 950 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
	x.want(999*time.Second, "10.0.3.249", "n39.example")
	for i := range 100 {
		x.learn(1000*time.Second, fmt.Sprintf("n%d.of.example.org", i), "10.1.0.1", 60)
	}
	if s := x.Stats(); s.Names > 90 || s.Refused == 0 {
		t.Errorf("%+v", s)
	}
}

func TestAllocations(t *testing.T) {
	x := dnsname.New(dnsname.Config{})
	a := &dnsname.Answer{
		NetNS: 1, PID: 1, Name: []byte("db.shop.svc.cluster.local"), At: dawn,
		Addresses: []byte("10.0.0.1,2001:db8::1"), TTL: []byte("30"),
	}
	x.Learn(a)
	if n := testing.AllocsPerRun(100, func() {
		a.At = a.At.Add(time.Second)
		x.Learn(a)
	}); n != 0 {
		t.Errorf("%v allocations for an answer that is known", n)
	}
	known, unknown := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("10.0.0.2")
	if n := testing.AllocsPerRun(100, func() {
		x.Name(known, 1, 1, dawn)
		x.Name(unknown, 1, 1, dawn)
	}); n != 0 {
		t.Errorf("%v allocations for a look", n)
	}
}

// TestTogether: many at once learn, look and forget.
func TestTogether(t *testing.T) {
	x := dnsname.New(dnsname.Config{MaxAddresses: 100, MaxNames: 500, MaxSiblings: 20})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for i := range 5000 {
				at := dawn.Add(time.Duration(i) * time.Second)
				n := r.IntN(200)
				address := fmt.Sprintf("10.0.0.%d", n)
				x.Learn(&dnsname.Answer{Name: fmt.Appendf(nil, "x%d.d%d.example.com", n, n%3), Addresses: []byte(address), At: at})
				if name, ok := x.Name(netip.MustParseAddr(address), 0, 0, at); ok && name == "" {
					t.Error("an empty name")
				}
				if i%100 == 0 {
					x.Expire(at)
				}
			}
		})
	}
	wg.Wait()
	if s := x.Stats(); s.Addresses > 100 || s.Names > 500 {
		t.Errorf("%+v", s)
	}
	x.Expire(dawn.Add(100 * time.Hour))
	if s := x.Stats(); s.Addresses != 0 || s.Names != 0 || s.Folded != 0 {
		t.Errorf("%+v is left", s)
	}
}

func FuzzLearn(f *testing.F) {
	f.Add([]byte("db.shop.svc.cluster.local"), []byte("10.0.0.1,2001:db8::1"), []byte("30"))
	f.Add([]byte("a..b"), []byte(",,fe80::1%x,::ffff:1.2.3.4"), []byte("99999999999999999999"))
	f.Fuzz(func(t *testing.T, name, addresses, ttl []byte) {
		x := dnsname.New(dnsname.Config{MaxAddresses: 4})
		x.Learn(&dnsname.Answer{Name: name, Addresses: addresses, TTL: ttl, At: dawn})
		if s := x.Stats(); s.Addresses > 4 || s.Names > 16 {
			t.Errorf("%+v", s)
		}
		if got, ok := x.Name(netip.MustParseAddr("10.0.0.1"), 0, 0, dawn); ok && got != string(name) {
			t.Errorf("%q is %q", name, got)
		}
		x.Expire(dawn.Add(48 * time.Hour))
	})
}

func BenchmarkName(b *testing.B) {
	x := dnsname.New(dnsname.Config{})
	for i := range 10000 {
		name, address := fmt.Appendf(nil, "x%d.d%d.example.com", i, i%100), fmt.Appendf(nil, "10.0.%d.%d", i/250, i%250)
		x.Learn(&dnsname.Answer{Name: name, Addresses: address, At: dawn})
	}
	a := netip.MustParseAddr("10.0.7.7")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := x.Name(a, 0, 0, dawn); !ok {
			b.Fatal("not known")
		}
	}
}

func BenchmarkLearnAgain(b *testing.B) {
	x := dnsname.New(dnsname.Config{})
	a := &dnsname.Answer{Name: []byte("db.shop.svc.cluster.local"), Addresses: []byte("10.0.0.1,10.0.0.2"), At: dawn}
	b.ReportAllocs()
	for b.Loop() {
		x.Learn(a)
	}
}
