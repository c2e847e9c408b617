package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// exchangeLine is an exchange as a line of JSON.
type exchangeLine struct {
	Time            string  `json:"time"`
	Protocol        string  `json:"protocol"`
	Client          string  `json:"client"`
	Server          string  `json:"server"`
	Operation       string  `json:"operation"`
	Status          string  `json:"status"`
	Error           string  `json:"error"`
	DurationSeconds float64 `json:"durationSeconds"`
	RequestBytes    int64   `json:"requestBytes"`
	ResponseBytes   int64   `json:"responseBytes"`
	Outcome         string  `json:"outcome"`
	// Waiting and Upkeep are said where they are so; see protocol.Message.
	Waiting    bool              `json:"waiting,omitempty"`
	Upkeep     bool              `json:"upkeep,omitempty"`
	Attributes map[string]string `json:"attributes"` // encoded in the order of their names
}

// exchangeLines prints exchanges as they end.
type exchangeLines struct {
	out    *bufio.Writer
	json   *json.Encoder
	prompt bool // somebody waits for each line
}

func newExchangeLines(w io.Writer, prompt bool) *exchangeLines {
	l := &exchangeLines{out: bufio.NewWriterSize(w, 64<<10), prompt: prompt}
	l.json = json.NewEncoder(l.out)
	l.json.SetEscapeHTML(false)
	return l
}

// write prints x, of a connection with that flow.
func (l *exchangeLines) write(x *protocol.Exchange, flow event.Flow) error {
	client, server := flow.Local, flow.Remote
	if x.Side == protocol.ServerSide {
		client, server = server, client
	}
	line := exchangeLine{
		Time: x.Start().UTC().Format(time.RFC3339Nano), Protocol: x.Protocol.Name, Client: client.String(), Server: server.String(),
		Operation: operation(x), Status: status(x), Error: x.Error, DurationSeconds: x.End().Sub(x.Start()).Seconds(),
		RequestBytes: x.Request.Size, Outcome: x.Outcome.String(), Waiting: x.Waiting(), Upkeep: x.Upkeep(), Attributes: map[string]string{},
	}
	l.attributes(line.Attributes, &x.Request.Attrs)
	if x.Response != nil {
		line.ResponseBytes = x.Response.Size
		l.attributes(line.Attributes, &x.Response.Attrs)
	}
	if err := l.json.Encode(&line); err != nil {
		return fmt.Errorf("printing exchanges: %w", err)
	}
	return nil
}

// tick prints what is there, if somebody waits for it.
func (l *exchangeLines) tick() error {
	if !l.prompt {
		return nil
	}
	return l.flush()
}

func (l *exchangeLines) flush() error {
	if err := l.out.Flush(); err != nil {
		return fmt.Errorf("printing exchanges: %w", err)
	}
	return nil
}

func (l *exchangeLines) attributes(into map[string]string, a *protocol.Attrs) {
	for i := range a.Len() {
		k, v := a.At(i)
		into[string(k)] = string(v)
	}
}

// operation is what was asked for, in a few words. It depends on the family of the protocol alone.
func operation(x *protocol.Exchange) string {
	a := &x.Request.Attrs
	switch x.Protocol.System {
	case protocol.SystemHTTP:
		method := a.Get(protocol.HTTPMethodOriginal)
		if method == nil {
			method = a.Get(protocol.HTTPRequestMethod)
		}
		return words(method, a.Get(protocol.URLPath))
	case protocol.SystemRPC:
		return words(a.Get(protocol.RPCMethod))
	case protocol.SystemDB:
		return words(a.Get(protocol.DBOperation), a.Get(protocol.DBCollection))
	case protocol.SystemMessaging:
		return words(a.Get(protocol.MessagingOperation), a.Get(protocol.MessagingDestination))
	case protocol.SystemDNS:
		return words(a.Get(protocol.DNSQuestionType), a.Get(protocol.DNSQuestionName))
	}
	return ""
}

func words(list ...[]byte) string {
	var b strings.Builder
	for _, w := range list {
		if len(w) > 0 && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.Write(w)
	}
	return b.String()
}

// status is what was answered: the code of the protocol's family.
func status(x *protocol.Exchange) string {
	if x.Response == nil {
		return ""
	}
	key := [...]protocol.Key{
		protocol.SystemHTTP: protocol.HTTPResponseStatusCode, protocol.SystemRPC: protocol.RPCStatusCode,
		protocol.SystemDB: protocol.DBStatusCode, protocol.SystemDNS: protocol.DNSResponseCode,
	}[x.Protocol.System]
	return string(x.Response.Attrs.Get(key))
}
