package kafka

import (
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestSchema compares the table with the library's: which APIs there are, in which versions, and which of them are flexible.
func TestSchema(t *testing.T) {
	s := readSchema()
	if len(s.apis) != kmsg.MaxKey+1 {
		t.Errorf("%d APIs, the library has %d", len(s.apis), kmsg.MaxKey+1)
	}
	for name := range upkeep {
		if s.named(name) == nil {
			t.Errorf("%q is no API", name)
		}
	}
	for name := range waits {
		if s.named(name) == nil {
			t.Errorf("%q is no API", name)
		}
	}
	for _, a := range s.apis {
		r := kmsg.RequestForKey(a.key)
		if r == nil || a.last != r.MaxVersion() {
			t.Fatalf("%s: last version %d", a.name, a.last)
		}
		for v := int16(0); v <= a.last; v++ {
			if r.SetVersion(v); r.IsFlexible() != a.isFlexible(v) {
				t.Errorf("%s v%d: flexible %v", a.name, v, a.isFlexible(v))
			}
			w := walk{}
			for _, ops := range [][]op{a.request, a.response} {
				w.start(a, ops, v)
				checkArrays(t, a, &w)
			}
		}
	}
	for name, key := range map[string]int16{
		"Produce": keyProduce, "Fetch": keyFetch, "Metadata": keyMetadata, "ControlledShutdown": keyControlledShutdown,
		"SaslHandshake": keySaslHandshake, "ApiVersions": keyAPIVersions, "ShareFetch": keyShareFetch,
	} {
		if a := s.named(name); a == nil || a.key != key {
			t.Errorf("%s is not %d", name, key)
		}
	}
}

func (s *schema) named(name string) *api {
	for _, a := range s.apis {
		if a.name == name {
			return a
		}
	}
	return nil
}

// checkArrays wants that each element of an array has a byte, and that arrays are no deeper than a walk remembers: both bound a walk.
func checkArrays(t *testing.T, a *api, w *walk) {
	depth := 0
	sizes := []int{0}
	for i := 0; i < len(w.ops); i++ {
		o := &w.ops[i]
		if w.version < o.first || w.version > o.last {
			if o.to > uint16(i) && o.kind != next {
				i = int(o.to) - 1
			}
			continue
		}
		switch o.kind {
		case array:
			if depth++; depth > maxDepth {
				t.Fatalf("%s: more than %d deep", a.name, maxDepth)
			}
			sizes[len(sizes)-1]++
			sizes = append(sizes, 0)
		case next:
			if sizes[len(sizes)-1] == 0 {
				t.Errorf("%s v%d: op %d ends an element without a byte", a.name, w.version, i)
			}
			sizes = sizes[:len(sizes)-1]
			depth--
		case mark, group:
		case tags:
			if w.flexible {
				sizes[len(sizes)-1]++
			}
		default:
			sizes[len(sizes)-1]++
		}
	}
}

// TestErrors: every error by which brokers and clients find each other again is one of Kafka's.
func TestErrors(t *testing.T) {
	rejected := 0
	for code := range int16(len(errorNames)) {
		if coordination[errorName(code-1)] {
			rejected++
		}
	}
	if rejected != len(coordination) {
		t.Errorf("%d names of %d are known", rejected, len(coordination))
	}
	for _, code := range []int16{math.MinInt16, -2, int16(len(errorNames)) - 1, math.MaxInt16} {
		if n := errorName(code); n != errorOther {
			t.Errorf("%d is %q", code, n)
		}
	}
}

func TestTopics(t *testing.T) {
	table := &topics{}
	id := func(n byte) *uuid { return &uuid{0, 0, 0, 1, 15: n} } // of one set
	for n := byte(1); n <= topicWays+2; n++ {
		table.learn(id(n), []byte{'a' + n})
		if name := table.name(id(n)); name != string(rune('a'+n)) {
			t.Errorf("%d is %q", n, name)
		}
	}
	known := 0
	for n := byte(1); n <= topicWays+2; n++ {
		if name := table.name(id(n)); name != "" {
			known++
			if name != string(rune('a'+n)) {
				t.Errorf("%d is %q", n, name)
			}
		}
	}
	if known != topicWays {
		t.Errorf("%d are known", known)
	}
	table.learn(id(9), []byte("new-name"))
	table.learn(id(9), []byte("newer-name"))
	table.learn(id(9), []byte("no name"))
	table.learn(id(9), nil)
	table.learn(&uuid{}, []byte("nobody"))
	if name := table.name(id(9)); name != "newer-name" || table.name(&uuid{}) != "" {
		t.Errorf("got %q", name)
	}
}
