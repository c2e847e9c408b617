package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
)

// exchanges replays a file and returns what it printed, line by line.
func exchanges(t testing.TB, file string, flags ...string) []exchangeLine {
	t.Helper()
	p := command(t, append([]string{"replay", "--output=json", file}, flags...)...)
	if p.code != 0 || p.err != "" {
		t.Fatalf("exit code %d, %s", p.code, p.err)
	}
	var list []exchangeLine
	for line := range strings.Lines(p.out) {
		var x exchangeLine
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		list = append(list, x)
	}
	return list
}

// TestReplayLine: every field, in the contract's order, and nothing that the configuration keeps back.
func TestReplayLine(t *testing.T) {
	c := converse(t, "10.0.0.1:40000", "10.0.0.2:8080", epoch).open()
	c.say(0, step, request("/pay?card=4111&4112&to=me#f")).say(1, 5*time.Millisecond, response(404, 20)).close()
	file := writeFile(t, pcap(c.packets...))
	p := command(t, "replay", "--output=json", file)
	want := `{"time":"2026-01-02T03:04:05.0004Z","protocol":"http","client":"10.0.0.1:40000","server":"10.0.0.2:8080",` +
		`"operation":"GET /pay","status":"404","error":"404","durationSeconds":0.005,"requestBytes":56,"responseBytes":58,"outcome":"rejected",` +
		`"attributes":{"http.request.method":"GET","http.response.status_code":"404","network.protocol.version":"1.1","server.address":"shop",` +
		`"url.path":"/pay","url.query":"card=REDACTED&REDACTED&to=REDACTED"}}` + "\n"
	if p.out != want || p.code != 0 {
		t.Errorf("exit code %d, %s\n%s, want\n%s", p.code, p.err, p.out, want)
	}
	cfg := writeFile(t, []byte("redact: {url_query: false}"))
	if list := exchanges(t, file, "--config.file="+cfg); list[0].Attributes["url.query"] != "card=4111&4112&to=me" {
		t.Errorf("%+v", list)
	}
}

// TestReplaySummary: who asked whom, and what is missing.
func TestReplaySummary(t *testing.T) {
	packets := lookup(t, "10.0.0.1:30000", "10.0.0.53:53", "cart.shop", "10.0.0.2", epoch)
	c := converse(t, "10.0.0.1:40000", "10.0.0.2:8080", epoch.Add(step)).open()
	for i := range 10 {
		c.say(0, step, request("/")).say(1, 4*time.Millisecond, response([]int{200, 503}[i%2], 10))
	}
	packets = append(packets, c.packets...)
	secret := converse(t, "10.0.0.1:40001", "10.0.0.3:443", epoch).open().say(0, step, clientHello(t, "API.example")).close()
	packets = append(packets, secret.packets...)
	local := converse(t, "127.0.0.1:40001", "127.0.0.1:9000", epoch).open().say(0, step, request("/")).say(1, step, response(200, 1))
	packets = append(packets, local.packets...)
	p := command(t, "replay", writeFile(t, pcap(packets...)))
	for _, want := range []string{
		`(?m)^10\.0\.0\.1 +cart\.shop +http +10 +5 +0 +0 +(3\.9|4\.)`,
		`(?m)^10\.0\.0\.1 +10\.0\.0\.53 +dns +1 +0 +0 +0 +(9\d\.\d|10\d)µs`,
		`(?m)^127\.0\.0\.1 +127\.0\.0\.1:9000 +http +1 +0 +0 +0 `,
		`(?m)^Not decoded: 1 connections with TLS, 0 that speak nothing known, of 4\.\n  TLS of a version not seen to api\.example, ALPN h2: 1$`,
	} {
		if !regexp.MustCompile(want).MatchString(p.out) {
			t.Errorf("%q is not in\n%s%s", want, p.out, p.err)
		}
	}
	if p.code != 0 || p.err != "" {
		t.Errorf("exit code %d, %s", p.code, p.err)
	}
}

