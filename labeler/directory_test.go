package labeler

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// TestDirectory runs testdata/directory/*.txt: scripts of listeners that come and go, and of what is asked then.
//
//	addresses NETNS ADDR…          the addresses of a network namespace
//	open|close TIME NETNS ADDR PID
//	served TIME NETNS ADDR PID
//	handover PID HEIR
//	expire TIME PID…               those known
//	ask TIME NETNS ADDR WANT       a PID, "nobody", or 0 for "somebody"
//	ports PID PORT…
//	local ADDR true|false
func TestDirectory(t *testing.T) {
	files, err := os.ReadDir("testdata/directory")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			file, err := os.Open("testdata/directory/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			d := NewDirectory(100, time.Minute)
			n := 0
			for lines := bufio.NewScanner(file); lines.Scan(); {
				n++
				if words := strings.Fields(lines.Text()); len(words) > 0 && words[0] != "#" {
					if err := step(d, words[0], words[1:]); err != nil {
						t.Errorf("line %d: %s: %v", n, lines.Text(), err)
					}
				}
			}
		})
	}
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func taskAt(pid string) event.Task {
	if n := number(pid); n != 0 {
		return event.Task{PID: n, Start: uint64(n) * 1000}
	}
	return event.Task{}
}

var epoch = time.Unix(1_700_000_000, 0)

func moment(s string) time.Time { return epoch.Add(time.Duration(number(s)) * time.Second) }

func step(d *Directory, verb string, a []string) error {
	switch verb {
	case "addresses":
		var addrs []netip.Addr
		for _, s := range a[1:] {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		d.SetAddresses(number(a[0]), addrs)
	case "open", "close":
		d.Listening(&event.Listening{
			Time: moment(a[0]), NetNS: number(a[1]), Local: netip.MustParseAddrPort(a[2]), Task: taskAt(a[3]), Open: verb == "open",
		})
	case "served":
		task := taskAt(a[3])
		d.Served(netip.MustParseAddrPort(a[2]), number(a[1]), task, moment(a[0]), func(o event.Task) bool { return o == task })
	case "handover":
		d.Handover(taskAt(a[0]), taskAt(a[1]))
	case "expire":
		d.Expire(moment(a[0]), func(t event.Task) bool { return slices.Contains(a[1:], fmt.Sprint(t.PID)) })
	case "local":
		if got := d.Local(netip.MustParseAddr(a[0])); fmt.Sprint(got) != a[1] {
			return fmt.Errorf("local: %v", got)
		}
	case "ports":
		if got := fmt.Sprint(d.Ports(taskAt(a[0]))); got != "["+strings.Join(a[1:], " ")+"]" {
			return fmt.Errorf("ports %v", got)
		}
	case "ask":
		task, ok := d.Lookup(netip.MustParseAddrPort(a[2]), number(a[1]), moment(a[0]))
		got := "nobody"
		if ok {
			got = fmt.Sprint(task.PID)
		}
		if got != a[3] {
			return fmt.Errorf("got %s", got)
		}
	default:
		return fmt.Errorf("no such step")
	}
	return nil
}

func TestDirectoryIsBounded(t *testing.T) {
	d := NewDirectory(100, time.Minute)
	at := func(i int) *event.Listening {
		return &event.Listening{
			Local: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(1+i%60000)), NetNS: 1,
			Task: event.Task{PID: uint32(i + 1)}, Open: true, Time: epoch.Add(time.Duration(i) * time.Second),
		}
	}
	for i := range 1000 {
		d.Listening(at(i))
	}
	if n, dropped := d.Len(); n != 100 || dropped != 900 {
		t.Errorf("%d kept, %d dropped, want 100 and 900", n, dropped)
	}
	d = NewDirectory(100, time.Minute)
	for i := range 1000 { // closed ones give way after their minute
		e := at(i)
		d.Listening(e)
		e.Open = false
		d.Listening(e)
	}
	if n, dropped := d.Len(); n > 100 || dropped != 0 || len(d.listeners) != 0 {
		t.Errorf("%d kept, %d dropped, %d listeners, want 100 at most and none", n, dropped, len(d.listeners))
	}
	d = NewDirectory(100, time.Minute)
	for i := range 100 { // SO_REUSEPORT without end
		e := at(i)
		e.Local = netip.MustParseAddrPort("0.0.0.0:80")
		d.Listening(e)
	}
	if n, dropped := d.Len(); n != maxSharing || dropped != 100-maxSharing {
		t.Errorf("%d sharing, %d dropped", n, dropped)
	}
}

func TestParseAddresses(t *testing.T) {
	trie, err := parseTrie(strings.NewReader(`Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
           |-- 127.255.255.255
              /32 link BROADCAST
           |-- 172.17.0.2
              /32 host LOCAL
`))
	if got := fmt.Sprint(trie); err != nil || got != "[127.0.0.1 172.17.0.2]" {
		t.Errorf("fib_trie: %v, %v", got, err)
	}
	inet6, err := parseInet6(strings.NewReader(
		"00000000000000000000000000000001 01 80 10 80       lo\nfe8000000000000000fc00fffe000001 04 40 20 80     eth0\nshort\n"))
	if got := fmt.Sprint(inet6); err != nil || got != "[::1 fe80::fc:ff:fe00:1]" {
		t.Errorf("if_inet6: %v, %v", got, err)
	}
	if _, err := parseInet6(strings.NewReader(strings.Repeat("x", 32))); err == nil {
		t.Error("if_inet6: no digits were taken")
	}
}

func TestOwnAddresses(t *testing.T) {
	own, err := ownAddresses()
	if err != nil || !slices.Contains(own, netip.MustParseAddr("127.0.0.1")) {
		t.Fatalf("own addresses %v, %v", own, err)
	}
	if _, err := os.Stat("/proc/self/net/fib_trie"); err != nil {
		t.Skip("no fib_trie here")
	}
	read, err := addressesOf("/proc", uint32(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own { // both ways must agree
		if !slices.Contains(read, a) {
			t.Errorf("/proc does not have %v, only %v", a, read)
		}
	}
	if ownNamespace("/proc") == 0 {
		t.Error("no network namespace")
	}
}
