package route

import (
	"maps"
	"slices"
)

// rest is the placeholder for all that follows.
const rest = "*"

const param = "{param}"

// node is a position in the tree of a service's paths.
type node struct {
	template string // from the root to here; "" for the root
	segment  string // the last of it
	// names are the children that are part of a route's name, values those that stand for placeholders.
	names, values map[string]*node
	// byName and byValue are the children that were asked for last: to compare costs less than a map.
	byName, byValue *node
	// full is set when this position holds values: no further name is learnt.
	full     bool
	terminal bool // a route ends here
	hits     uint64
}

// find walks path without learning. It counts the visit, and returns nil when the tree does not have the path.
func (s *Service) find(path []byte, cut bool) *node {
	n := &s.root
	for depth := 0; ; depth++ {
		segment, more := next(path)
		if segment == nil {
			break
		}
		if depth == maxSegments {
			cut = true
			break
		}
		if n = n.child(segment); n == nil {
			return nil
		}
		n.hits++
		path = more
	}
	if cut {
		n = n.values[rest]
	}
	return n
}

// child is where segment leads, nil when it is new.
func (n *node) child(segment []byte) *node {
	if n.byName != nil && string(segment) == n.byName.segment {
		return n.byName
	}
	if p := placeholder(segment); p != "" {
		if n.byValue == nil || n.byValue.segment != p {
			n.byValue = n.values[p]
		}
		return n.byValue
	}
	if c, ok := n.names[string(segment)]; ok {
		n.byName = c
		return c
	}
	if n.full {
		return n.values[param]
	}
	return nil
}

// learn adds path, and gives its template.
func (s *Service) learn(path []byte, cut bool) string {
	n := &s.root
	for depth := 0; ; depth++ {
		segment, more := next(path)
		if segment == nil {
			break
		}
		if depth == maxSegments {
			cut = true
			break
		}
		n = s.step(n, segment)
		path = more
	}
	if cut {
		n = n.value(rest)
	}
	if !n.terminal {
		n.terminal = true
		s.routes++
	}
	if n.template == "" {
		n.template = "/"
	}
	return n.template
}

// step goes from n to the child for segment, which it makes where it is missing.
func (s *Service) step(n *node, segment []byte) *node {
	if c := n.child(segment); c != nil {
		return c
	}
	if p := placeholder(segment); p != "" {
		return n.value(p)
	}
	limit := s.fanout
	if n == &s.root {
		limit *= 2
	}
	if !n.full && len(n.names) >= limit {
		n.giveUp()
		s.routes = s.root.count()
	}
	if n.full {
		return n.value(param)
	}
	return n.name(string(segment))
}

func (n *node) prefix() string {
	if n.template == "/" {
		return ""
	}
	return n.template
}

func (n *node) name(segment string) *node {
	c, ok := n.names[segment]
	if !ok {
		if n.names == nil {
			n.names = map[string]*node{}
		}
		c = &node{template: n.prefix() + "/" + segment, segment: segment, hits: 1}
		n.names[segment] = c
	}
	return c
}

func (n *node) value(p string) *node {
	c, ok := n.values[p]
	if !ok {
		if n.values == nil {
			n.values = map[string]*node{}
		}
		c = &node{template: n.prefix() + "/" + p, segment: p, hits: 1}
		n.values[p] = c
	}
	return c
}

// giveUp turns the rare names under n into {param}.
func (n *node) giveUp() {
	n.full, n.byName = true, nil
	into := n.value(param)
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		if c := n.names[name]; c.hits < keepHits {
			into.merge(c)
			delete(n.names, name)
		}
	}
}

// merge adds what from knows to n.
func (n *node) merge(from *node) {
	n.hits += from.hits
	n.terminal = n.terminal || from.terminal
	n.full = n.full || from.full
	for _, p := range slices.Sorted(maps.Keys(from.values)) {
		n.value(p).merge(from.values[p])
	}
	for _, name := range slices.Sorted(maps.Keys(from.names)) {
		c, ok := n.names[name]
		switch {
		case ok:
			c.merge(from.names[name])
		case n.full:
			n.value(param).merge(from.names[name])
		default:
			n.name(name).merge(from.names[name])
		}
	}
}

// count is the number of routes at and under n.
func (n *node) count() int {
	c := 0
	if n.terminal {
		c = 1
	}
	for _, child := range n.names {
		c += child.count()
	}
	for _, child := range n.values {
		c += child.count()
	}
	return c
}

// rare is the number of names under n that would not keep their place.
func (n *node) rare() int {
	c := 0
	for _, child := range n.names {
		if child.hits < keepHits {
			c++
		}
	}
	return c
}

// relieve makes room: it gives up the position with the most rare names. false: there is none with enough of them.
func (s *Service) relieve() bool {
	worst, most := (*node)(nil), minPressure-1
	var visit func(n *node)
	visit = func(n *node) {
		if r := n.rare(); !n.full && r > most {
			worst, most = n, r
		}
		for _, k := range slices.Sorted(maps.Keys(n.names)) {
			visit(n.names[k])
		}
		for _, k := range slices.Sorted(maps.Keys(n.values)) {
			visit(n.values[k])
		}
	}
	visit(&s.root)
	if worst == nil {
		return false
	}
	worst.giveUp()
	s.routes = s.root.count()
	return true
}
