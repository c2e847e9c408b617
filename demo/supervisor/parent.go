package supervisor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/toposcope/toposcope/demo/tally"
)

// reportFD is the file descriptor on which a child speaks.
const reportFD = 3

// Hello is a child's first word.
type Hello struct {
	// Address is where it listens, "" if it serves nobody.
	Address string `json:"address"`
}

// Report is a child's last word.
type Report struct {
	tally.Pages
	NotSent uint64 `json:"notSent"`
}

// Order is what a child is told while it runs. What is nil is as it was.
type Order struct {
	Number uint64 `json:"number"`
	// Faults are those that are in force from now on, in fault.Syntax.
	Faults *string `json:"faults,omitempty"`
	// Addresses are those of services, by name. Only a service with a Directory is told.
	Addresses map[string]string `json:"addresses,omitempty"`
}

// word is one thing that a child says.
type word struct {
	Hello  *Hello  `json:"hello,omitempty"`
	Taken  uint64  `json:"taken,omitempty"`
	Report *Report `json:"report,omitempty"`
}

// Parent is what a child has of its supervisor.
type Parent struct {
	mu  sync.Mutex
	out *json.Encoder
	in  io.Reader
}

// NewParent is for a process that a Supervisor started.
func NewParent() *Parent {
	return &Parent{out: json.NewEncoder(os.NewFile(reportFD, "supervisor")), in: os.Stdin}
}

func (p *Parent) say(w word) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Encode(w)
}

// Hello says that this process listens, at address, "" if at none, and has take called with each order from then on. take has done
// what the order says when it returns; it is called from one goroutine.
func (p *Parent) Hello(address string, take func(Order)) error {
	if err := p.say(word{Hello: &Hello{address}}); err != nil {
		return fmt.Errorf("a service is started by toposcope-demo, not by hand: %w", err)
	}
	go func() {
		for orders := json.NewDecoder(p.in); ; {
			var o Order
			if orders.Decode(&o) != nil {
				return // the parent has gone, and this process goes with it
			}
			take(o)
			if p.say(word{Taken: o.Number}) != nil {
				return
			}
		}
	}()
	return nil
}

// Report says what this process did, before it ends.
func (p *Parent) Report(r Report) error {
	if err := p.say(word{Report: &r}); err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	return nil
}
