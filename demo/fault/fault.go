// Package fault says what goes wrong in the shop on purpose, by service: slow, failed and lost answers. It can be changed while the
// shop runs.
//
// A Set is written as "payments=slow:800ms,stock=fail:0.2"; the syntax is in Syntax.
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
  fail[:SHARE]           answers are HTTP 503, gRPC UNAVAILABLE, DNS SERVFAIL
  lost[:SHARE]           answers never come
  off                    none of these any more
SHARE, more than 0 and at most 1, is how many of the requests are met; without it, all are.`

// maxSlow bounds how late an answer can be made: everything here gives up long before.
const maxSlow = time.Minute

// Fault is what goes wrong at one service. Slow, Fail and Lost are shares of its requests, 0..1; slow ones take SlowBy more.
type Fault struct {
	SlowBy           time.Duration
	Slow, Fail, Lost float64
}

// Set is the faults of all services that have any. It is not changed once made.
type Set map[string]Fault

// Parse reads a Set in Syntax. services are those that exist. A service that is named "off" is in the Set with its zero Fault.
func Parse(text string, services []string) (Set, error) {
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
		if !slices.Contains(services, service) {
			return nil, fmt.Errorf("fault %q: no service %q; there are %s", item, service, strings.Join(services, ", "))
		}
		f := set[service]
		if err := f.add(kind); err != nil {
			return nil, fmt.Errorf("fault %q: %w", item, err)
		}
		set[service] = f
	}
	return set, nil
}

// add sets what kind, one item of Syntax, says.
func (f *Fault) add(kind string) error {
	name, rest, more := strings.Cut(kind, ":")
	var err error
	switch name {
	case "slow":
		by, share, more := strings.Cut(rest, ":")
		if f.SlowBy, err = time.ParseDuration(by); err != nil {
			return errors.New("slow wants a duration: slow:800ms")
		}
		if f.SlowBy <= 0 || f.SlowBy > maxSlow {
			return fmt.Errorf("the duration must be more than 0 and at most %s", maxSlow)
		}
		f.Slow, err = parseShare(share, more)
	case "fail":
		f.Fail, err = parseShare(rest, more)
	case "lost":
		f.Lost, err = parseShare(rest, more)
	case "off":
		if more {
			return errors.New("off takes nothing")
		}
		*f = Fault{}
	default:
		return errors.New("want slow, fail, lost or off")
	}
	return err
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
			items = append(items, service+"="+kind)
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
	return kinds
}

func shareText(share float64) string {
	if share == 1 {
		return ""
	}
	return ":" + strconv.FormatFloat(share, 'g', -1, 64)
}
