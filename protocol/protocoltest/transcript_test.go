package protocoltest

import (
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

func TestParse(t *testing.T) {
	tr, err := Parse("t", []byte(`# comment
existing
datagram
role unknown
port 80
> one\t\x41\\
--
> two\
+5ms
< \(3*ab)
<? 100
<! says
< more\
close reset
expect
failed(500) 5ms 10/20 a=1 "b=x y" | c=-
ok 1s 1/-
ok 1s 1/2 waiting a=b upkeep |
undecoded tls
parse-errors 2
unresolved 3
`), func(from protocol.Side, line string) ([]byte, error) { return []byte(from.String() + " " + line), nil })
	if err != nil {
		t.Fatal(err)
	}
	want := []Segment{
		{FromClient: true, Data: []byte("one\tA\\\r\n")},
		{FromClient: true, Data: []byte("two")},
		{Data: []byte("ababab\r\n"), At: 5 * time.Millisecond},
		{Hidden: 100, At: 5 * time.Millisecond},
		{Data: []byte("server saysmore"), At: 5 * time.Millisecond},
	}
	if len(tr.Segments) != len(want) {
		t.Fatalf("%d segments: %+v", len(tr.Segments), tr.Segments)
	}
	for i, s := range tr.Segments {
		w := want[i]
		if s.FromClient != w.FromClient || string(s.Data) != string(w.Data) || s.Hidden != w.Hidden || s.At != w.At {
			t.Errorf("segment %d is %+v, want %+v", i, s, w)
		}
	}
	if !tr.Existing || !tr.RoleUnknown || tr.Port != 80 || !tr.Closed || tr.Reason != event.CloseReset || tr.ParseErrors != 2 || tr.Undecoded != "tls" ||
		!tr.Datagram || tr.Unresolved != 3 {
		t.Errorf("%+v", tr)
	}
	if len(tr.Want) != 3 || tr.Want[0].Waiting || tr.Want[0].Upkeep {
		t.Fatalf("%+v", tr.Want)
	}
	if w := tr.Want[2]; !w.Waiting || !w.Upkeep || len(w.Attrs[0]) != 1 {
		t.Errorf("%+v", w)
	}
	if tr.Want[0].Error != "500" || tr.Want[0].Attrs[0][1] != (Attr{"b", "x y"}) || tr.Want[1].Response != -1 {
		t.Errorf("%+v", tr.Want)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"> a\n", "no line"},
		{">! a\nexpect\n", "t:1: no encoder"},
		{"say a\nexpect\n", "t:1: unknown line"},
		{"> \\q\nexpect\n", "t:1: unknown escape"},
		{"> \\xZZ\nexpect\n", "t:1: bad escape"},
		{"> \\(3*a\nexpect\n", "t:1: bad repetition"},
		{"+5\nexpect\n", "t:1:"},
		{">? x\nexpect\n", "t:1:"},
		{"expect\nok 1ms\n", "t:2: too short"},
		{"expect\nok soon 1/1\n", "t:2:"},
		{"expect\nok 1ms 1/1 x\n", "t:2: no attribute"},
		{"expect\nok 1ms 1/1 \"x=1\n", "t:2: bad quotes"},
		{"expect\nok 1ms a/1\n", "t:2:"},
	} {
		if _, err := Parse("t", []byte(c.text), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}
