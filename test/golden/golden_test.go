package golden

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGolden: what Toposcope decodes from a capture is what Wireshark says, but for the differences that are listed with their
// reasons.
func TestGolden(t *testing.T) {
	need(t)
	used := make([]int, len(differences))
	for _, name := range slices.Sorted(maps.Keys(ports)) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".pcap.gz")
			pairs := match(t, name, readWireshark(t, file, ports[name]), readReplay(t, file))
			for _, p := range pairs {
				for field, values := range p.differ() {
					if i := explain(p, field); i >= 0 {
						used[i]++
						continue
					}
					t.Errorf("%v:\n\t%s is %q to Wireshark, %q to Toposcope", p.toposcope, field, values[0], values[1])
				}
			}
			t.Logf("%d exchanges compared", len(pairs))
		})
	}
	for i, d := range differences {
		t.Logf("%d times %s: %s", used[i], d.fields, d.why)
		if used[i] == 0 && !t.Failed() {
			t.Errorf("nothing differs for this reason any more: %s: %s", d.fields, d.why)
		}
	}
}

// need skips t where a program is missing.
func need(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("tshark")
	if err == nil {
		_, err = os.Stat(binary())
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// binary is the path of Toposcope.
func binary() string {
	if path := os.Getenv("TOPOSCOPE_BIN"); path != "" {
		return path
	}
	return "../../bin/toposcope"
}

// explain is the number of the difference that is the reason why the points of view differ in a field; -1: nobody knows.
func explain(p pair, field string) int {
	return slices.IndexFunc(differences, func(d difference) bool { return slices.Contains(d.fields, field) && d.is(p) })
}

var differences = []difference{
	{
		[]string{"dns.question.name", "operation"},
		"Wireshark does not tell a dot within a label from one between labels",
		func(p pair) bool {
			name := p.toposcope.fields["dns.question.name"]
			return strings.Contains(name, `\.`) && unescape(name) == p.wireshark.fields["dns.question.name"]
		},
	},
	{
		[]string{"rpc.response.status_code", "status", "outcome"},
		"Wireshark shows that the client reset the stream, and no code; gRPC has codes for that",
		func(p pair) bool {
			code := p.toposcope.fields["rpc.response.status_code"]
			return p.wireshark.reset && p.wireshark.fields["rpc.response.status_code"] == unknown && (code == "CANCELLED" || code == "DEADLINE_EXCEEDED")
		},
	},
	{
		[]string{"rpc.response.status_code", "status", "outcome"},
		"Wireshark drops a header whose name refers to what was said before the capture; its place tells which it is",
		func(p pair) bool { return p.older() && p.wireshark.fields["rpc.response.status_code"] == unknown },
	},
	{
		[]string{"rpc.request.messages"},
		"Wireshark looks for messages of gRPC only where it knows the content type",
		func(p pair) bool { return p.older() && p.wireshark.fields["rpc.request.messages"] == "0" },
	},
	{
		[]string{"rpc.response.messages"},
		"Wireshark looks for messages of gRPC only where it knows the content type",
		func(p pair) bool { return p.older() && p.wireshark.fields["rpc.response.messages"] == "0" },
	},
	{
		[]string{"rpc.response.messages"},
		"Wireshark takes the trailers that gRPC-Web puts into the body for a message",
		func(p pair) bool { return p.web() && p.more("rpc.response.messages", 1) },
	},
	{
		[]string{"rpc.response.status_code", "status", "outcome"},
		"Wireshark does not read the trailers that gRPC-Web puts into the body",
		func(p pair) bool { return p.web() && p.wireshark.fields["rpc.response.status_code"] == unknown },
	},
	{
		[]string{"response"},
		"Toposcope takes the RST_STREAM that ends a call for its answer, whoever sent it",
		func(p pair) bool {
			return p.wireshark.reset && p.wireshark.response == 0 && p.toposcope.response == resetSize
		},
	},
	{
		[]string{"rpc.request.messages"},
		"the call ended before its request: Toposcope does not say how much of that there is",
		func(p pair) bool { return p.wireshark.early && p.toposcope.fields["rpc.request.messages"] == "" },
	},
	{
		[]string{"response"},
		"what a database says before its client has sent all (it authenticates, copies or loads) is not part of the answer",
		func(p pair) bool {
			uploads := slices.Contains([]string{"CONNECT", "COPY", "LOAD"}, p.toposcope.fields["db.operation.name"])
			return uploads && p.wireshark.response > p.toposcope.response
		},
	},
	{
		[]string{"db.query.text"},
		"Toposcope leaves out the blanks at the end of a statement",
		func(p pair) bool {
			return strings.TrimRight(p.wireshark.fields["db.query.text"], " ") == p.toposcope.fields["db.query.text"]
		},
	},
	{
		[]string{"db.query.text"},
		"Toposcope does not show the name of a command that Redis does not have, which may be anything",
		func(p pair) bool {
			return p.toposcope.protocol == "redis" && p.toposcope.fields["db.query.text"] == "other"
		},
	},
	{
		[]string{"response", "end", "status", "outcome", "db.response.status_code", "mongodb.error.code_name"},
		"Node's driver wants no answer to endSessions, and says so; FerretDB answers all the same",
		func(p pair) bool {
			return p.toposcope.fields["db.operation.name"] == "endSessions" && p.toposcope.response == 0
		},
	},
}

// resetSize is that of a RST_STREAM frame (RFC 9113, section 6.4).
const resetSize = 9 + 4

// ports say which protocol is spoken at a port of a capture's, where Wireshark can't know.
var ports = map[string][]string{
	"http1":         {"tcp.port==8001,http", "tcp.port==8002,http", "tcp.port==8003,http", "tcp.port==8004,http"},
	"http1-any":     {"tcp.port==8001,http"},
	"http2":         {"tcp.port==8001,http", "tcp.port==8002,http2", "tcp.port==8003,http2"},
	"http2-upgrade": {"tcp.port==8001,http", "tcp.port==8002,http"},
	"grpc-go":       {"tcp.port==8001,http2"},
	"grpc-node":     {"tcp.port==8001,http2"},
	"grpc-older":    {"tcp.port==8001,http2"},
	"grpc-web":      {"tcp.port==8001,http", "tcp.port==8002,http2", "tcp.port==8003,http2", "tcp.port==8004,http2"},
	"dns-coredns":   {},
	"dns-dnsmasq":   {},
	"dns-unbound":   {},
	"mysql":         {"tcp.port==8001,mysql"},
	"postgresql":    {"tcp.port==8001,pgsql"},
	"redis":         {"tcp.port==8001,resp"},
	"mongodb":       {"tcp.port==8001,mongo"},
	"kafka":         {"tcp.port==8001,kafka"},
}
