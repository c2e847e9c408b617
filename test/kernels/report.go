package kernels

import "fmt"

// Report is one finding of the guest program: a number of counts that must be met exactly.
type Report struct {
	// Name is what was tried: a way of capture, or a kind of program.
	Name string `json:"name"`
	// Counts are all that were compared, right and wrong.
	Counts []Count `json:"counts"`
	// Notes are counters that explain a difference, such as lost events.
	Notes []string `json:"notes,omitempty"`
	// Error is set when it could not be tried to the end.
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Count is one compared number.
type Count struct {
	What string `json:"what"`
	Want uint64 `json:"want"`
	Got  uint64 `json:"got"`
}

func (c Count) String() string { return fmt.Sprintf("%s: want %d, got %d", c.What, c.Want, c.Got) }

// Wrong returns the counts that differ.
func (r Report) Wrong() []Count {
	var wrong []Count
	for _, c := range r.Counts {
		if c.Want != c.Got {
			wrong = append(wrong, c)
		}
	}
	return wrong
}
