package topology

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

// dial opens the i-th client connection of a process and makes one call on it.
func dial(s *Shard, i int, pid uint32, server netip.AddrPort, c call) {
	local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(pid >> 8), byte(pid)}), uint16(1024+i))
	l := link{client: event.ConnID(i + 1), flow: event.Flow{Local: local, Remote: server, NetNS: 1}, clientTask: task(pid)}
	s.Handle(l.openClient(c.at))
	s.Exchange(c.exchange(l, protocol.ClientSide))
}

func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + i>>8), byte(i)}), 80)
}

func requests(s *Snapshot) (n uint64) {
	for _, e := range s.Edges {
		n += e.Requests
	}
	return n
}

func TestPeersPerService(t *testing.T) {
	topo, s, _ := shop(t, Config{Limits: Limits{PeersPerService: 5}})
	for i := range 20 {
		dial(s, i, 10, address(i), get(0, time.Millisecond, "/"))
	}
	snap := topo.Snapshot(after(time.Second))
	if len(snap.Edges) != 6 || requests(snap) != 20 {
		t.Errorf("%d edges with %d requests, want 6 with 20", len(snap.Edges), requests(snap))
	}
	if n := snap.Dropped[dropPeers].Count; n != 15 {
		t.Errorf("%d dropped, want 15", n)
	}
	for _, e := range snap.Edges {
		if e.Server.Name == Other && e.Requests != 15 {
			t.Errorf("other got %d requests, want 15", e.Requests)
		}
	}
}

func TestSeriesBudget(t *testing.T) {
	const budget = 500
	topo, s, d := shop(t, Config{Limits: Limits{Series: budget}})
	for i := range 100 {
		pid := uint32(100 + i)
		d.process(pid, fmt.Sprintf("app%d", i))
		dial(s, i, pid, address(i), get(0, time.Millisecond, fmt.Sprintf("/%c", 'a'+i%26)))
	}
	snap := topo.Snapshot(after(time.Second))
	if requests(snap) != 100 {
		t.Errorf("%d requests on all edges, want 100", requests(snap))
	}
	var operations uint64
	for _, o := range snap.Operations {
		operations += o.Seconds.Count
	}
	if operations != 100 {
		t.Errorf("%d requests in all operations, want 100", operations)
	}
	// Beyond the budget come the series called other, and a histogram's share with its first value.
	if n := topo.registry.series.Load(); n < budget*9/10 || n > int64(budget+4*histogramSeries) {
		t.Errorf("%d series in use, limit %d", n, budget)
	}
	if snap.Dropped[dropSeries].Count == 0 {
		t.Error("nothing counted as dropped")
	}
	idle := topo.Snapshot(after(time.Hour))
	if n := topo.registry.series.Load(); n != 0 || len(idle.Edges)+len(idle.Operations)+len(idle.Instances)+len(idle.Processes) != 0 {
		t.Errorf("%d series in use after an hour, %+v", n, idle)
	}
	if r := &topo.registry; len(r.peers)+len(r.instancesOf)+len(r.valuesOf)+len(r.processes) != 0 {
		t.Errorf("limits still count %v, %v, %v, %v", r.peers, r.instancesOf, r.valuesOf, r.processes)
	}
}

func TestInstancesPerService(t *testing.T) {
	topo, s, d := shop(t, Config{Limits: Limits{InstancesPerService: 3}})
	for i := range 10 {
		pid := uint32(100 + i)
		d.process(pid, "web").InstanceID = fmt.Sprintf("web-%d", i)
		dial(s, i, pid, address(0), get(0, time.Millisecond, "/"))
	}
	snap := topo.Snapshot(after(time.Second))
	if len(snap.Instances) != 4 || len(snap.Processes) != 3 || len(snap.Operations) != 4 {
		t.Errorf("%d instance edges, %d processes, %d operations; want 4, 3, 4", len(snap.Instances), len(snap.Processes),
			len(snap.Operations))
	}
	for _, i := range snap.Instances {
		if i.ClientInstance == Other && i.Requests != 7 {
			t.Errorf("other has %d requests, want 7", i.Requests)
		}
	}
	if snap.Dropped[dropInstances].Count == 0 {
		t.Error("nothing counted as dropped")
	}
}

