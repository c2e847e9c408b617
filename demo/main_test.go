package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/resolver"
	"github.com/toposcope/toposcope/demo/tally"
)

// TestMain lets the test's binary stand for toposcope-demo: it is started again with a service's name, or with shopMark.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == shopMark {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		main()
		return
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	os.Exit(m.Run())
}

const shopMark = "run-the-shop"

// run is a running shop.
type run struct {
	cmd       *exec.Cmd
	report    string
	pids      map[string]int    // by service
	addresses map[string]string // likewise
	faults    string            // the URL at which they are switched
	lines     chan string       // standard error
}

// faultsURL is in the line that tells how to switch faults.
var faultsURL = regexp.MustCompile(`http://\S+/faults`)

// startShop starts the shop and returns when all of its services listen.
func startShop(t *testing.T, args ...string) *run {
	t.Helper()
	r := &run{
		report: filepath.Join(t.TempDir(), "report.json"),
		pids:   map[string]int{}, addresses: map[string]string{}, lines: make(chan string, 100),
	}
	r.cmd = exec.CommandContext(t.Context(), os.Args[0], append([]string{shopMark, "--report=" + r.report}, args...)...)
	// Under the race detector every process would linger for a second at its end, and they end one after another.
	r.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			select {
			case r.lines <- s.Text():
			default: // nobody waits for any
			}
		}
	}()
	r.readTable(t, stdout)
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return r
}

// readTable reads what the shop prints when it is ready.
func (r *run) readTable(t *testing.T, stdout io.Reader) {
	t.Helper()
	for table := bufio.NewScanner(stdout); table.Scan(); {
		if r.faults = faultsURL.FindString(table.Text()); r.faults != "" {
			break
		}
		fields := strings.Fields(table.Text())
		if len(fields) < 3 {
			continue
		}
		if pid, err := strconv.Atoi(fields[1]); err == nil {
			r.pids[fields[0]], r.addresses[fields[0]] = pid, fields[2]
		}
	}
	if want := len(processes()) + 2; len(r.pids) != want || r.faults == "" {
		t.Fatalf("the shop tells of %d processes, want %d, and of faults at %q", len(r.pids), want, r.faults)
	}
}

// stop stops the shop and returns its report.
func (r *run) stop(t *testing.T) tally.Pages {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return r.wait(t)
}

// wait waits until the shop has ended by itself, and returns its report.
func (r *run) wait(t *testing.T) tally.Pages {
	t.Helper()
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("the shop ended with %v", err)
	}
	r.gone(t)
	text, err := os.ReadFile(r.report)
	if err != nil {
		t.Fatal(err)
	}
	var pages tally.Pages
	if err := json.Unmarshal(text, &pages); err != nil {
		t.Fatal(err)
	}
	return pages
}

