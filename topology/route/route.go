// Package route turns the path of a URL into the template of its route, so that /users/1 and /users/2 are one series.
//
// # The algorithm
//
// Each service has a tree of path segments of its own. A path is cut at '?' and '#', empty segments are dropped, and each
// segment goes, in this order,
//
//  1. by the patterns of the configuration, whole paths at a time: the most specific one that matches wins;
//  2. to a placeholder where its bytes alone tell what it is: {id} (numbers, UUIDs, hex, mixed identifiers, tokens), {date},
//     {email}, {param} (percent-encoded, not ASCII, longer than 64 bytes), {id}.js for a known file extension;
//  3. to the child of that name, if there is one or may be one;
//  4. to {param}, if its position has been found to hold values and not names.
//
// A position is found to hold values when more than Options.Fanout different names came under the same parent (twice that
// many under the root), or when the service has as many routes as it may have and the position has the most rare names.
// Names that came at least 100 times by then keep their place, the rest become {param} and so does every name after. A
// position never goes back, so a path's template changes at most once per segment: learning does not flap.
//
// Past Options.Max routes a new path is "other". What the tree holds is bounded by Max and the depth of ten segments; a
// longer path ends in /*.
package route

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// Other is the template of a path that would be one route too many.
const Other = "other"

// Limits of a path.
const (
	maxSegments = 10
	maxSegment  = 64
	maxPath     = 1024
	// keepHits is how often a name must have come to keep its place when its position turns out to hold values.
	keepHits = 100
	// minPressure is how many rare names a position must have to be given up when a service has too many routes.
	minPressure = 8
	// maxServices bounds the trees; what comes after shares one.
	maxServices = 10000
)

// Rule gives services patterns of their own.
type Rule struct {
	// Service is a glob (path.Match) on the service's name; empty matches all.
	Service string
	// Patterns are paths in which ":name" or "{name}" stands for one segment and a final "*" for the rest.
	Patterns []string
}

// Options tune the templates. Zero values mean the defaults.
type Options struct {
	Max    int // routes per service; default 100
	Fanout int // names under one parent before they are taken for values; default 50
	Rules  []Rule
}

// Templates has a tree for each service. It may be used from any goroutine.
type Templates struct {
	opt Options

	mu       sync.Mutex
	services map[string]*Service
	overflow atomic.Uint64
}

// New makes the templates. It fails on a pattern that is no path, or a glob that is malformed.
func New(o Options) (*Templates, error) {
	if o.Max <= 0 {
		o.Max = 100
	}
	if o.Fanout <= 0 {
		o.Fanout = 50
	}
	if err := check(o.Rules); err != nil {
		return nil, err
	}
	return &Templates{opt: o, services: map[string]*Service{}}, nil
}

// Overflowed is how many paths were given the template Other so far.
func (t *Templates) Overflowed() uint64 { return t.overflow.Load() }

// Service is the tree of the service called name.
func (t *Templates) Service(name string) *Service {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.services[name]
	if ok {
		return s
	}
	if len(t.services) >= maxServices {
		name = Other
		if s, ok = t.services[name]; ok {
			return s
		}
	}
	s = &Service{max: t.opt.Max, fanout: t.opt.Fanout, overflow: &t.overflow, patterns: compile(t.opt.Rules, name)}
	t.services[name] = s
	return s
}

// Service is the routes of one service.
type Service struct {
	max, fanout int
	overflow    *atomic.Uint64
	patterns    *pattern // nil: none

	mu     sync.Mutex
	root   node
	routes int
	// full is set when there is nothing left to give up: new paths are Other for good.
	full bool
}

// Template is the route of path, which is a URL's path as it was sent: not decoded, perhaps with a query, perhaps hostile.
// The result is printable ASCII. It allocates only when the service learns a new route.
func (s *Service) Template(path []byte) string {
	path, cut := trim(path)
	if len(path) == 0 || path[0] != '/' {
		return odd(path)
	}
	if s.patterns != nil && !cut {
		if route := s.patterns.match(path); route != "" {
			return route
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if n := s.find(path, cut); n != nil && n.terminal {
			return n.template
		}
		if s.routes < s.max {
			return s.learn(path, cut)
		}
		if s.full || !s.relieve() {
			s.full = true
			s.overflow.Add(1)
			return Other
		}
	}
}

// trim leaves the path of an origin-form or absolute-form target. cut says that it was too long and lost its end.
func trim(path []byte) (out []byte, cut bool) {
	for i, c := range path {
		if c == '?' || c == '#' {
			path = path[:i]
			break
		}
	}
	if len(path) > 0 && path[0] != '/' {
		i := bytes.Index(path, []byte("://"))
		if i < 0 {
			return path, false
		}
		path = path[i+3:]
		if i = bytes.IndexByte(path, '/'); i < 0 {
			return []byte{'/'}, false
		}
		path = path[i:]
	}
	if len(path) > maxPath {
		path = path[:maxPath]
		path = path[:bytes.LastIndexByte(path, '/')+1]
		cut = true
	}
	return path, cut
}

// odd names targets that are no paths: OPTIONS's asterisk, CONNECT's authority.
func odd(target []byte) string {
	switch {
	case len(target) == 0:
		return "/"
	case string(target) == "*":
		return "*"
	default:
		return "{authority}"
	}
}

// next cuts the first segment off path. Empty segments and path parameters (;jsessionid=…) are dropped.
func next(path []byte) (segment, rest []byte) {
	for len(path) > 0 {
		if path[0] == '/' {
			path = path[1:]
			continue
		}
		end := 0
		for end < len(path) && path[end] != '/' && path[end] != ';' {
			end++
		}
		segment, path = path[:end], path[end:]
		if len(path) > 0 && path[0] == ';' {
			if end = bytes.IndexByte(path, '/'); end < 0 {
				end = len(path)
			}
			path = path[end:]
		}
		if len(segment) > 0 {
			return segment, path
		}
	}
	return nil, nil
}