// TestShortLivedProcesses has a server with workers that stay, and commands that come and go.
func TestShortLivedProcesses(t *testing.T) {
	topo, s, d := shop(t, Config{Limits: Limits{InstancesPerService: 10}})
	for pid := uint32(100); pid < 104; pid++ {
		d.process(pid, "worker")
	}
	for i := range 60 {
		at := time.Duration(i) * time.Second
		pid := uint32(1000 + i)
		d.process(pid, "curl")
		dial(s, 10*i, pid, address(0), get(at, time.Millisecond, "/"))
		for w := range 4 {
			dial(s, 10*i+1+w, uint32(100+w), address(0), get(at, time.Millisecond, "/"))
		}
		shown := map[string][]uint32{}
		for _, p := range topo.Snapshot(after(at)).Processes {
			shown[p.Service.Name] = append(shown[p.Service.Name], p.Resource.PID)
		}
		if len(shown["curl"]) != 1 || shown["curl"][0] != 1000 {
			t.Fatalf("second %d: commands %v are shown, want the first", i, shown["curl"])
		}
		if want := map[bool]int{false: 1, true: 4}[i >= 10]; len(shown["worker"]) != want {
			t.Fatalf("second %d: workers %v are shown, want %d", i, shown["worker"], want)
		}
	}
	if n := len(topo.registry.processes[ServiceKey{"shop", "curl"}]); n != 10 {
		t.Errorf("%d commands are remembered, want 10", n)
	}
}

func TestRoutesPerService(t *testing.T) {
	topo, s, _ := shop(t, Config{Limits: Limits{RoutesPerService: 4}})
	for i := range 6 {
		dial(s, i, 10, address(0), get(0, time.Millisecond, "/"+strings.Repeat(string(rune('a'+i)), 3)))
	}
	snap := topo.Snapshot(after(time.Second))
	if len(snap.Operations) != 5 || snap.Dropped[dropRoutes].Count != 2 {
		t.Errorf("%d operations, dropped %+v; want 5 and 2", len(snap.Operations), snap.Dropped)
	}
}

// TestIdle removes what is quiet, and starts it again from zero under a new start time.
func TestIdle(t *testing.T) {
	topo, s, _ := shop(t, Config{Idle: 10 * time.Minute})
	l := link{client: 1, flow: flow("10.0.0.1:40000", "10.0.0.2:80"), clientTask: task(10)}
	s.Handle(l.openClient(0))
	for i := range 3 {
		s.Exchange(get(time.Duration(i)*time.Second, time.Millisecond, "/").exchange(l, protocol.ClientSide))
	}
	s.Tick(after(2 * time.Second))
	first := topo.Snapshot(after(9 * time.Minute)).Edges[0]
	if first.Requests != 3 || !first.Created.Equal(start) { // the first ended at 1 ms, and a series begins 1 ms earlier
		t.Errorf("%+v", first)
	}
	gone := topo.Snapshot(after(11 * time.Minute))
	if len(gone.Edges)+len(gone.Instances)+len(gone.Operations)+len(gone.Processes)+len(gone.Nodes) != 0 {
		t.Errorf("still there: %+v", gone)
	}
	if len(gone.Pairs) != 1 {
		t.Errorf("%d pairs; an open connection is not idle", len(gone.Pairs))
	}
	s.Exchange(get(20*time.Minute, time.Millisecond, "/").exchange(l, protocol.ClientSide))
	again := topo.Snapshot(after(21 * time.Minute))
	if len(again.Edges) != 1 || again.Edges[0].Requests != 1 || !again.Edges[0].Created.Equal(after(20*time.Minute)) {
		t.Errorf("%+v", again.Edges)
	}
	if len(again.Operations) != 1 || again.Operations[0].Seconds.Count != 1 || len(again.Processes) != 1 ||
		len(again.Instances) != 1 || again.Instances[0].Requests != 1 {
		t.Errorf("operations %+v, processes %+v, instances %+v", again.Operations, again.Processes, again.Instances)
	}
}