// TestReplayRefusals: one line, and the exit codes of the contract.
func TestReplayRefusals(t *testing.T) {
	text := writeFile(t, []byte("not a capture"))
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{1, "is not a capture", []string{"replay", text}},
		{1, "no such file", []string{"replay", text + "x"}},
		{1, "is empty", []string{"replay", "--serve", "--web.listen-address=127.0.0.1:0", writeFile(t, nil)}},
		{1, "holds no packet", []string{"replay", "--serve", "--web.listen-address=127.0.0.1:0", writeFile(t, pcap())}},
		{1, "unknwon", []string{"replay", "--config.file=" + writeFile(t, []byte("unknwon: 1")), text}},
		{2, "--serve", []string{"replay", "--storage.tsdb.path=x", text}},
		{2, "text,json", []string{"replay", "--output=xml", text}},
		{2, "file", []string{"replay"}},
	} {
		p := command(t, c.args...)
		if p.code != c.code || !strings.Contains(p.err, c.want) || strings.Count(p.err, "toposcope: ") != 1 {
			t.Errorf("%v: exit code %d, %q", c.args, p.code, p.err)
		}
	}
	damaged := pcap(converse(t, "10.0.0.1:40000", "10.0.0.2:8080", epoch).open().say(0, step, request("/")).say(1, step, response(200, 1)).packets...)
	damaged = append(damaged, slices.Repeat([]byte{0xff}, 100)...)
	p := command(t, "replay", writeFile(t, damaged))
	if p.code != 1 || !strings.Contains(p.out, "http") || !strings.Contains(p.err, "after packet 5: the next is said to have 4294967295 bytes") {
		t.Errorf("exit code %d, %s%s", p.code, p.out, p.err)
	}
}

// TestReplayStandardInput: "-" is standard input, which is also named where it has nothing.
func TestReplayStandardInput(t *testing.T) {
	c := converse(t, "10.0.0.1:40000", "10.0.0.2:80", epoch).open().say(0, step, request("/")).say(1, step, response(200, 1))
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	for _, data := range [][]byte{pcap(c.packets...), nil} {
		f, err := os.Open(writeFile(t, data))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		os.Stdin = f
		p := command(t, "replay", "-")
		if want := "standard input is empty"; data == nil && (p.code != 1 || !strings.Contains(p.err, want)) {
			t.Errorf("exit code %d, %s", p.code, p.err)
		}
		if data != nil && (p.code != 0 || !strings.Contains(p.out, "http")) {
			t.Errorf("exit code %d, %s%s", p.code, p.out, p.err)
		}
	}
}

// TestProgressLine: a bar where the size is known, else what has been read.
func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		read, size int64
		want       string
	}{
		{0, 100e6, "[                              ]   0 %  0.0 of 100.0 MB  0 MB/s"},
		{50e6, 100e6, "[===============               ]  50 %  50.0 of 100.0 MB  25 MB/s"},
		{100e6, 100e6, "[==============================] 100 %  100.0 of 100.0 MB  50 MB/s"},
		{120e6, 100e6, "120.0 MB  60 MB/s"}, // it has grown
		{10e6, 0, "10.0 MB  5 MB/s"},
	} {
		if got := progressLine(c.read, c.size, 2*time.Second); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestReplayLoss: of captures that miss packets, what is told is true: each exchange that is printed was there and took that
// long, and those that are not are counted as lost, with few exceptions: a loss that both directions share can only be estimated.
func TestReplayLoss(t *testing.T) {
	const conns, each = 40, 25
	total, told, lost := 0, 0, 0
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 0))
		truth := map[string]float64{}
		var packets []captured
		for i := range conns {
			c := converse(t, fmt.Sprintf("10.0.1.%d:40000", i+1), "10.0.0.2:80", epoch.Add(time.Duration(i)*step)).open()
			first := len(c.packets)
			for j := range each {
				path := fmt.Sprintf("/%d/%d", i, j)
				took := time.Duration(1+r.IntN(5000)) * time.Microsecond
				c.say(0, time.Millisecond, request(path))
				begin := c.at
				c.say(1, took, response(200, r.IntN(4000)))
				truth[path] = c.at.Sub(begin).Seconds()
			}
			c.close()
			kept := c.packets[:first]
			for _, p := range c.packets[first:] {
				if r.IntN(100) != 0 {
					kept = append(kept, p)
				}
			}
			packets = append(packets, kept...)
		}
		file := writeFile(t, pcap(packets...))
		list := exchanges(t, file)
		for _, x := range list {
			want, ok := truth[x.Attributes["url.path"]]
			if !ok || x.DurationSeconds != want || x.Outcome != "ok" {
				t.Errorf("seed %d: %s %s took %v, want %v", seed, x.Operation, x.Outcome, x.DurationSeconds, want)
			}
			delete(truth, x.Attributes["url.path"])
		}
		summary := command(t, "replay", file).out
		n := 0
		for line := range strings.Lines(summary) {
			if f := strings.Fields(line); len(f) > 6 && f[2] == "http" {
				var x int
				fmt.Sscan(f[6], &x)
				n += x
			}
		}
		total += conns * each
		told += len(list)
		lost += n
	}
	if missed := total - told; missed == 0 || lost < missed*95/100 || lost > missed*105/100 {
		t.Errorf("%d exchanges were there, %d are told and %d are counted as lost", total, told, lost)
	}
}

