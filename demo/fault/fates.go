package fault

import (
	"fmt"
	"sync"
	"time"

	"github.com/toposcope/toposcope/demo/dice"
)

// maxKnown bounds the different questions whose number is kept.
const maxKnown = 4096

// Fates draws what becomes of the requests to a server that knows nothing of who sent them: the nth time that a question is asked
// meets the same fate in every run. Its methods may be called from any goroutine.
type Fates struct {
	// Switch gives the faults in force, Name is the server's, for the dice, which begin with Seed.
	Switch *Switch
	Name   string
	Seed   uint64

	mu    sync.Mutex
	asked map[string]uint64 // how often, by question
}

// Draw is what question meets: how much later it is answered, and whether with an error.
func (f *Fates) Draw(question string) (slow time.Duration, failed bool) {
	now := f.Switch.Now()
	if now.Slow == 0 && now.Fail == 0 {
		return 0, false
	}
	f.mu.Lock()
	if f.asked == nil || len(f.asked) >= maxKnown {
		f.asked = map[string]uint64{}
	}
	f.asked[question]++
	n := f.asked[question]
	f.mu.Unlock()
	d := dice.New(f.Seed, fmt.Sprintf("%s %s %d", f.Name, question, n))
	failed = d.Chance(now.Fail)
	if d.Chance(now.Slow) {
		slow = now.SlowBy
	}
	return slow, failed
}
