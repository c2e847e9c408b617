// Package fault says what goes wrong in the shop on purpose, by service: slow, failed and lost answers, processes that are down, bad
// deploys, and more customers than usual. It can be changed while the shop runs.
//
// A Set is written as "payments=slow:800ms,mysql=down for 30s"; the syntax is in Syntax.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Syntax tells people how to write a Set.
const Syntax = `SERVICE=KIND, several with commas between them; KIND is
  slow:DURATION[:SHARE]  answers come later by DURATION
  fail[:SHARE]           answers are errors: HTTP 503, gRPC UNAVAILABLE, DNS SERVFAIL, MySQL 1205, MongoDB 50, Redis BUSY
  lost[:SHARE]           answers never come
  down                   its process is stopped, or of a service with two instances both; SERVICE may be one of these
  deploy                 it is started anew as its next version
  surge:FACTOR           customers come FACTOR times as often
  off                    none of these any more
and "for DURATION" after it ends all of the SERVICE's faults after that time. SHARE, more than 0 and at most 1, is how many
of the requests are met; without it, all are.`

// maxSlow bounds how late an answer can be made: everything here gives up long before.
const maxSlow = time.Minute

// maxSurge bounds how many more customers may come.
const maxSurge = 100

// Kind is a set of ways to go wrong.
type Kind uint8

// The ways to go wrong; see Syntax.
const (
	Slow Kind = 1 << iota
	Fail
	Lost
	Down
	Deploy
	Surge
)

// String names the kinds as in Syntax.
func (k Kind) String() string {
	var names []string
	for i, name := range []string{"slow", "fail", "lost", "down", "deploy", "surge"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Places are the services that there are, and what can go wrong at each.
type Places map[string]Kind

// Fault is what goes wrong at one service. Slow, Fail and Lost are shares of its requests, 0..1; slow ones take SlowBy more.
type Fault struct {
	SlowBy           time.Duration
	Slow, Fail, Lost float64
	Down, Deploy     bool
	// Surge is how many times as many customers come; 0 means as many as usual.
	Surge float64
	// For is how long after it is put in force the fault ends; 0: not by itself.
	For time.Duration
}

// Set is the faults of all services that have any. It is not changed once made.
type Set map[string]Fault

// Parse reads a Set in Syntax. A service that is named "off" is in the Set with its zero Fault.
func Parse(text string, places Places) (Set, error) {
	set := Set{}
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		service, kind, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("fault %q: want SERVICE=KIND", item)
		}
		can, ok := places[service]
		if !ok {
			return nil, fmt.Errorf("fault %q: no service %q; there are %s", item, service,
				strings.Join(slices.Sorted(maps.Keys(places)), ", "))
		}
		f := set[service]
		if err := f.add(kind, can); err != nil {
			return nil, fmt.Errorf("fault %q: %w", item, err)
		}
		set[service] = f
	}
	return set, nil
}

// add sets what item, KIND and perhaps "for DURATION", says.
func (f *Fault) add(item string, can Kind) error {
	kind, duration, timed := strings.Cut(item, " for ")
	name, rest, more := strings.Cut(strings.TrimSpace(kind), ":")
	if name == "off" {
		if more || timed {
			return errors.New("off takes nothing")
		}
		*f = Fault{}
		return nil
	}
	k, err := f.set(name, rest, more)
	if k == 0 {
		return errors.New("want " + can.String() + " or off")
	}
	if k&can == 0 {
		return fmt.Errorf("what can go wrong there is %s", can)
	}
	if err == nil && timed {
		f.For, err = parseDuration(strings.TrimSpace(duration), "for", math.MaxInt64)
	}
	return err
}

// set sets one kind; 0 is none that there is. more says that something, rest, follows the name.
func (f *Fault) set(name, rest string, more bool) (k Kind, err error) {
	switch name {
	case "slow":
		by, share, more := strings.Cut(rest, ":")
		if f.SlowBy, err = parseDuration(by, "slow", maxSlow); err == nil {
			f.Slow, err = parseShare(share, more)
		}
		return Slow, err
	case "fail":
		f.Fail, err = parseShare(rest, more)
		return Fail, err
	case "lost":
		f.Lost, err = parseShare(rest, more)
		return Lost, err
	case "down", "deploy":
		if more {
			err = fmt.Errorf("%s takes nothing", name)
		}
		if name == "down" {
			f.Down = true
			return Down, err
		}
		f.Deploy = true
		return Deploy, err
	case "surge":
		f.Surge, err = strconv.ParseFloat(rest, 64)
		if err != nil || !(f.Surge > 0 && f.Surge <= maxSurge) {
			err = fmt.Errorf("surge wants a factor, more than 0 and at most %d: surge:5", maxSurge)
		}
		return Surge, err
	}
	return 0, nil
}

// parseDuration reads what follows name: a time of more than 0 and at most most.
func parseDuration(text, name string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s wants a duration, such as 800ms or 30s", name)
	}
	if d <= 0 || d > most {
		return 0, fmt.Errorf("the duration of %s must be more than 0 and at most %s", name, most)
	}
	return d, nil
}

// parseShare reads a share; where none is given it is 1.
func parseShare(text string, given bool) (float64, error) {
	if !given {
		return 1, nil
	}
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(share) || share <= 0 || share > 1 {
		return 0, fmt.Errorf("%q is no share: want more than 0 and at most 1", text)
	}
	return share, nil
}

// At is the fault of the first of names that has any: that of an instance, say, and else that of its service.
func (s Set) At(names ...string) Fault {
	for _, name := range names {
		if f, ok := s[name]; ok {
			return f
		}
	}
	return Fault{}
}

// With is s with the services in change as they are there. What is "off" is not in it any more.
func (s Set) With(change Set) Set {
	set := maps.Clone(s)
	if set == nil {
		set = Set{}
	}
	maps.Copy(set, change)
	maps.DeleteFunc(set, func(_ string, f Fault) bool { return f == Fault{} })
	return set
}

// String is s in Syntax, sorted by service; Parse reads it back.
func (s Set) String() string {
	var items []string
	for _, service := range slices.Sorted(maps.Keys(s)) {
		for _, kind := range s[service].kinds() {
			items = append(items, service+"="+kind+s[service].forText())
		}
	}
	return strings.Join(items, ",")
}

func (f Fault) kinds() []string {
	var kinds []string
	if f.Slow > 0 {
		kinds = append(kinds, "slow:"+f.SlowBy.String()+shareText(f.Slow))
	}
	if f.Fail > 0 {
		kinds = append(kinds, "fail"+shareText(f.Fail))
	}
	if f.Lost > 0 {
		kinds = append(kinds, "lost"+shareText(f.Lost))
	}
	if f.Down {
		kinds = append(kinds, "down")
	}
	if f.Deploy {
		kinds = append(kinds, "deploy")
	}
	if f.Surge > 0 {
		kinds = append(kinds, "surge:"+strconv.FormatFloat(f.Surge, 'g', -1, 64))
	}
	return kinds
}

func (f Fault) forText() string {
	if f.For == 0 {
		return ""
	}
	return " for " + f.For.String()
}

func shareText(share float64) string {
	if share == 1 {
		return ""
	}
	return ":" + strconv.FormatFloat(share, 'g', -1, 64)
}
