package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/resolver"
	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/tally"
)

// call is who called whom.
type call struct{ client, server netip.Addr }

// calls are the connections of this host, over IPv4, to whatever is in network.
func calls(t *testing.T, network netip.Prefix) map[call]bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	found := map[call]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		const established = "01"
		if len(fields) < 4 || fields[3] != established {
			continue
		}
		// Both ends of a connection have a line: who called is told by c alone.
		if c := (call{procAddress(t, fields[1]), procAddress(t, fields[2])}); network.Contains(c.server) {
			found[c] = true
		}
	}
	return found
}

// procAddress reads an address as /proc/net/tcp has it: "0100007F:1F90", a number of the host's.
func procAddress(t *testing.T, text string) netip.Addr {
	t.Helper()
	digits, _, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != 4 {
		t.Fatalf("%q is no address", text)
	}
	var a [4]byte
	binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(b))
	return netip.AddrFrom4(a)
}

// ownAddresses looks up the services of r at the shop's name server, and returns the addresses of their processes. Each is to listen
// where that says, and nobody else.
func (r *run) ownAddresses(t *testing.T) map[string]netip.Addr {
	t.Helper()
	look := resolver.Resolver{Client: "test", Address: r.addresses["dns"], Search: dns.Search(), Dots: dns.Dots, Book: &tally.Book{}}
	own, seen := map[string]netip.Addr{}, map[netip.Addr]bool{}
	for _, s := range append(shop.Services(), shop.Service{Name: shop.NameServer}) {
		found, err := look.Addresses(t.Context(), s.Name)
		if err != nil || len(found) != len(s.Processes()) {
			t.Fatalf("%s is looked up as %v, %v", s.Name, found, err)
		}
		slices.SortFunc(found, netip.Addr.Compare)
		for i, name := range s.Processes() {
			own[name] = found[i].Unmap()
			if listens := netip.MustParseAddrPort(r.addresses[name]); own[name] != listens.Addr() || seen[own[name]] {
				t.Errorf("%s listens at %s, and is looked up as %s", name, listens, own[name])
			} else if s.Port != 0 && int(listens.Port()) != s.Port {
				t.Errorf("%s listens at %s, want port %d", name, listens, s.Port)
			}
			seen[own[name]] = true
		}
	}
	return own
}

// TestAddresses: each process can have an address of its own, at which others find it by its name and from which it calls them.
func TestAddresses(t *testing.T) {
	t.Parallel()
	network := netip.MustParsePrefix("127.77.0.0/24")
	first := network.Addr().Next().String()
	free, err := net.Listen("tcp", first+":0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	r := startShop(t, "--rate=200", "--address-base="+first, "--port-base="+strconv.Itoa(port), "--control-address=127.0.0.1:0",
		"--dns-address="+first+":0") // not every user may take port 53
	own := r.ownAddresses(t)
	own[loadName] = slices.MaxFunc(slices.Collect(maps.Values(own)), netip.Addr.Compare).Next() // customers come last
	want := map[call]bool{{own[loadName], own["web"]}: true}
	for _, s := range shop.Services() {
		for _, name := range s.Processes() {
			for _, peer := range s.Peers() {
				server, _ := shop.Find(shop.Services(), peer)
				for _, at := range server.Processes() {
					want[call{own[name], own[at]}] = true
				}
			}
		}
	}
	delete(want, call{own["checkout"], own["notifications"]}) // on connections that are not kept: they are seldom there to see
	missing := maps.Clone(want)
	for deadline := time.Now().Add(10 * time.Second); len(missing) > 0 && time.Now().Before(deadline); {
		for c := range calls(t, network) {
			if !network.Contains(c.client) {
				t.Fatalf("%s is called from %s", c.server, c.client)
			}
			delete(missing, c)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(missing) > 0 {
		t.Errorf("calls that are not made: %v; the addresses are %v", missing, own)
	}
	r.stop(t)
}

// TestNoAddresses: where there are not enough, that is said before anything starts.
func TestNoAddresses(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), os.Args[0], shopMark, "--address-base=255.255.255.250").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "addresses begin with 255.255.255.250") {
		t.Errorf("the shop ended with %v, want exit code 2; it says %q", err, out)
	}
}
