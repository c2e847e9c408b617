package fault

import (
	"maps"
	"strings"
	"testing"
	"time"
)

var services = []string{"payments", "stock", "dns"}

func TestParse(t *testing.T) {
	for text, want := range map[string]Set{
		"":                    {},
		"payments=slow:800ms": {"payments": {SlowBy: 800 * time.Millisecond, Slow: 1}},
		"payments=slow:2s:0.5,stock=fail:0.2": {
			"payments": {SlowBy: 2 * time.Second, Slow: 0.5},
			"stock":    {Fail: 0.2},
		},
		"dns=lost:0.1, dns=fail ,dns=slow:1ms": {"dns": {SlowBy: time.Millisecond, Slow: 1, Fail: 1, Lost: 0.1}},
		"stock=fail,stock=off":                 {"stock": {}},
	} {
		got, err := Parse(text, services)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("Parse(%q) = %v, %v; want %v", text, got, err, want)
			continue
		}
		again, err := Parse(got.String(), services)
		if err != nil || !maps.Equal(again, got.With(nil)) {
			t.Errorf("Parse(%q) = %v, %v; want %v again", got.String(), again, err, got)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"payments":                  "want SERVICE=KIND",
		"bakery=fail":               `no service "bakery"; there are payments, stock, dns`,
		"stock=burn":                "want slow, fail, lost or off",
		"stock=":                    "want slow, fail, lost or off",
		"stock=slow":                "slow wants a duration",
		"stock=slow:fast":           "slow wants a duration",
		"stock=slow:-1s":            "must be more than 0",
		"stock=slow:2m":             "at most 1m0s",
		"stock=slow:1s:2":           "no share",
		"stock=fail:":               "no share",
		"stock=fail:NaN":            "no share",
		"stock=fail:0":              "no share",
		"stock=lost:-0.1":           "no share",
		"stock=off:1":               "off takes nothing",
		"payments=fail,stock=later": "want slow",
	} {
		set, err := Parse(text, services)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v; want an error with %q", text, set, err, want)
		}
	}
}

func TestWith(t *testing.T) {
	before := Set{"payments": {Fail: 1}, "stock": {Fail: 0.5}}
	after := before.With(Set{"payments": {}, "dns": {Lost: 1}, "stock": {Lost: 0.1}})
	if want := (Set{"stock": {Lost: 0.1}, "dns": {Lost: 1}}); !maps.Equal(after, want) {
		t.Errorf("got %v, want %v", after, want)
	}
	if before["payments"].Fail != 1 {
		t.Error("the set it came from has changed")
	}
}
