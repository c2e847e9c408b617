package golden

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// difference is a place where Toposcope and Wireshark say different things of the same bytes, and why.
type difference struct {
	// fields are attributes, or "operation", "status", "outcome", "end", "request", "response".
	fields []string
	why    string
	// is says whether values of an exchange differ for that reason.
	is func(x pair) bool
}

// pair is an exchange of a capture from both points of view.
type pair struct {
	wireshark, toposcope *exchange
	capture              string
}

// older says whether the connection is older than its capture.
func (p pair) older() bool { return p.capture == "grpc-older" }

// web says whether it is a call in gRPC-Web; what goes to the third server is gRPC.
func (p pair) web() bool {
	return p.capture == "grpc-web" && !strings.HasSuffix(p.toposcope.server, ":8003")
}

// more says whether Wireshark counts n more than Toposcope in a field.
func (p pair) more(field string, n int) bool {
	w, errW := strconv.Atoi(p.wireshark.fields[field])
	o, errO := strconv.Atoi(p.toposcope.fields[field])
	return errW == nil && errO == nil && w == o+n
}

func (x *exchange) String() string {
	var fields []string
	for _, k := range slices.Sorted(maps.Keys(x.fields)) {
		if x.fields[k] != "" {
			fields = append(fields, k+"="+x.fields[k])
		}
	}
	return fmt.Sprintf("%s %s → %s at %s: %s", x.protocol, x.client, x.server, x.begin.UTC().Format("05.000000"), strings.Join(fields, " "))
}

// order puts exchanges so that those of both points of view go side by side.
func order(a, b *exchange) int {
	return cmp.Or(
		strings.Compare(a.client, b.client), strings.Compare(a.server, b.server), a.begin.Compare(b.begin),
		strings.Compare(a.subject(), b.subject()), a.end.Compare(b.end), strings.Compare(a.result(), b.result()),
		cmp.Compare(a.request, b.request), cmp.Compare(a.response, b.response),
	)
}

// subject is what was asked, result how it ended.
func (x *exchange) subject() string {
	return strings.Join([]string{
		x.protocol, x.fields["http.request.method"], x.fields["url.path"], x.fields["rpc.method"],
		unescape(x.fields["dns.question.name"]), x.fields["dns.question.type"],
		x.fields["db.operation.name"], x.fields["messaging.operation.name"],
	}, " ")
}

// unescape is a DNS name as Wireshark writes it.
func unescape(name string) string { return strings.ReplaceAll(name, `\.`, ".") }

func (x *exchange) result() string {
	return x.fields["http.response.status_code"] + x.fields["rpc.response.status_code"] + x.fields["dns.response_code"] + x.fields["db.response.status_code"]
}

// match pairs exchanges with the same ends that began at the same time and asked the same; what is left has no counterpart.
func match(t *testing.T, capture string, wireshark, toposcope []*exchange) (pairs []pair) {
	t.Helper()
	slices.SortStableFunc(wireshark, order)
	slices.SortStableFunc(toposcope, order)
	same := func(a, b *exchange) bool {
		return a.client == b.client && a.server == b.server && a.begin.Equal(b.begin) && a.subject() == b.subject()
	}
	for len(wireshark) > 0 && len(toposcope) > 0 {
		w, o := wireshark[0], toposcope[0]
		switch {
		case same(w, o):
			pairs = append(pairs, pair{w, o, capture})
			wireshark, toposcope = wireshark[1:], toposcope[1:]
		case order(w, o) < 0:
			t.Errorf("Wireshark alone has %v", w)
			wireshark = wireshark[1:]
		default:
			t.Errorf("Toposcope alone has %v", o)
			toposcope = toposcope[1:]
		}
	}
	for _, w := range wireshark {
		t.Errorf("Wireshark alone has %v", w)
	}
	for _, o := range toposcope {
		t.Errorf("Toposcope alone has %v", o)
	}
	return pairs
}

// precision is that of the times in the captures.
const precision = time.Microsecond

// differ lists the fields in which the two points of view differ, with both values.
func (p pair) differ() map[string][2]string {
	all := map[string][2]string{}
	w, o := p.wireshark, p.toposcope
	note := func(field, a, b string) {
		if a != b {
			all[field] = [2]string{a, b}
		}
	}
	for name, value := range w.fields {
		note(name, value, o.fields[name])
	}
	for name, value := range o.fields {
		note(name, w.fields[name], value)
	}
	if w.end.IsZero() != o.end.IsZero() || w.end.Sub(o.end).Abs() >= precision {
		note("end", w.end.Format(time.StampMicro), o.end.Format(time.StampMicro))
	}
	note("request", fmt.Sprint(w.request), fmt.Sprint(o.request))
	note("response", fmt.Sprint(w.response), fmt.Sprint(o.response))
	return all
}
