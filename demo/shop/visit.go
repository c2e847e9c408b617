package shop

import (
	"strconv"

	"github.com/toposcope/toposcope/demo/dice"
)

// Visit is one request on its way through one process: its trace, the dice that fall for it there, and the values of its wildcards.
// It is for one goroutine.
type Visit struct {
	trace dice.Trace
	dice  *dice.Dice
	known func(wildcard string) string
}

// NewVisit makes the visit of trace to the process called name. known gives the values of the request's own wildcards, "" for
// others; it may be nil.
func NewVisit(trace dice.Trace, name string, known func(wildcard string) string) *Visit {
	return &Visit{trace, trace.Dice(name), known}
}

// Value is the value of a wildcard, drawn where the request has none of that name.
func (v *Visit) Value(wildcard string) string {
	if v.known != nil {
		if value := v.known(wildcard); value != "" {
			return value
		}
	}
	switch wildcard {
	case "sku":
		return strconv.Itoa(10000 + v.dice.IntN(400))
	case "domain":
		// Where the shop's customers have their mail; there is no "gone".
		domains := []string{"mail", "post", "inbox", "gone"}
		return domains[v.dice.IntN(len(domains))]
	}
	return strconv.Itoa(1 + v.dice.IntN(5000))
}

// drawn says whether what share of the requests do is done by this one; a share of 0 stands for all.
func (v *Visit) drawn(share float64) bool { return share == 0 || v.dice.Chance(share) }