// gone waits until none of the shop's processes is left.
func (r *run) gone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, pid := range r.pids {
		for alive(pid) {
			if ctx.Err() != nil {
				t.Fatalf("%s (process %d) outlives the shop", name, pid)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// alive is false also for a zombie that nobody has waited for.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// restart kills a service and waits until it is back.
func (r *run) restart(t *testing.T, service string) {
	t.Helper()
	if err := syscall.Kill(r.pids[service], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	timeout := time.After(10 * time.Second)
	for {
		select {
		case line := <-r.lines:
			if strings.Contains(line, service+" runs again") {
				return
			}
		case <-timeout:
			t.Fatalf("%s does not run again", service)
		}
	}
}

// ask sends a request and returns the answer's status and text.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// lookUp looks name up at the shop's name server, and returns the outcome.
func (r *run) lookUp(t *testing.T, name string) string {
	t.Helper()
	look := resolver.Resolver{
		Client: "test", Server: "dns", Address: r.addresses["dns"], Search: dns.Search(), Dots: dns.Dots, Book: &tally.Book{},
	}
	_, _ = look.Addresses(t.Context(), name) // the error says no more than the outcome
	rows := look.Book.Lookups.Rows()
	if len(rows) != 1 {
		t.Fatalf("one lookup is counted as %v", rows)
	}
	return rows[0].Key.Outcome
}

// TestShop: every service is a process of its own, one that is killed comes back, SIGTERM stops all, and the report tells
// of every call.
func TestShop(t *testing.T) {
	t.Parallel()
	r := startShop(t, "--rate=200")
	r.restart(t, "notifications") // which nobody needs
	pages := r.stop(t)
	callers := map[string]bool{}
	for _, c := range pages.Calls {
		callers["http "+c.Key.Client] = true
	}
	for _, c := range pages.RPCs {
		callers["grpc "+c.Key.Client] = true
	}
	for _, c := range pages.Questions {
		callers["dns "+c.Key.Client] = true
	}
	for _, c := range pages.Operations {
		callers[c.Key.System+" "+c.Key.Client] = true
	}
	for _, want := range []string{
		"http load", "http web", "http checkout", "grpc catalogue", "grpc checkout", "dns load", "dns payments",
		"mysql catalogue", "mysql checkout", "mongodb users", "mongodb recommendations", "redis web", "redis cart", "redis fulfilment",
	} {
		if !callers[want] {
			t.Errorf("the report has no call by %s, only by %v", want, slices.Sorted(maps.Keys(callers)))
		}
	}
}

// TestNoOrphans: the services go even when the shop is killed and can stop nobody.
func TestNoOrphans(t *testing.T) {
	t.Parallel()
	r := startShop(t)
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := r.cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the shop ended with %v, not by SIGKILL", err)
	}
	r.gone(t)
}

// TestPortTaken: a shop that cannot start says why, at once, and leaves nothing behind.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], shopMark, "--port-base="+port, "--control-address=127.0.0.1:0")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the shop ended with %v, want exit code 1", err)
	}
	if text := string(out); !strings.Contains(text, "address already in use") || !strings.Contains(text, "it ended before it listened") {
		t.Errorf("the shop says %q", text)
	}
}

// TestSameSeed: the same seed gives the same traffic with the same faults, to the last call; another one does not.
func TestSameSeed(t *testing.T) {
	t.Parallel()
	once := func(seed string) tally.Pages {
		pages := startShop(t, "--seed="+seed, "--requests=150", "--rate=100", "--fault=users=slow:20ms:0.3,stock=fail:0.1").wait(t)
		// How often a queue is found empty hangs on the time, and so does whether it is when the shop closes.
		pages.Operations = slices.DeleteFunc(pages.Operations, func(r tally.Row[tally.Operation]) bool {
			return strings.HasSuffix(r.Key.Operation, "LPOP")
		})
		return pages
	}
	first := once("7")
	if again := once("7"); !reflect.DeepEqual(first, again) {
		t.Errorf("the same seed gives\n%v\nand then\n%v", first, again)
	}
	if other := once("8"); reflect.DeepEqual(first, other) {
		t.Errorf("seeds 7 and 8 both give\n%v", first)
	}
	codes := map[string]bool{}
	for _, r := range first.RPCs {
		codes[r.Key.Code] = true
	}
	for _, r := range first.Questions {
		codes[r.Key.Code] = true
	}
	for _, want := range []string{"OK", "NOT_FOUND", "UNAVAILABLE", "NOERROR", "NXDOMAIN"} {
		if !codes[want] {
			t.Errorf("nothing ends with %s, only with %v", want, slices.Sorted(maps.Keys(codes)))
		}
	}
}

// TestFaults: faults can be switched while the shop runs, are in force when the switch answers, and outlive a service.
func TestFaults(t *testing.T) {
	t.Parallel()
	// The shops of other tests would take an address at port 53 while the name server is away.
	r := startShop(t, "--rate=50", "--fault=prices=fail", "--dns-address=127.0.0.1:0")
	item := "http://" + r.addresses["web"] + "/items/10001"
	user := "http://" + r.addresses["users"] + "/users/1"
	expect := func(url string, want int) {
		t.Helper()
		if got, text := ask(t, "GET", url, ""); got != want {
			t.Errorf("GET %s: %d %s, want %d", url, got, text, want)
		}
	}
	change := func(method, body, want string) {
		t.Helper()
		if status, got := ask(t, method, r.faults, body); status != 200 || got != want {
			t.Errorf("%s %s: %d %q, want %q", method, body, status, got, want)
		}
	}
	lookUp := func(want string) {
		t.Helper()
		if got := r.lookUp(t, "web"); got != want {
			t.Errorf("web is %s, want it %s", got, want)
		}
	}
	expect(item, http.StatusBadGateway)
	lookUp("found")
	change("GET", "", "prices=fail")
	change("PUT", "users=fail", "users=fail")
	expect(item, http.StatusOK)
	expect(user, http.StatusServiceUnavailable)
	change("POST", "dns=fail", "dns=fail,users=fail")
	lookUp("failed")
	r.restart(t, "users")
	expect(user, http.StatusServiceUnavailable)
	change("DELETE", "", "")
	expect(user, http.StatusOK)
	r.restart(t, "dns")
	lookUp("found")
	if status, text := ask(t, "PUT", r.faults, "bakery=fail"); status != http.StatusBadRequest || !strings.Contains(text, "bakery") {
		t.Errorf("a service that is not there: %d %s", status, text)
	}
	pages := r.stop(t)
	codes := map[string]uint64{}
	for _, c := range pages.RPCs {
		if c.Key.Server == "prices" {
			codes[c.Key.Code] += c.Count
		}
	}
	if codes["UNAVAILABLE"] == 0 || codes["OK"] == 0 {
		t.Errorf("calls of prices ended with %v, want some before and some after the change", codes)
	}
}
