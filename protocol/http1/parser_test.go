package http1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, http1.Spec(grpc.Layer{}), protocoltest.Carry(grpc.Spec()))
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		data string
		want protocol.Sniffed
	}{
		{"GET / HTTP/1.1\r\n", protocol.Yes},
		{"GET / HTTP/1.0\n", protocol.Yes},
		{"\r\n\r\nPOST /a HTTP/1.1\r\n", protocol.Yes},
		{"PROPFIND /dav/ HTTP/1.1\r\nDepth", protocol.Yes},
		{"X-CUSTOM /dav/ HTTP/1.1\r\n", protocol.Yes},
		{"OPTIONS * HTTP/1.1\r\n", protocol.Yes},
		{"CONNECT a.example:443 HTTP/1.1\r\n", protocol.Yes},
		{"HTTP/1.1 200 OK", protocol.Yes},
		{"HTTP/1.1 204\r\n", protocol.Yes},
		{"HTTP/1.0 404 Not", protocol.Yes},
		{"GET /" + strings.Repeat("a", 3000), protocol.Yes},
		{"G", protocol.More},
		{"GET ", protocol.More},
		{"GET /index.html HTTP/1.1\r", protocol.More},
		{"HTTP/1.1 20", protocol.More},
		{"HTT", protocol.More},
		{"\r\n", protocol.More},
		{"GET /\r\n", protocol.No},
		{"ET / HTTP/1.1\r\n", protocol.No},
		{"xyzGET / HTTP/1.1\r\n", protocol.No},
		{"GET / HTTP/2.0\r\n", protocol.No},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", protocol.No},
		{"GET  HTTP/1.1\r\n", protocol.No},
		{"GET /\x00 HTTP/1.1\r\n", protocol.No},
		{"X-CUSTOM /" + strings.Repeat("a", 3000), protocol.No},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n", protocol.No},
		{"HTTP/1.1 099 OK", protocol.No},
		{"HTTP/1.1 2000 OK", protocol.No},
		{"HTTP/2 200 OK", protocol.No},
	} {
		if got := http1.Spec().Sniff(event.Sent, []byte(c.data)); got != c.want {
			t.Errorf("%.40q: %d, want %d", c.data, got, c.want)
		}
	}
}

func TestUpgrades(t *testing.T) {
	for _, c := range []struct{ method, answer, want string }{
		{"GET", "HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n", "h2c"},
		{"GET", "HTTP/1.1 101 X\r\nUPGRADE:  WebSocket \r\n\r\n", "websocket"},
		{"GET", "HTTP/1.1 101 X\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n", "tls"},
		{"GET", "HTTP/1.1 101 X\r\n\r\n", "unknown"},
		{"CONNECT", "HTTP/1.1 200 X\r\n\r\n", ""},
		{"CONNECT", "HTTP/1.1 204 X\r\nContent-Length: 7\r\n\r\n", ""},
	} {
		p := http1.Spec().New()
		request := &protocol.Message{}
		_, m, err := p.Next(&protocol.Chunk{Dir: event.Sent, Data: []byte(c.method + " a:1 HTTP/1.1\r\n\r\n"), Message: request})
		if m == nil || err != nil {
			t.Fatalf("request: %v, %v", m, err)
		}
		n, m, err := p.Next(&protocol.Chunk{Dir: event.Received, Data: []byte(c.answer), Request: request})
		var up *protocol.Upgrade
		if n != len(c.answer) || m == nil || !errors.As(err, &up) || up.To != c.want {
			t.Errorf("%s, %q: %d, %v, %v", c.method, c.answer, n, m, err)
		}
	}
}

func TestSyntax(t *testing.T) {
	for _, data := range []string{
		"\x00\x01\x02\x03",
		"GET\x00/ HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n\x01Host: x\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"HTTP/1.1 abc\r\n\r\n",
		"<html>",
	} {
		if n, m, err := http1.Spec().New().Next(&protocol.Chunk{Data: []byte(data)}); !errors.Is(err, protocol.ErrSyntax) {
			t.Errorf("%q: %d, %v, %v", data, n, m, err)
		}
	}
}

// drive has a parser read one direction, cut into two pieces at cut, and writes down what it finds.
func drive(t *testing.T, p protocol.Parser, dir event.Dir, data []byte, cut int, request *protocol.Message) []string {
	var found []string
	pos := 0
	for _, end := range []int{cut, len(data)} {
		then := protocol.Continues
		if end == len(data) {
			then = protocol.Ended
		}
		for step := 0; pos < end || then == protocol.Ended; step++ {
			c := &protocol.Chunk{
				Dir: dir, Off: uint64(pos), Data: data[min(pos, end):end], Then: then, Call: pos == 0, Turn: pos == 0, Request: request,
			}
			n, m, err := p.Next(c)
			if n < 0 || n > 1<<60 {
				t.Fatalf("took %d bytes", n)
			}
			if m != nil && m.Part != protocol.PartEnd {
				found = append(found, describe(m))
			}
			if err != nil {
				return append(found, err.Error())
			}
			if pos += n; n == 0 && m == nil {
				break
			}
			if step > 2*len(data)+8 {
				t.Fatal("no end")
			}
		}
	}
	return found
}

func describe(m *protocol.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v %q", m.Kind, m.Outcome, m.Error)
	for i := range m.Attrs.Len() {
		k, v := m.Attrs.At(i)
		fmt.Fprintf(&b, " %s=%q", k, v)
	}
	return b.String()
}

// FuzzParser wants the same messages from any bytes, wherever they are cut.
func FuzzParser(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
		"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204\r\n\r\n",
		"HTTP/1.0 200 OK\n\nbody until close",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\nZ\r\n",
		"POST /a HTTP/1.1\r\nContent-Length: 3, 4\r\n\r\nabc",
		"HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n",
		"POST /s/m HTTP/1.1\r\nContent-Type: application/grpc-web\r\nContent-Length: 8\r\n\r\n\x00\x00\x00\x00\x03abcGET / HTTP/1.1\r\n\r\n",
		"POST /s/m HTTP/1.1\r\nContent-Type: application/grpc-web-text\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nAAAA\r\n0\r\na: b\r\n\r\n",
	} {
		f.Add([]byte(s), uint(7), true)
		f.Add([]byte(s), uint(40), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint, answered bool) {
		request := &protocol.Message{}
		if answered {
			request.Attrs.SetString(protocol.HTTPRequestMethod, "GET")
		} else {
			request = nil
		}
		at := int(cut % uint(len(data)+1))
		for _, dir := range []event.Dir{event.Sent, event.Received} {
			whole := drive(t, http1.Spec(grpc.Layer{}).New(), dir, data, len(data), request)
			split := drive(t, http1.Spec(grpc.Layer{}).New(), dir, data, at, request)
			if answered && strings.Join(whole, "\n") != strings.Join(split, "\n") {
				t.Errorf("whole:\n%s\ncut at %d:\n%s", strings.Join(whole, "\n"), at, strings.Join(split, "\n"))
			}
		}
		p := http1.Spec(grpc.Layer{}).New()
		for _, then := range []protocol.Then{protocol.Hole, protocol.Ended, protocol.Idle} {
			if n, ok := p.Resync(&protocol.Chunk{Data: data, Turn: true, Then: then}); n < 0 || n > len(data) || ok && n == len(data) && n > 0 {
				t.Errorf("resync: %d, %v", n, ok)
			}
			if n, _, _ := p.Next(&protocol.Chunk{Data: data, Then: then, Missing: 5}); n < 0 {
				t.Errorf("took %d bytes", n)
			}
		}
	})
}
