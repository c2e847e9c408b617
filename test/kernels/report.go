package kernels

import (
	"fmt"
	"slices"
	"strings"
)

// Report is one finding of the guest program: a number of counts that must be met exactly.
type Report struct {
	// Name is what was tried: a way of capture, "prove" and a kind of program, "programs", or a condition.
	Name string `json:"name"`
	// Counts are all that were compared, right and wrong.
	Counts []Count `json:"counts,omitempty"`
	// Method is the way of capture that was in force, as toposcope_capture_method_info says it.
	Method string `json:"method,omitempty"`
	// Run and Doctor are how "toposcope run" and "toposcope doctor" ended under a condition.
	Run    *Ended `json:"run,omitempty"`
	Doctor *Ended `json:"doctor,omitempty"`
	// Programs are all that could be loaded or not, where that was tried.
	Programs []Program `json:"programs,omitempty"`
	// Notes are counters that explain a difference, such as lost events.
	Notes []string `json:"notes,omitempty"`
	// Error is set when it could not be tried to the end.
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Ended is the end of a process.
type Ended struct {
	Status int `json:"status"`
	// Stderr is its standard error, line by line, without what a logger wrote.
	Stderr []string `json:"stderr,omitempty"`
	Stdout string   `json:"stdout,omitempty"`
}

// Count is one compared number.
type Count struct {
	What string `json:"what"`
	// Protocol is set on the counts that add up to the number of exchanges of a protocol.
	Protocol string `json:"protocol,omitempty"`
	Want     uint64 `json:"want"`
	Got      uint64 `json:"got"`
}

// Program is one BPF program as a kernel's verifier saw it.
type Program struct {
	// Object is the object file's name, such as "fexit"; Name is the program's in it.
	Object string `json:"object"`
	Name   string `json:"name"`
	// Instructions is how many the verifier processed, which grows with the paths that it walks; 0 where it was refused.
	Instructions uint64 `json:"instructions,omitempty"`
	// Error is why it was refused.
	Error string `json:"error,omitempty"`
}

func (c Count) String() string { return fmt.Sprintf("%s: want %d, got %d", c.What, c.Want, c.Got) }

// Must are the counts that must be exact: all, but by packets only those of the servers. A packet has no process, so the client of a
// connection that was short is not found any more, and named unknown.
func (r Report) Must() []Count {
	if r.Method != Packets {
		return r.Counts
	}
	return slices.DeleteFunc(slices.Clone(r.Counts), func(c Count) bool {
		return !strings.Contains(c.What, " server ") && !strings.HasSuffix(c.What, " edges of the server") &&
			!strings.HasSuffix(c.What, " lost")
	})
}

// Wrong returns those that must be exact and are not.
func (r Report) Wrong() []Count {
	var wrong []Count
	for _, c := range r.Must() {
		if c.Want != c.Got {
			wrong = append(wrong, c)
		}
	}
	return wrong
}
