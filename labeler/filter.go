package labeler

import "fmt"

// Action is a filter's verdict on a process.
type Action uint8

// Actions.
const (
	Include Action = iota // watched
	Exclude               // left alone: none of its bytes is copied
)

func (a Action) String() string {
	if a == Exclude {
		return "exclude"
	}
	return "include"
}

// FilterConfig says which processes are watched: the section "filters" of the configuration.
type FilterConfig struct {
	// DefaultAction is for processes that no rule matches: "include" (also when empty) or "exclude".
	DefaultAction string `yaml:"default_action,omitempty" json:"default_action,omitempty"`
	// Rules are asked in order; the first that matches decides.
	Rules []FilterRule `yaml:"rules,omitempty" json:"rules,omitempty"`
}

// FilterRule is one rule. Match may not be left out; an empty one ("match: {}") is for every process.
type FilterRule struct {
	Action string `yaml:"action" json:"action"`
	Match  *Match `yaml:"match" json:"match"`
}

// Validate says what is wrong, led by the key's path: "filters.rules[1].match.pid[0]: …".
func (c FilterConfig) Validate() error {
	_, err := NewFilter(c)
	return err
}

// Filter is a FilterConfig made ready. It is immutable and serves any number of goroutines.
type Filter struct {
	standard    Action
	rules       []rule
	ports, late bool
}

type rule struct {
	action Action
	*Selector
}

// NewFilter makes a filter. Its errors are Validate's.
func NewFilter(c FilterConfig) (*Filter, error) {
	f := &Filter{}
	var err error
	if c.DefaultAction != "" {
		if f.standard, err = parseAction("filters.default_action", c.DefaultAction); err != nil {
			return nil, err
		}
	}
	for i, r := range c.Rules {
		path := fmt.Sprintf("filters.rules[%d]", i)
		action, err := parseAction(path+".action", r.Action)
		if err != nil {
			return nil, err
		}
		s, err := newSelector(path+".match", r.Match)
		if err != nil {
			return nil, err
		}
		f.rules = append(f.rules, rule{action, s})
		f.ports = f.ports || s.ports != nil
		f.late = f.late || s.late
	}
	return f, nil
}

func parseAction(path, s string) (Action, error) {
	switch s {
	case "include":
		return Include, nil
	case "exclude":
		return Exclude, nil
	case "":
		return 0, fmt.Errorf("%s: is missing; want include or exclude", path)
	default:
		return 0, fmt.Errorf("%s: %q is neither include nor exclude", path, s)
	}
}

// Default is the action for processes that no rule matches.
func (f *Filter) Default() Action { return f.standard }

// Trivial tells that every process gets the default.
func (f *Filter) Trivial() bool { return len(f.rules) == 0 }

// NeedsPorts tells whether some rule asks what a process listens on: its verdict may change when it opens a listener.
func (f *Filter) NeedsPorts() bool { return f.ports }

// NeedsLabels tells whether some rule asks for what /proc does not say (pod, workload, container): a verdict may have to
// wait for it.
func (f *Filter) NeedsLabels() bool { return f.late }

// Decide judges a process that listens on these TCP ports. Toposcope's own are always excluded. It does not allocate.
func (f *Filter) Decide(r *Resource, listening []uint16) Action {
	a, _ := f.decide(r, r.PID, listening)
	return a
}

// Explain is Decide, and the index of the rule that decided, -1 for the default.
func (f *Filter) Explain(r *Resource, listening []uint16) (Action, int) {
	return f.decide(r, r.PID, listening)
}

// decide judges a process that was forked from the one numbered origin.
func (f *Filter) decide(r *Resource, origin uint32, listening []uint16) (Action, int) {
	if r.Self {
		return Exclude, -1
	}
	for i := range f.rules {
		if f.rules[i].selects(r, origin, listening) {
			return f.rules[i].action, i
		}
	}
	return f.standard, -1
}
