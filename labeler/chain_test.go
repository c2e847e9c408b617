package labeler_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
)

func TestUnknown(t *testing.T) {
	h := newHost(t)
	for _, task := range []event.Task{{}, {PID: 7, Start: 8}} {
		if r := h.Process(task); r.Kind != labeler.KindUnknown || r.Name != "unknown" || h.Watched(task) {
			t.Errorf("%+v is %+v", task, r)
		}
	}
	if h.Process(event.Task{}) != h.Process(event.Task{PID: 7}) {
		t.Error("there are two unknowns")
	}
}

func TestNaming(t *testing.T) {
	h := newHost(t)
	id := strings.Repeat("0123456789abcdef", 4)
	for i, c := range []struct {
		exe, cgroup, environ string
		args                 []string
		name, instance       string
		also                 labeler.Resource // Unit, ContainerName, Namespace
	}{
		{"/srv/cart", "0::/", "", nil, "cart", "cart@web1", labeler.Resource{}},
		{"/usr/bin/python3.11", "0::/", "", []string{"python3", "app.py"}, "python app.py", "python3.11@web1", labeler.Resource{}},
		{"/usr/bin/java", "0::/system.slice/shop-cart.service", "", []string{"java", "-jar", "x.jar"}, "shop-cart", "shop-cart.service@web1", labeler.Resource{Unit: "shop-cart.service"}},
		{"/usr/bin/java", "0::/system.slice/shop-cart.service", "A=b\x00OTEL_SERVICE_NAME=cart\x00OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop", nil, "cart", "shop-cart.service@web1", labeler.Resource{Unit: "shop-cart.service", Namespace: "shop"}},
		{"/usr/bin/curl", "0::/system.slice/cron.service", "", nil, "curl", "curl@web1", labeler.Resource{Unit: "cron.service"}},
		{"/usr/bin/curl", "0::/user.slice/user-0.slice/session-3.scope", "", nil, "curl", "curl@web1", labeler.Resource{}},
		{"/usr/sbin/nginx", "0::/docker/" + id, "", nil, "nginx", "0123456789ab@web1", labeler.Resource{ContainerName: "0123456789ab"}},
		{"/srv/main", "0::/nomad.slice/share.slice/8dbc7e3c-2bd4-4c7e-9f0a-1b2c3d4e5f60.cart.scope", "", nil, "cart", "cart@web1", labeler.Resource{ContainerName: "cart"}},
		{"/srv/main", "0::/lxc.payload.web/system.slice/api.service", "", nil, "api", "api.service@web1", labeler.Resource{Unit: "api.service", ContainerName: "web"}},
		{"/srv/main", "0::/lxc.payload.web", "", nil, "main", "main@web1", labeler.Resource{ContainerName: "web"}},
		{"/srv/main", "0::/system.slice/web.service/libpod-payload-" + id, "", nil, "web", "web.service@web1", labeler.Resource{Unit: "web.service", ContainerName: "0123456789ab"}},
	} {
		r := h.want(h.start(100+i, c.exe, c.cgroup, c.environ, c.args...), c.name, c.instance)
		if r.Kind != labeler.KindService || r.Host != "web1" || r.Unit != c.also.Unit || r.ContainerName != c.also.ContainerName || r.Namespace != c.also.Namespace {
			t.Errorf("%s in %s: %+v, want %+v", c.exe, c.cgroup, r, c.also)
		}
	}
}

func TestPreforkServer(t *testing.T) {
	h := newHost(t)
	master := h.start(10, "/usr/sbin/nginx", "0::/", "")
	before := h.want(master, "nginx", "nginx@web1")
	worker := h.fork(master, 11)
	h.listen(master, "0.0.0.0:8080", true)
	h.listen(worker, "0.0.0.0:9090", true)
	after := h.want(master, "nginx", "web1:8080")
	if after == before || before.InstanceID != "nginx@web1" {
		t.Error("a resource was changed in place")
	}
	if r := h.want(worker, "nginx", "web1:8080"); r.PID != 11 {
		t.Errorf("the worker is %d", r.PID)
	}
	h.listen(worker, "0.0.0.0:8080", true) // the socket it shares, as a scan of sockets would tell it
	h.listen(master, "0.0.0.0:8080", true)
	if h.Process(master) != after {
		t.Error("a listener told again made a new resource")
	}
	h.listen(master, "0.0.0.0:40000", true)
	h.listen(master, "127.0.0.1:80", true)
	h.want(worker, "nginx", "web1:80")
	h.listen(master, "127.0.0.1:80", false)
	h.want(worker, "nginx", "web1:80") // the name stays

	h.end(master)
	r, watched := h.Address(netip.MustParseAddrPort("127.0.0.1:8080"), 1, h.now)
	if !watched || r != h.Process(worker) {
		t.Errorf("after its master's end the port is %+v's, want the worker's", r)
	}
	h.want(master, "nginx", "web1:80")
}

