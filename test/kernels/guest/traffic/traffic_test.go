package traffic

import (
	"context"
	"errors"
	"os"
	"testing"
)

// TestLoads: every client whose server is here ends as planned, and both sizes have operations that went well and others that failed.
// Those of toposcope-demo's servers are tried in the guest.
func TestLoads(t *testing.T) {
	for _, p := range All() {
		for name, small := range map[string]bool{"small": true, "whole": false} {
			t.Run(p.Name+"/"+name, func(t *testing.T) {
				if p.Serve == nil {
					t.SkipNow()
				}
				made := exchange(t, p, small)
				var well, failed, rejected uint64
				for _, op := range made {
					switch {
					case op.Failed:
						failed += op.Count
					case op.Rejected:
						rejected += op.Count
					default:
						well += op.Count
					}
				}
				if well == 0 || failed == 0 || rejected == 0 {
					t.Errorf("%d went well, %d failed, %d were rejected: each is wanted", well, failed, rejected)
				}
			})
		}
	}
}

// exchange runs a server and its client.
func exchange(t *testing.T, p Protocol, small bool) []Operation {
	ctx, cancel := context.WithCancel(t.Context())
	at, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- p.Serve(ctx, func(address string) error {
			at <- address
			return nil
		})
	}()
	var address string
	select {
	case address = <-at:
	case err := <-ended:
		cancel()
		if errors.Is(err, os.ErrPermission) {
			t.Skip(err) // the port of DNS is the superuser's
		}
		t.Fatal(err)
	}
	waits := 0
	made, err := p.Load(ctx, address, small, func() error {
		waits++
		return nil
	})
	cancel()
	if e := <-ended; e != nil {
		t.Errorf("the server: %v", e)
	}
	if err != nil || waits != 1 {
		t.Fatalf("waited for the start %d times, want once; error: %v", waits, err)
	}
	return made
}

func TestTally(t *testing.T) {
	var made tally
	made.add(Operation{Key: Key("SELECT", "", "1146"), Failed: true}, 2)
	made.add(Operation{Key: "PING", Upkeep: true}, 1)
	made.add(Operation{Key: "SELECT - 1146", Failed: true, Count: 7}, 3)
	want := []Operation{{Key: "SELECT - 1146", Failed: true, Count: 5}, {Key: "PING", Upkeep: true, Count: 1}}
	if len(made.all) != len(want) || made.all[0] != want[0] || made.all[1] != want[1] {
		t.Errorf("%+v, want %+v", made.all, want)
	}
}
