package dns

import (
	"cmp"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// WalksConfig bounds Walks. Zero values stand for the defaults.
type WalksConfig struct {
	// Max is how many lookups may be open or just ended; past it the one that moved longest ago is taken for ended. Default 4,096.
	Max int
	// Gap is how long after an answer the next step may begin; resolvers go on at once. Default 250 ms.
	Gap time.Duration
	// Wait is how long after an answer a lookup is taken for ended when nothing follows. A step is known when it is over, so it
	// must be longer than a resolver waits for an answer. Default 6 s.
	Wait time.Duration
	// Delay is how long steps are held back to be put in the order in which they ended. Where exchanges come from more than one
	// goroutine it must be as long as these may be apart: 100 ms. Default 0: they come in order.
	Delay time.Duration
}

// Resolution is one lookup as the user of a resolver sees it. It is valid until the callback that is given it returns.
type Resolution struct {
	// Task is the one that asked last.
	Task event.Task
	// Name is what was looked up, without a search domain; Type its type. Asked is the name of the last step, which is the one
	// that was answered if any was.
	Name, Asked, Type []byte
	// Code is the last step's, "" when that was not answered; Found tells whether it had records.
	Code  string
	Found bool
	// Steps is how many names were asked for, repetitions left out.
	Steps int
	// Start is the first step's, End the last one's.
	Start, End time.Time
}

// Walks puts the exchanges of a resolver together to what its user asked for. A resolver with a search list (resolv.conf, search
// and ndots) asks for db.shop.svc.cluster.local, db.svc.cluster.local, db.cluster.local and db in turn until one is found; that
// is one lookup, and its NXDOMAINs are no news.
//
// A step goes on with a lookup when
//   - it is of the same process and type, and begins within Gap after the answer before it, which was none or not final;
//   - its name begins with the same labels, and was not asked for in this lookup;
//   - what follows these labels looks like a search list: nothing in one of the two, a domain in one and one below it in the
//     other, domains that were seen in a search before, or else the same thread asked.
//
// Types are looked up side by side (A and AAAA) and are lookups of their own. A question that is asked once more, of another
// server at the same time (musl) or because the first answer was an error or too long, is the same step.
//
// A lookup ends with an answer that has records, at once; otherwise when the same thread asks for something else, or after Wait.
// In a process whose lookups wander between threads, as Go's do, the thread's next question tells nothing.
//
// The name that the user gave is what all steps begin with. Where two search domains begin with the same label and the bare name
// was not asked for, it comes out one label too long. An answer that nobody gave is known late: when the question that was put
// again has been answered by then, the lookup's time is that of the repetition.
//
// Walks is for one goroutine at a time. It does not allocate once its tables have grown.
type Walks struct {
	cfg  WalksConfig
	emit func(*Resolution)

	walks   []walk
	buckets [bucketCount]int32 // of the processes of each, the walk that moved last, plus one
	free    int32              // list of walks that are out of use, plus one
	// first and last make the list of walks in use in the order in which they moved, plus one.
	first, last int32
	roams       [roamCount]uint32 // processes whose lookups wander between threads
	searched    [searchedCount]uint64
	nextSearch  int
	held        heldSteps
	r           Resolution
}

const (
	bucketCount   = 1024
	roamCount     = 256
	searchedCount = 64
	// maxChain is how many lookups of a process, the latest, may be gone on with.
	maxChain = 64
	// maxSteps is how many names a lookup may ask for: glibc's search list had six domains for long, Kubernetes allows 32.
	maxSteps = 34
	// linger is how long a lookup that has ended takes in what was asked in parallel.
	linger = 2 * time.Second
)

// walk is one lookup.
type walk struct {
	task       event.Task
	kind       [16]byte // the type, cut to what every name of one fits in
	kindLen    uint8
	done       bool
	definite   bool
	found      bool
	code       string
	last       []byte // the name of the last step
	base       int    // how much of it all steps have in common
	asked      [maxSteps]uint64
	steps      int
	start, end time.Time

	up, down     int32 // in its bucket, plus one
	older, newer int32 // in the order of moves, plus one
}

// NewWalks makes a Walks that calls emit for each lookup that has ended. emit must not call the Walks.
func NewWalks(cfg WalksConfig, emit func(*Resolution)) *Walks {
	cfg.Max = cmp.Or(cfg.Max, 4096)
	cfg.Gap = cmp.Or(cfg.Gap, 250*time.Millisecond)
	cfg.Wait = cmp.Or(cfg.Wait, 6*time.Second)
	return &Walks{cfg: cfg, emit: emit}
}

// Step takes in an exchange that has ended.
func (w *Walks) Step(s *Step) {
	if w.cfg.Delay <= 0 {
		w.step(s)
		return
	}
	if w.held.full() {
		w.step(w.held.oldest())
		w.held.drop()
	}
	w.held.add(s)
}

// Tick ends the lookups with which nothing went on for long enough. now is the time of day, or in replay that of the events; a
// time far ahead ends them all.
func (w *Walks) Tick(now time.Time) {
	for s := w.held.oldest(); s != nil && now.Sub(s.End) >= w.cfg.Delay; s = w.held.oldest() {
		w.step(s)
		w.held.drop()
	}
	for i := w.first; i != 0; {
		v := &w.walks[i-1]
		next := v.newer
		quiet := now.Sub(v.end) - w.cfg.Delay
		if v.done && quiet >= linger || quiet >= w.cfg.Wait {
			w.end(i)
		}
		i = next
	}
}

func (w *Walks) step(s *Step) {
	if s.Task.PID == 0 || string(s.Type) == "PTR" { // addresses are not searched for
		w.alone(s)
		return
	}
	i, how := w.match(s)
	switch how {
	case apart:
		i = w.add(s)
	case belated:
		return
	case again:
		if w.walks[i-1].definite {
			return // a slower server; the resolver has gone on
		}
	case onward:
		w.advance(&w.walks[i-1], s)
	}
	v := &w.walks[i-1]
	v.task, v.code, v.definite, v.found = s.Task, s.Code, s.definite(), s.answered()
	if s.End.After(v.end) {
		v.end = s.End
	}
	w.touch(i)
	if v.found {
		w.report(v)
		v.done = true
	}
}

// relation is what a step is to a lookup.
type relation uint8

const (
	apart   relation = iota
	again            // the last name once more
	onward           // the next name
	belated          // the last name, asked in parallel with what was answered
)

// match finds the lookup that s belongs to. On the way it ends those with which the same thread is done.
func (w *Walks) match(s *Step) (found int32, how relation) {
	alike := false // of the same thread
	i := w.buckets[s.Task.PID%bucketCount]
	for n := 0; i != 0 && n < maxChain; n++ {
		v := &w.walks[i-1]
		down := v.down
		if v.task.PID == s.Task.PID {
			r := w.relate(v, s)
			same := v.task.TID == s.Task.TID
			switch {
			case r != apart && (how == apart || same && !alike):
				found, how, alike = i, r, same
			case r == apart && w.superseded(v, s):
				w.end(i)
			}
		}
		i = down
	}
	return found, how
}

// relate judges how s goes on with v.
func (w *Walks) relate(v *walk, s *Step) relation {
	if string(v.kind[:v.kindLen]) != string(cut(s.Type)) {
		return apart
	}
	thread := v.task.TID == s.Task.TID || v.task.TID == 0 || s.Task.TID == 0
	if string(v.last) == string(s.Name) {
		overlaps := s.Start.Before(v.end)
		switch {
		case v.done && overlaps && thread:
			return belated
		case !v.done && (overlaps && thread || !v.definite):
			return again
		}
		return apart
	}
	if v.done || v.steps == maxSteps || s.Start.Before(v.end) || s.Start.Sub(v.end) > w.cfg.Gap || w.had(v, s.Name) {
		return apart
	}
	base, before, after, searched := v.compare(s.Name)
	switch {
	case base == 0 || !typed(s.Name[:base]):
		return apart
	case searched, v.task.TID == s.Task.TID && s.Task.TID != 0, w.searches(before) && w.searches(after):
		return onward
	}
	return apart
}

// compare takes the last name of v and another apart: what both begin with, and what follows it in each. searched: that looks
// like a search whoever asks.
func (v *walk) compare(name []byte) (base int, before, after []byte, searched bool) {
	base = min(labels(v.last, name), v.base)
	before, after = suffix(v.last, base), suffix(name, base)
	return base, before, after, len(before) == 0 || len(after) == 0 || below(before, after)
}

// superseded says whether s shows that its thread is done with v: it asks for something that v never would.
func (w *Walks) superseded(v *walk, s *Step) bool {
	if v.done || s.Task.TID == 0 || v.task.TID != s.Task.TID || w.roams[s.Task.PID%roamCount] == s.Task.PID || s.Start.Before(v.end) {
		return false
	}
	return string(v.kind[:v.kindLen]) == string(cut(s.Type)) || labels(v.last, s.Name) == 0
}

// advance makes s the next step of v.
func (w *Walks) advance(v *walk, s *Step) {
	base, before, after, searched := v.compare(s.Name)
	if searched {
		w.learn(before)
		w.learn(after)
	}
	if v.task.TID != s.Task.TID && s.Task.TID != 0 && v.task.TID != 0 {
		w.roams[s.Task.PID%roamCount] = s.Task.PID
	}
	v.base = base
	v.last = append(v.last[:0], s.Name...)
	v.asked[v.steps] = hashText(s.Name)
	v.steps++
}

func (w *Walks) had(v *walk, name []byte) bool {
	h := hashText(name)
	for _, asked := range v.asked[:v.steps] {
		if asked == h {
			return true
		}
	}
	return false
}

// learn notes a search domain.
func (w *Walks) learn(domain []byte) {
	if len(domain) == 0 || w.searches(domain) {
		return
	}
	w.searched[w.nextSearch] = hashText(domain)
	w.nextSearch = (w.nextSearch + 1) % searchedCount
}

func (w *Walks) searches(domain []byte) bool {
	h := hashText(domain)
	for _, known := range w.searched {
		if known == h {
			return true
		}
	}
	return false
}

func hashText(text []byte) uint64 {
	h := uint64(hashBasis)
	for _, c := range text {
		h = (h ^ uint64(c)) * hashPrime
	}
	return h
}

// cut is a type's name as far as a walk keeps it.
func cut(kind []byte) []byte { return kind[:min(len(kind), len(walk{}.kind))] }