func TestExecIsANewIdentity(t *testing.T) {
	h := newHost(t)
	shell := h.start(10, "/bin/bash", "0::/", "", "bash")
	h.want(shell, "bash", "bash@web1")
	child := h.fork(shell, 12)
	h.want(child, "bash", "bash@web1")
	was := h.Process(child)
	h.Exec(&event.Exec{Task: child, Parent: 10, Comm: "curl", Executable: "/usr/bin/curl", Args: []string{"curl", "http://x"}, Time: h.now})
	h.want(child, "curl", "curl@web1")
	if r := h.ProcessAt(child, h.now.Add(-time.Millisecond)); r != was {
		t.Errorf("before its exec it was %q", r.Name)
	}
	if r := h.ProcessAt(child, h.now); r != h.Process(child) {
		t.Errorf("at its exec it was %q", r.Name)
	}
	if was.Name != "bash" || h.Process(shell).Name != "bash" {
		t.Error("the exec of a child renamed its parent")
	}
	h.end(child)
	h.want(child, "curl", "curl@web1")
	h.now = h.now.Add(2 * time.Minute)
	h.Expire()
	if r := h.Process(child); r.Kind != labeler.KindUnknown {
		t.Errorf("two minutes after its end it still is %q", r.Name)
	}
}

func TestWatchFollowsTheFilter(t *testing.T) {
	h := newHost(t)
	cart := h.start(10, "/srv/cart", "0::/", "")
	web := h.start(11, "/srv/web", "0::/", "")
	h.start(99, "/usr/bin/toposcope", "0::/", "")
	h.SetWatch(&h.watch)
	h.wantWatch("default include, 99 exclude") // before anything was scanned
	if err := h.Scan(); err != nil {
		t.Fatal(err)
	}
	h.wantWatch("default include, 99 exclude")
	if !h.Watched(cart) || !h.Process(event.Task{PID: 99}).Self {
		t.Error("cart is not watched, or our own process not known")
	}
	h.filter(labeler.FilterConfig{DefaultAction: "exclude", Rules: []labeler.FilterRule{{Action: "include", Match: &labeler.Match{Service: "cart"}}}})
	h.wantWatch("default exclude, 10 include, 99 exclude")
	if !h.Watched(cart) || h.Watched(web) {
		t.Error("the filter is not in force")
	}
	worker := h.fork(cart, 20)
	h.fork(web, 21)
	h.wantWatch("default exclude, 10 include, 20 include, 99 exclude")
	h.Exec(&event.Exec{Task: worker, Executable: "/usr/bin/curl", Comm: "curl"})
	h.wantWatch("default exclude, 10 include, 20 exclude, 99 exclude")
	h.end(worker)
	h.wantWatch("default exclude, 10 include, 99 exclude")
	h.filter(labeler.FilterConfig{})
	h.wantWatch("default include, 10 include, 99 exclude")

	// A lost exit: its PID is another's by the time it is told of.
	again := h.start(10, "/srv/other", "0::/", "")
	again.Start += 1e12
	h.Exec(&event.Exec{Task: again, Executable: "/srv/other", Comm: "other"})
	h.watch.forgot = nil
	h.Exit(&event.Exit{Task: cart})
	if h.watch.forgot != nil {
		t.Errorf("forgot %v, which runs", h.watch.forgot)
	}
	h.want(cart, "cart", "cart@web1")
	h.want(again, "other", "other@web1")
}

