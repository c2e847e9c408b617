package route

import (
	"fmt"
	"path"
	"strings"
)

// pattern is a position in the tree of the configured patterns.
type pattern struct {
	names map[string]*pattern
	any   *pattern
	// route is the template of the pattern that ends here, tail that of one that ends here in "*".
	route, tail string
}

func check(rules []Rule) error {
	for _, r := range rules {
		if _, err := path.Match(r.Service, ""); err != nil {
			return fmt.Errorf("route rule: service %q: %w", r.Service, err)
		}
		for _, p := range r.Patterns {
			if !strings.HasPrefix(p, "/") {
				return fmt.Errorf("route rule: pattern %q does not begin with /", p)
			}
			if i := strings.Index(p, "*"); i >= 0 && (i != len(p)-1 || p[i-1] != '/') {
				return fmt.Errorf("route rule: pattern %q: * may only be the last segment", p)
			}
		}
	}
	return nil
}

// compile gathers the patterns of all rules that match the service; nil when there are none.
func compile(rules []Rule, service string) *pattern {
	var root *pattern
	for _, r := range rules {
		if ok, _ := path.Match(r.Service, service); !ok && r.Service != "" { // check has seen the glob
			continue
		}
		for _, p := range r.Patterns {
			if root == nil {
				root = &pattern{}
			}
			root.add(p)
		}
	}
	return root
}

func (p *pattern) add(text string) {
	template := ""
	for segment := range strings.SplitSeq(text, "/") {
		switch {
		case segment == "":
			continue
		case segment == rest:
			if p.tail == "" {
				p.tail = template + "/*"
			}
			return
		case segment[0] == ':' || segment[0] == '{' && segment[len(segment)-1] == '}':
			template += "/{" + strings.Trim(segment, ":{}") + "}"
			if p.any == nil {
				p.any = &pattern{}
			}
			p = p.any
		default:
			template += "/" + segment
			if p.names == nil {
				p.names = map[string]*pattern{}
			}
			if p.names[segment] == nil {
				p.names[segment] = &pattern{}
			}
			p = p.names[segment]
		}
	}
	if template == "" {
		template = "/"
	}
	if p.route == "" {
		p.route = template
	}
}

// match is the template of the most specific pattern that path matches: names before placeholders before "*". The walk
// branches in two at most at each of a pattern's segments, and patterns are the operator's own.
func (p *pattern) match(path []byte) string {
	segment, more := next(path)
	if segment == nil {
		if p.route != "" {
			return p.route
		}
		return p.tail
	}
	if c, ok := p.names[string(segment)]; ok {
		if r := c.match(more); r != "" {
			return r
		}
	}
	if p.any != nil {
		if r := p.any.match(more); r != "" {
			return r
		}
	}
	return p.tail
}
