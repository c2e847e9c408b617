package golden

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// exchange is a request with its answer, from Wireshark's point of view or from Toposcope's, with the fields that both have.
type exchange struct {
	protocol, client, server string
	// fields are compared as they stand; one that a point of view does not have is "".
	fields map[string]string
	// begin is when the request's first byte came, end when the answer's last did; zero: there was none.
	begin, end time.Time
	// reset is set where that end is a RST_STREAM, early where the request had not ended by then, call where HTTP/1 carries
	// gRPC-Web; only Wireshark's have them.
	reset, early bool
	call         *stream
	// executed is set where PostgreSQL's client has sent an Execute, upkeep where a driver asks on its own, who may be refused it.
	executed, upkeep bool
	// sizes of the request and the answer.
	request, response int
}

// wireshark makes exchanges of what tshark shows of a capture.
type wireshark struct {
	done []*exchange
	// pipes are connections of HTTP/1, streams those of HTTP/2 by connection and stream, questions those of DNS by connection, ID,
	// name and type.
	pipes     map[string]*pipe
	streams   map[string]*stream
	questions map[string]*exchange
	// last is the stream of the last frame.
	last *stream
	// sessions are the connections of databases and queues.
	sessions map[string]*session
	// calls is set where all streams are gRPC, though Wireshark may not see a content type that tells.
	calls bool
}

func readWireshark(t *testing.T, file string, ports []string) []*exchange {
	t.Helper()
	w := &wireshark{calls: strings.HasSuffix(file, "grpc-older.pcap.gz"), pipes: map[string]*pipe{}, streams: map[string]*stream{}, questions: map[string]*exchange{}, sessions: map[string]*session{}}
	dissect(t, file, ports, []string{"http", "http2", "grpc", "dns", "mysql", "pgsql", "resp", "mongo", "kafka"}, func(p pdu) {
		switch p.Name {
		case "http":
			w.http(p)
		case "http2":
			w.http2(p)
		case "grpc":
			w.grpc(p)
		case "dns":
			w.dns(p)
		case "mysql":
			w.mysql(p, w.session(p))
		case "pgsql":
			w.postgresql(p, w.session(p))
		case "resp":
			w.redis(p, w.session(p))
		case "mongo":
			w.mongodb(p, w.session(p))
		case "kafka":
			w.kafka(p, w.session(p))
		}
	})
	for _, s := range w.streams {
		w.finish(s)
	}
	for _, x := range w.done {
		x.judge()
	}
	return w.done
}

// judge sets what Toposcope makes of a protocol's fields: the operation, its status, and whose fault it is by the contract.
func (x *exchange) judge() {
	f := x.fields
	switch x.protocol {
	case "http", "http2":
		f["operation"], f["status"] = f["http.request.method"]+" "+f["url.path"], f["http.response.status_code"]
	case "grpc":
		f["operation"], f["status"] = f["rpc.method"], f["rpc.response.status_code"]
	case "dns":
		f["operation"], f["status"] = f["dns.question.type"]+" "+f["dns.question.name"], f["dns.response_code"]
	default:
		f["operation"] = strings.TrimSpace(f["db.operation.name"] + f["messaging.operation.name"] + " " + f["db.collection.name"] + f["messaging.destination.name"])
		f["status"] = f["db.response.status_code"]
		f["outcome"] = "ok"
		if f["status"] != "" || f["error"] != "" || x.end.IsZero() {
			f["outcome"] = "failed"
		}
		if f["status"] != "" && x.upkeep {
			f["outcome"] = "rejected"
		}
		return
	}
	f["outcome"] = outcomes[f["status"]]
	switch status, err := strconv.Atoi(f["status"]); {
	case err == nil && status >= 500 || x.end.IsZero():
		f["outcome"] = "failed"
	case err == nil && status >= 400:
		f["outcome"] = "rejected"
	case f["outcome"] == "":
		f["outcome"] = "ok"
	}
}

// outcomes are those of the codes of gRPC and DNS that are not well.
var outcomes = map[string]string{
	"CANCELLED": "rejected", "INVALID_ARGUMENT": "rejected", "NOT_FOUND": "rejected", "ALREADY_EXISTS": "rejected",
	"PERMISSION_DENIED": "rejected", "FAILED_PRECONDITION": "rejected", "ABORTED": "rejected", "OUT_OF_RANGE": "rejected",
	"UNAUTHENTICATED": "rejected", "UNKNOWN": "failed", "DEADLINE_EXCEEDED": "failed", "RESOURCE_EXHAUSTED": "failed",
	"UNIMPLEMENTED": "failed", "INTERNAL": "failed", "UNAVAILABLE": "failed", "DATA_LOSS": "failed",
	"NXDOMAIN": "rejected", "REFUSED": "failed", "SERVFAIL": "failed", "FORMERR": "failed", "NOTIMP": "failed",
}

func (w *wireshark) begin(p pdu, protocol string, fields map[string]string) *exchange {
	x := &exchange{protocol: protocol, client: p.from, server: p.to, begin: p.first, fields: fields}
	w.done = append(w.done, x)
	return x
}