// TestReplayEnd: an answer that the capture missed at the end is lost, not a request that nobody answered; a request that is
// open when the capture ends is neither.
func TestReplayEnd(t *testing.T) {
	var packets []captured
	c := converse(t, "10.0.0.1:40000", "10.0.0.2:80", epoch).open()
	c.say(0, step, request("/1")).say(1, step, response(200, 10)).close()
	missed := slices.IndexFunc(c.packets, func(p captured) bool { return strings.Contains(string(p.data), "200") })
	packets = append(packets, slices.Delete(c.packets, missed, missed+1)...)
	open := converse(t, "10.0.0.1:40001", "10.0.0.2:80", epoch).open().say(0, step, request("/2"))
	packets = append(packets, open.packets...)
	unanswered := converse(t, "10.0.0.1:40002", "10.0.0.2:80", epoch).open().say(0, step, request("/3"))
	unanswered.send(1, step, "", func(tcp *layers.TCP) { tcp.RST = true })
	packets = append(packets, unanswered.packets...)
	file := writeFile(t, pcap(packets...))
	list := exchanges(t, file)
	if len(list) != 1 || list[0].Operation != "GET /3" || list[0].Error != "unanswered" || list[0].Status != "" {
		t.Errorf("%+v", list)
	}
	if p := command(t, "replay", file); !strings.Contains(p.out, "http      1         1       0         1 ") {
		t.Errorf("%s", p.out)
	}
}

// TestReplaySample: the demo's capture holds what the demo says that it did.
func TestReplaySample(t *testing.T) {
	data, err := os.ReadFile("../../demo/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Calls []struct {
			Method string
			Status int
			Count  int
		}
		GRPC []struct {
			Method, Code string
			Count        int
		}
		DNS []struct {
			Name, Type, Code string
			Count            int
		}
		DB []struct {
			Operation, Collection, Status string
			Count                         int
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, c := range report.Calls {
		want[fmt.Sprint(c.Method, " ", c.Status)] += c.Count
	}
	for _, c := range report.GRPC {
		want[c.Method+" "+c.Code] += c.Count
	}
	for _, c := range report.DNS {
		want[c.Type+" "+strings.TrimSuffix(c.Name, ".")+" "+c.Code] += c.Count
	}
	for _, c := range report.DB {
		verb, _, _ := strings.Cut(c.Operation, " ") // START TRANSACTION
		want[strings.TrimSuffix(verb+" "+c.Collection, " ")+" "+c.Status] += c.Count
	}
	got := map[string]int{}
	for _, x := range exchanges(t, "../../demo/sample.pcap.gz") {
		if x.Upkeep {
			continue // the shop does not know what its drivers do
		}
		op := x.Operation
		if x.Protocol == "http" {
			op = x.Attributes["http.request.method"]
		}
		got[op+" "+x.Status]++
	}
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("%s: %d, want %d", k, got[k], want[k])
		}
		delete(got, k)
	}
	if len(got) > 0 {
		t.Errorf("not there: %v", got)
	}
}

// clientHello is what crypto/tls says first.
func clientHello(t *testing.T, name string) string {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	go tls.Client(near, &tls.Config{ServerName: name, NextProtos: []string{"h2"}}).Handshake() //nolint:errcheck // nobody answers
	buf := make([]byte, 1<<14)
	n, err := far.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}
