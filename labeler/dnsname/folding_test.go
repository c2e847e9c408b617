package dnsname_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/toposcope/toposcope/labeler/dnsname"
)

// foldings are what names are shown as after all of them were learnt, %d being 0 to 149.
var foldings = []struct{ learnt, first string }{
	{"bucket%d.s3.amazonaws.com", "*.s3.amazonaws.com"},
	{"x%d.example.com", "*.example.com"},
	{"x%d.shop.co.uk", "*.shop.co.uk"},
	{"x%d.co.uk", "x0.co.uk"},
	{"x%d.de", "x0.de"},
	{"x%d", "x0"},
	{"a.b.x%d.example.net", "*.example.net"},
	{"s%d.shop.svc.cluster.local", "s0.shop.svc.cluster.local"},
	{"db.n%d.svc.cluster.local", "db.n0.svc.cluster.local"},
	{"pod-%d.db.shop.svc.cluster.local", "*.db.shop.svc.cluster.local"},
	{"db.shop.svc.c%d.example", "db.shop.svc.c0.example"}, // nothing is above but the top level
}

func TestFolding(t *testing.T) {
	for _, c := range foldings {
		t.Run(c.learnt, func(t *testing.T) {
			x := newTable(t, dnsname.Config{MaxSiblings: 100})
			x.learn(0, "www.elsewhere.org", "10.9.9.9", 60)
			for i := range 150 {
				x.learn(0, fmt.Sprintf(c.learnt, i), fmt.Sprintf("10.0.0.%d", i), 60)
				if i == 99 {
					x.want(0, "10.0.0.99", fmt.Sprintf(c.learnt, i)) // up to here there is room
				}
			}
			x.want(0, "10.0.0.0", c.first)
			if c.first[0] == '*' {
				x.want(0, "10.0.0.149", c.first)
				if s := x.Stats(); s.Names > 330 || s.Folded != 1 {
					t.Errorf("%+v", s)
				}
			}
			x.want(0, "10.9.9.9", "www.elsewhere.org")
		})
	}
}

// TestFoldedBelow: what was known below a domain before it came to stand for all does not grow on.
func TestFoldedBelow(t *testing.T) {
	x := newTable(t, dnsname.Config{MaxSiblings: 10})
	x.learn(0, "a.deep.example.com", "10.0.0.1", 60)
	for i := range 20 {
		x.learn(0, fmt.Sprintf("x%d.example.com", i), "10.0.0.2", 60)
	}
	names := x.Stats().Names
	for i := range 1000 {
		x.learn(0, fmt.Sprintf("x%d.deep.example.com", i), "10.0.0.3", 60)
	}
	x.want(0, "10.0.0.3", "*.example.com")
	x.want(0, "10.0.0.1", "*.example.com")
	if s := x.Stats(); s.Names != names || s.Folded != 1 {
		t.Errorf("%+v, want %d names", s, names)
	}
}

// TestFoldingEnds: names that nobody has asked for in a while make room among their siblings.
func TestFoldingEnds(t *testing.T) {
	x := newTable(t, dnsname.Config{MaxSiblings: 10, Floor: time.Minute, Linger: time.Hour})
	for i := range 40 {
		at := time.Duration(i) * 10 * time.Minute
		x.learn(at, fmt.Sprintf("x%d.example.com", i), "10.0.0.1", 60)
		x.want(at, "10.0.0.1", fmt.Sprintf("x%d.example.com", i)) // six an hour
		x.Expire(dawn.Add(at))
	}
	for i := range 40 {
		x.learn(10*time.Hour, fmt.Sprintf("y%d.example.com", i), "10.0.0.1", 60)
	}
	x.want(10*time.Hour, "10.0.0.1", "*.example.com")
	x.Expire(dawn.Add(12 * time.Hour))
	if s := x.Stats(); s != (dnsname.Stats{}) {
		t.Errorf("%+v is left", s)
	}
	x.learn(12*time.Hour, "z.example.com", "10.0.0.1", 60)
	x.want(12*time.Hour, "10.0.0.1", "z.example.com")
}
