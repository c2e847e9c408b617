package fault

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

const asked = Slow | Fail | Lost

var places = Places{
	"payments": asked, "stock": asked, "dns": asked, "mysql": Slow | Fail | Down, "web": asked | Down | Deploy, "load": Surge,
}

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
		"mysql=down for 30s, mysql=fail:0.5":   {"mysql": {Down: true, Fail: 0.5, For: 30 * time.Second}},
		"web=deploy,load=surge:2.5 for 1m":     {"web": {Deploy: true}, "load": {Surge: 2.5, For: time.Minute}},
	} {
		got, err := Parse(text, places)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("Parse(%q) = %v, %v; want %v", text, got, err, want)
			continue
		}
		again, err := Parse(got.String(), places)
		if err != nil || !maps.Equal(again, got.With(nil)) {
			t.Errorf("Parse(%q) = %v, %v; want %v again", got.String(), again, err, got)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"payments":                  "want SERVICE=KIND",
		"bakery=fail":               `no service "bakery"; there are dns, load, mysql, payments, stock, web`,
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
		"payments=down":             "what can go wrong there is slow, fail, lost",
		"mysql=lost":                "what can go wrong there is slow, fail, down",
		"mysql=down:1":              "down takes nothing",
		"load=surge":                "surge wants a factor",
		"load=surge:NaN":            "surge wants a factor",
		"load=surge:1000":           "at most 100",
		"load=fail":                 "what can go wrong there is surge",
		"mysql=down for ever":       "for wants a duration",
		"mysql=down for -1s":        "must be more than 0",
		"mysql=off for 1s":          "off takes nothing",
	} {
		set, err := Parse(text, places)
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

func TestAt(t *testing.T) {
	set := Set{"catalogue": {Fail: 1}, "catalogue-2": {Down: true}}
	for name, want := range map[string]Fault{"catalogue-1": {Fail: 1}, "catalogue-2": {Down: true}} {
		if got := set.At(name, "catalogue"); got != want {
			t.Errorf("%s has %+v, want %+v", name, got, want)
		}
	}
	if got := set.At("stock"); got != (Fault{}) {
		t.Errorf("stock has %+v", got)
	}
}

// TestFates: the same seed draws the same fates, and without a fault nothing happens.
func TestFates(t *testing.T) {
	draw := func(f Fault, seed uint64) (failed []bool) {
		fates := Fates{Switch: &Switch{}, Name: "mysql", Seed: seed}
		fates.Switch.Set(f)
		for range 100 {
			slow, fail := fates.Draw("SELECT 1")
			if slow != 0 && slow != f.SlowBy {
				t.Errorf("slow by %s, want %s", slow, f.SlowBy)
			}
			failed = append(failed, fail)
		}
		return failed
	}
	some := Fault{Fail: 0.5, Slow: 0.5, SlowBy: time.Second}
	first := draw(some, 1)
	if !slices.Equal(first, draw(some, 1)) || slices.Equal(first, draw(some, 2)) {
		t.Error("fates do not follow from the seed")
	}
	if !slices.Contains(first, true) || !slices.Contains(first, false) || slices.Contains(draw(Fault{}, 1), true) {
		t.Error("not some fail with the fault and none without")
	}
}