func TestFilterByPortAndPID(t *testing.T) {
	h := newHost(t)
	h.SetWatch(&h.watch)
	h.filter(labeler.FilterConfig{DefaultAction: "exclude", Rules: []labeler.FilterRule{
		{Action: "include", Match: &labeler.Match{Port: []int{8080}}},
		{Action: "include", Match: &labeler.Match{PID: []int{11}}},
	}})
	server, other := h.start(10, "/srv/server", "0::/", ""), h.start(11, "/srv/other", "0::/", "")
	if err := h.Scan(); err != nil {
		t.Fatal(err)
	}
	h.wantWatch("default exclude, 11 include")
	worker, child := h.fork(server, 12), h.fork(other, 13)
	h.listen(server, "[::]:8080", true)
	h.wantWatch("default exclude, 10 include, 11 include, 12 include, 13 include")
	h.listen(server, "[::]:8080", false)
	h.wantWatch("default exclude, 10 exclude, 11 include, 12 exclude, 13 include")
	if h.Watched(worker) || !h.Watched(child) {
		t.Error("the workers are not judged like their masters")
	}
	var selected []string
	f, err := labeler.NewFilter(labeler.FilterConfig{Rules: []labeler.FilterRule{{Action: "exclude", Match: &labeler.Match{Process: "s*"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range h.Select(f) {
		selected = append(selected, fmt.Sprint(i.Resource.PID, i.Action, i.Rule))
	}
	if got := fmt.Sprint(selected); got != "[10exclude0 11include-1 12exclude0 13include-1]" && got != "[10 exclude 0 11 include -1 12 exclude 0 13 include -1]" {
		t.Errorf("a filter that is only tried selects %s", got)
	}
	if got := h.Instances(); len(got) != 4 || got[1].Rule != 1 || got[1].Action != labeler.Include {
		t.Errorf("instances %+v", got)
	}
}

func TestBusinessLabels(t *testing.T) {
	h := newHost(t)
	cart, web := h.start(10, "/srv/cart", "0::/", ""), h.start(11, "/srv/web", "0::/", "")
	before := []*labeler.Resource{h.Process(cart), h.Process(web)}
	err := h.SetLabels([]labeler.LabelRule{{Match: &labeler.Match{Service: "cart"}, Set: map[string]string{"team": "payments"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r := h.Process(cart); r == before[0] || !reflect.DeepEqual(r.Labels, []labeler.Label{{Name: "team", Value: "payments"}}) {
		t.Errorf("cart's labels are %v", r.Labels)
	}
	if h.Process(web) != before[1] {
		t.Error("web has a new resource, though nothing about it changed")
	}
	if err := h.SetLabels([]labeler.LabelRule{{}}); err == nil || h.Process(cart).Labels == nil {
		t.Errorf("bad rules: %v; the ones in force must stay", err)
	}
}

func TestAddress(t *testing.T) {
	h := newHost(t)
	cart := h.start(10, "/srv/cart", "0::/", "")
	systemd := h.start(1, "/usr/lib/systemd/systemd", "0::/init.scope", "")
	h.listen(cart, "0.0.0.0:80", true)
	h.listen(systemd, "0.0.0.0:81", true)
	h.listen(event.Task{}, "0.0.0.0:82", true)
	ask := func(addr string) (*labeler.Resource, bool) { return h.Address(netip.MustParseAddrPort(addr), 1, h.now) }
	for _, c := range []struct {
		addr, name string
		kind       labeler.Kind
		watched    bool
	}{
		{"127.0.0.1:80", "cart", labeler.KindService, true},
		{"[::ffff:127.0.0.1]:80", "cart", labeler.KindService, true},
		{"127.0.0.1:81", "systemd", labeler.KindService, true},
		{"127.0.0.1:82", "web1", labeler.KindHost, false},
		{"127.0.0.1:83", "web1", labeler.KindHost, false},
		{"10.0.0.1:80", "10.0.0.1", labeler.KindExternal, false},
		{"10.0.0.1:81", "10.0.0.1", labeler.KindExternal, false},
		{"8.8.8.8:53", "external", labeler.KindExternal, false},
		{"[fd00::1]:80", "fd00::1", labeler.KindExternal, false},
		{"10.0.0.2:80", "external", labeler.KindExternal, false}, // past the bound of two
		{"10.0.0.1:82", "10.0.0.1", labeler.KindExternal, false},
	} {
		r, watched := ask(c.addr)
		if r.Name != c.name || r.Kind != c.kind || watched != c.watched || r.InstanceID == "" {
			t.Errorf("%s is %+v, watched %v; want %s, %s, %v", c.addr, r, watched, c.name, c.kind, c.watched)
		}
	}
	if s := h.Stats(); s.Externals != 2 || s.ExternalOverflow != 1 || s.Listeners != 3 {
		t.Errorf("stats %+v", s)
	}
	// systemd listened for the service that accepts.
	h.Accepted(netip.MustParseAddrPort("127.0.0.1:81"), 1, cart, h.now)
	if r, _ := ask("127.0.0.1:81"); r != h.Process(cart) {
		t.Errorf("the activated socket is %s's, want cart's", r.Name)
	}
	worker := h.fork(cart, 20)
	h.Accepted(netip.MustParseAddrPort("127.0.0.1:80"), 1, worker, h.now)
	if r, _ := ask("127.0.0.1:80"); r != h.Process(cart) {
		t.Error("a worker that accepts took its master's address")
	}
	h.now = h.now.Add(2 * time.Hour)
	h.Expire()
	if r, _ := ask("10.0.0.3:80"); r.Name != "10.0.0.3" {
		t.Errorf("after two idle hours there is no room for another address: %s", r.Name)
	}
}