// TestIdleParts has one of two instances pause for longer than its edge does, and a pair without connections.
func TestIdleParts(t *testing.T) {
	topo, s, d := shop(t, Config{Idle: 10 * time.Minute})
	var links []link
	for i, pid := range []uint32{30, 31} {
		d.process(pid, "batch").InstanceID = fmt.Sprint("batch-", i)
		l := link{client: event.ConnID(i + 1), flow: flow("10.0.0.1:40000", "10.0.0.2:80"), clientTask: task(pid)}
		l.flow.Local = netip.AddrPortFrom(l.flow.Local.Addr(), uint16(2000+i))
		s.Handle(l.openClient(0))
		links = append(links, l)
	}
	refused := func(at time.Duration) {
		s.Handle(&event.ConnectFailed{Flow: flow("10.0.0.1:9", "10.0.0.3:81"), Task: task(10), Time: after(at)})
	}
	refused(0)
	s.Exchange(get(0, time.Millisecond, "/").exchange(links[0], protocol.ClientSide))
	for m := range 30 {
		s.Exchange(get(time.Duration(m)*time.Minute, time.Millisecond, "/").exchange(links[1], protocol.ClientSide))
		topo.Snapshot(after(time.Duration(m) * time.Minute))
	}
	s.Exchange(get(30*time.Minute, time.Millisecond, "/").exchange(links[0], protocol.ClientSide))
	refused(30 * time.Minute)
	snap := topo.Snapshot(after(30 * time.Minute))
	if len(snap.Edges) != 1 || snap.Edges[0].Requests != 32 {
		t.Errorf("edges %+v", snap.Edges)
	}
	got := map[string]uint64{}
	for _, i := range snap.Instances {
		got[i.ClientInstance] = i.Requests
	}
	if len(got) != 2 || got["batch-0"] != 1 || got["batch-1"] != 30 || len(snap.Processes) != 2 {
		t.Errorf("instances %v, processes %+v", got, snap.Processes)
	}
	for _, p := range snap.Pairs {
		if p.Server.Name == "10.0.0.3" && (p.Failures != 1 || !p.Created.After(after(29*time.Minute))) {
			t.Errorf("pair %+v", p)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"web":                          "web",
		"\xff\xfe":                     "\uFFFD",
		"a\xffb":                       "a\uFFFDb",
		strings.Repeat("x", 200):       strings.Repeat("x", maxValue),
		strings.Repeat("é", 100):       strings.Repeat("é", maxValue/2),
		"x" + strings.Repeat("é", 100): "x" + strings.Repeat("é", maxValue/2-1),
	} {
		got := clean(in)
		if got != want || !utf8.ValidString(got) {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestStrangeNames has names that are no UTF-8: they become one that is.
func TestStrangeNames(t *testing.T) {
	topo, s, d := shop(t, Config{})
	d.processes[10] = &labeler.Resource{Name: "a\xffb", Executable: "\xfe", PID: 10, Kind: labeler.KindService}
	dial(s, 1, 10, address(0), call{method: "G\xffT", path: "/\xff", status: "2x0", took: time.Millisecond})
	snap := topo.Snapshot(after(time.Second))
	if snap.Edges[0].Client.Name != "a\uFFFDb" || snap.Processes[0].Resource.Executable != "\uFFFD" {
		t.Errorf("%+v, %+v", snap.Edges[0], snap.Processes[0].Resource)
	}
	if got := fmt.Sprint(snap.Operations[0].Values); got != "[_OTHER /{param}  ]" {
		t.Errorf("operation %s", got)
	}
}