func (w *wireshark) http(p pdu) {
	if method := p.text("http.request.method"); method != "" {
		x := w.begin(p, "http", map[string]string{
			"http.request.method": method, "user_agent.original": p.text("http.user_agent"),
			"network.protocol.version": strings.TrimPrefix(p.text("http.request.version"), "HTTP/"),
		})
		x.target(p.text("http.request.uri"), p.text("http.host"))
		x.request = p.httpSize()
		if strings.HasPrefix(p.text("http.content_type"), "application/grpc-web") {
			x.call = &stream{exchange: x, grpc: true}
			w.last, w.streams[p.stream+" call "+x.begin.String()] = x.call, x.call
		}
		pipe := w.pipe(p)
		pipe.requests = append(pipe.requests, x)
		w.answer(pipe)
		return
	}
	if status := p.number("http.response.code"); status >= 200 || status == 101 {
		pipe := w.pipe(p)
		pipe.answers = append(pipe.answers, p)
		w.answer(pipe)
	}
}

// pipe is a connection of HTTP/1. An answer may be there before all of its request is.
type pipe struct {
	requests []*exchange
	answers  []pdu
}

func (w *wireshark) pipe(p pdu) *pipe {
	if w.pipes[p.stream] == nil {
		w.pipes[p.stream] = &pipe{}
	}
	return w.pipes[p.stream]
}

// answer pairs requests and answers in their order.
func (w *wireshark) answer(of *pipe) {
	for len(of.requests) > 0 && len(of.answers) > 0 {
		x, p := of.requests[0], of.answers[0]
		of.requests, of.answers = of.requests[1:], of.answers[1:]
		status := p.number("http.response.code")
		if status == 101 && strings.HasPrefix(p.text("http.upgrade"), "h2c") {
			x.protocol = "http2"
			w.streams[p.stream+" 1"] = &stream{exchange: x} // which answers the request (RFC 7540, section 3.2)
			continue
		}
		x.end, x.response = p.last, p.httpSize()
		x.fields["http.response.status_code"] = strconv.Itoa(status)
		if x.call != nil {
			w.last = x.call
			for _, line := range p.all("http.response.line") {
				if status, ok := strings.CutPrefix(strings.ToLower(line.Show), "grpc-status: "); ok {
					x.call.status = strings.TrimSpace(strings.TrimSuffix(status, `\r\n`))
				}
			}
		}
	}
}

// target sets what a request is for.
func (x *exchange) target(uri, authority string) {
	x.fields["url.path"], x.fields["url.query"], _ = strings.Cut(uri, "?")
	x.fields["server.address"], x.fields["server.port"], _ = strings.Cut(authority, ":")
}

// httpSize is the size of a message of HTTP/1 with its body, which Wireshark does not tell: that of the segments, or where it
// came in one, up to the end of the content, which belongs to another dissector by its type.
func (p pdu) httpSize() int {
	if p.size > 0 {
		return p.size
	}
	if content := p.find("http.file_data"); content != nil && p.text("http.transfer_encoding") == "" {
		return max(p.Size, content.Pos+content.Size-p.Pos)
	}
	return p.Size
}

func (w *wireshark) dns(p pdu) {
	name, kind := p.text("dns.qry.name"), uint16(p.number("dns.qry.type"))
	key := strings.Join([]string{p.stream, p.text("dns.id"), name, strconv.Itoa(int(kind))}, " ")
	if !p.set("dns.flags.response") {
		x := w.begin(p, "dns", map[string]string{
			"dns.question.name": strings.ToLower(name), "dns.question.type": dns.Type(kind).String(),
		})
		x.request = p.Size
		if class := uint16(p.number("dns.qry.class")); class != dns.ClassINET {
			x.fields["dns.question.class"] = dns.Class(class).String()
		}
		if p.set("dns.resp.z.do") {
			x.fields["dns.dnssec_ok"] = "true"
		}
		w.questions[key] = x
		return
	}
	x := w.questions[key]
	if x == nil {
		return
	}
	delete(w.questions, key)
	x.end, x.response = p.last, p.Size
	x.fields["dns.response_code"] = dns.RcodeToString[p.number("dns.flags.rcode")|p.number("dns.resp.ext_rcode")<<4]
	x.fields["dns.answers.count"] = p.text("dns.count.answers")
	if p.set("dns.flags.truncated") {
		x.fields["dns.truncated"] = "true"
	}
	x.answers(p.node)
}

// answers takes the addresses from the section of answers, and for how long they hold.
func (x *exchange) answers(message *node) {
	var addresses []string
	ttl := -1
	for _, section := range message.Fields {
		if section.Show != "Answers" {
			continue
		}
		for _, record := range section.Fields {
			for _, kind := range []string{"dns.a", "dns.aaaa"} {
				for _, a := range record.all(kind) {
					addresses = append(addresses, a.Show)
				}
			}
			if n := record.number("dns.resp.ttl"); ttl < 0 || n < ttl {
				ttl = n
			}
		}
	}
	if len(addresses) > 0 {
		x.fields["dns.answers"], x.fields["dns.answers.ttl"] = strings.Join(addresses, ","), strconv.Itoa(ttl)
	}
}
