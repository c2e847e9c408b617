package semantics_test

import (
	"testing"

	"github.com/toposcope/toposcope/protocol/semantics"
)

func TestWaits(t *testing.T) {
	for _, c := range []struct {
		path, query, prefer string
		want                bool
	}{
		{"/api/v1/pods", "limit=500&watch=true", "", true},
		{"/apis/apps/v1/deployments", "watch=1&resourceVersion=7", "", true},
		{"/api/v1/pods", "watch=false", "", false},
		{"/api/v1/pods", "unwatch=true", "", false},
		{"/shop", "watch=true", "", false}, // a watch to wear
		{"/v1/kv/leader", "index=17&wait=5m", "", true},
		{"/v1/kv/leader", "index=0&wait=5m", "", false},
		{"/v1/pages", "index=3", "", false},
		{"/v1/kv/leader", "", "", false},
		{"/db/_changes", "feed=longpoll", "", true},
		{"/db/_changes", "feed=normal", "", false},
		{"/orders", "", "respond-async, wait=10", true},
		{"/orders", "", "Wait = 10", true},
		{"/orders", "", "return=minimal", false},
		{"/orders", "", "wait", false},
	} {
		if got := semantics.Waits([]byte(c.path), []byte(c.query), []byte(c.prefer)); got != c.want {
			t.Errorf("%s?%s, prefer %q: %t", c.path, c.query, c.prefer, got)
		}
	}
}

func TestLasts(t *testing.T) {
	for value, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream; charset=utf-8": true, "text/html": false, "": false, "text/event": false,
	} {
		if got := semantics.Lasts([]byte(value)); got != want {
			t.Errorf("%q: %t", value, got)
		}
	}
}
