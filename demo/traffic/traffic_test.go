package traffic

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/tally"
)

// TestSteps: every step but the one that looks for a missing page asks for a route that the front serves.
func TestSteps(t *testing.T) {
	web, ok := shop.Find(shop.Services(), "web")
	if !ok {
		t.Fatal("the shop has no front")
	}
	served := map[string]bool{}
	for _, e := range web.Endpoints {
		served[e.Method+" "+e.Pattern] = true
	}
	missing := 0
	for _, s := range Steps() {
		if s.Server != "web" || s.Weight <= 0 {
			t.Errorf("customers cannot do %+v", s)
		}
		if !served[s.Method+" "+s.Route] {
			missing++
		}
	}
	if missing != 1 {
		t.Errorf("%d steps lead to pages that are not there, want 1", missing)
	}
}

// TestMaxInFlight: requests beyond the limit are counted as not sent, and Run waits for those that were.
func TestMaxInFlight(t *testing.T) {
	const most = 3
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if served.Add(1) == most {
			cancel()
			close(release)
		}
		<-release
	}))
	defer server.Close()
	var book tally.Book
	client := shop.NewClient("load", netip.Addr{}, map[string]string{"web": server.Listener.Addr().String()}, &book)
	l := Load{Name: "load", Client: client, Dice: dice.New(1, "load"), Steps: Steps(), Rate: 5000, MaxInFlight: most}
	notSent := l.Run(ctx)
	var sent uint64
	for _, r := range book.Calls.Rows() {
		if r.Key.Status != http.StatusOK {
			t.Errorf("a request that was in flight at the end failed: %+v", r)
		}
		sent += r.Count
	}
	if sent != uint64(served.Load()) || sent < most {
		t.Errorf("%d sent and %d not, the server saw %d", sent, notSent, served.Load())
	}
}
