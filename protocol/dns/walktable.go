package dns

import (
	"slices"
)

// add makes a new lookup of s, which has not been counted in yet.
func (w *Walks) add(s *Step) int32 {
	i := w.take()
	v := &w.walks[i-1]
	v.task, v.kindLen, v.done = s.Task, uint8(copy(v.kind[:], s.Type)), false
	v.last = append(v.last[:0], s.Name...)
	v.base = len(v.last)
	v.asked[0], v.steps = hashText(s.Name), 1
	v.start, v.end = s.Start, s.End

	w.chain(i)
	w.append(i)
	return i
}

// chain puts a lookup at the head of its process's bucket.
func (w *Walks) chain(i int32) {
	v := &w.walks[i-1]
	bucket := &w.buckets[v.task.PID%bucketCount]
	v.up, v.down = 0, *bucket
	if *bucket != 0 {
		w.walks[*bucket-1].up = i
	}
	*bucket = i
}

func (w *Walks) unchain(i int32) {
	v := &w.walks[i-1]
	if v.up != 0 {
		w.walks[v.up-1].down = v.down
	} else {
		w.buckets[v.task.PID%bucketCount] = v.down
	}
	if v.down != 0 {
		w.walks[v.down-1].up = v.up
	}
}

// take finds room for a lookup, at the cost of the one that moved longest ago when there is none.
func (w *Walks) take() int32 {
	if w.free == 0 && len(w.walks) >= w.cfg.Max {
		w.end(w.first)
	}
	if i := w.free; i != 0 {
		w.free = w.walks[i-1].down
		return i
	}
	w.walks = append(w.walks, walk{})
	return int32(len(w.walks))
}

// end reports a lookup that has not been, and forgets it.
func (w *Walks) end(i int32) {
	v := &w.walks[i-1]
	if !v.done {
		w.report(v)
	}
	w.unlink(i)
	w.unchain(i)
	v.down, w.free = w.free, i
}

// touch makes a lookup the one that moved last.
func (w *Walks) touch(i int32) {
	if w.last == i {
		return
	}
	w.unlink(i)
	w.append(i)
	w.unchain(i)
	w.chain(i)
}

func (w *Walks) append(i int32) {
	v := &w.walks[i-1]
	v.older, v.newer = w.last, 0
	if w.last != 0 {
		w.walks[w.last-1].newer = i
	} else {
		w.first = i
	}
	w.last = i
}

func (w *Walks) unlink(i int32) {
	v := &w.walks[i-1]
	if v.older != 0 {
		w.walks[v.older-1].newer = v.newer
	} else {
		w.first = v.newer
	}
	if v.newer != 0 {
		w.walks[v.newer-1].older = v.older
	} else {
		w.last = v.older
	}
}

func (w *Walks) report(v *walk) {
	w.r = Resolution{
		Task: v.task, Name: v.last[:v.base], Asked: v.last, Type: v.kind[:v.kindLen], Code: v.code, Found: v.found,
		Steps: v.steps, Start: v.start, End: v.end,
	}
	w.emit(&w.r)
}

// alone reports a step that is a lookup by itself.
func (w *Walks) alone(s *Step) {
	w.r = Resolution{
		Task: s.Task, Name: s.Name, Asked: s.Name, Type: s.Type, Code: s.Code, Found: s.answered(), Steps: 1, Start: s.Start, End: s.End,
	}
	w.emit(&w.r)
}

// maxHeld is how many steps are held back to be put in order.
const maxHeld = 1024

// heldSteps are steps in the order in which they ended. Their bytes are its own, and used again.
type heldSteps struct {
	list []*Step
	free []*Step
}

func (h *heldSteps) full() bool { return len(h.list) >= maxHeld }

func (h *heldSteps) oldest() *Step {
	if len(h.list) == 0 {
		return nil
	}
	return h.list[0]
}

func (h *heldSteps) add(s *Step) {
	var own *Step
	if n := len(h.free); n > 0 {
		own, h.free = h.free[n-1], h.free[:n-1]
	} else {
		own = &Step{}
	}
	name, kind := append(own.Name[:0], s.Name...), append(own.Type[:0], s.Type...)
	*own = *s
	own.Name, own.Type = name, kind
	at := len(h.list)
	for at > 0 && h.list[at-1].End.After(own.End) {
		at--
	}
	h.list = slices.Insert(h.list, at, own)
}

// drop forgets the oldest.
func (h *heldSteps) drop() {
	h.free = append(h.free, h.list[0])
	h.list = slices.Delete(h.list, 0, 1)
}
