package labeler

import (
	"fmt"
	"path"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, yes, no string // blanks part the subjects; "''" is the empty one
	}{
		{"nginx", "nginx", "nginx2 anginx '' Nginx"},
		{"*", "'' a a/b/c", ""},
		{"**", "'' a", ""},
		{"?", "a ä", "'' ab"},
		{"nginx*", "nginx nginx.service", "anginx '' ngin"},
		{"*.service", ".service nginx.service", "nginx.services service"},
		{"/usr/bin/*", "/usr/bin/ /usr/bin/a /usr/bin/a/b", "/usr/bin /usr/sbin/a"},
		{"a*a", "aa aba", "a ab"},
		{"*check*out*", "checkout a-check-b-out-c", "outcheck check"},
		{"a?c*", "abc aäc abcd", "ac abd"},
		{"*?b", "ab cäb", "b a"},
		{"*a?c*", "abc xaycz aabc", "ac abdc"},
		{"??*??", "abcd abcde äöüß", "abc"},
		{"[a]", "[a]", "a"},
		{`\*`, `\ \x`, "*"},
		{"*a*a*a*a*b", "aaaab xaxaxaxab", "aaaaa aaab"},
	} {
		g, err := compileGlob(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for want, subjects := range map[bool]string{true: c.yes, false: c.no} {
			for s := range strings.FieldsSeq(subjects) {
				if s == "''" {
					s = ""
				}
				if got := g.match(s); got != want {
					t.Errorf("%q on %q: %v", c.pattern, s, got)
				}
			}
		}
	}
}

// Without "?", path.Match agrees where there is no slash; it is exponential in nothing, but slow on hostile patterns.
func FuzzGlob(f *testing.F) {
	f.Add("*a*a*a*a*b", strings.Repeat("a", 100))
	f.Add("a?c*", "abc")
	f.Add("*?*", "\xff")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		g, err := compileGlob(pattern)
		if err != nil {
			return
		}
		got := g.match(s)
		if strings.ContainsAny(pattern, `\[`) || strings.Contains(s, "/") || len(pattern) > 20 || len(s) > 100 {
			return
		}
		if want, err := path.Match(pattern, s); err == nil && want != got {
			t.Errorf("%q on %q: %v, path.Match says %v", pattern, s, got, want)
		}
	})
}

func BenchmarkHostileGlob(b *testing.B) {
	g, err := compileGlob(strings.Repeat("*a?", 80) + "b*")
	if err != nil {
		b.Fatal(err)
	}
	s := strings.Repeat("a", maxSubject)
	for b.Loop() {
		if g.match(s) {
			b.Fatal("matched")
		}
	}
}

var cart = Resource{
	Name: "cart", Namespace: "shop", PID: 42, Executable: "java", ExecutablePath: "/usr/bin/java", Command: "java-main",
	Unit: "cart.service", ContainerID: "0123456789abcdef", ContainerName: "shop_cart_1",
}

var pod = Resource{
	Name: "web", Namespace: "other", PID: 43, Executable: "nginx", ExecutablePath: "/usr/sbin/nginx", Command: "nginx",
	K8sNamespace: "shop", K8sPod: "web-5d4c-x2x", K8sContainer: "main", K8sWorkload: "web",
	PodLabels: map[string]string{"app": "web", "tier": "front"}, PodAnnotations: map[string]string{"watch": "yes"},
}

func TestSelector(t *testing.T) {
	for _, c := range []struct {
		match     Match
		cart, pod bool // cart listens on 80 and 8080, pod on nothing
	}{
		{Match{}, true, true},
		{Match{Namespace: "shop"}, true, true},
		{Match{Namespace: "other"}, false, false},
		{Match{Pod: "web-*"}, false, true},
		{Match{Pod: "*"}, false, true},
		{Match{PodLabels: map[string]string{"app": "w?b", "tier": "*"}}, false, true},
		{Match{PodLabels: map[string]string{"app": "web", "zone": "*"}}, false, false},
		{Match{PodAnnotations: map[string]string{"watch": "yes"}}, false, true},
		{Match{Container: "main"}, false, true},
		{Match{Container: "shop_*"}, true, false},
		{Match{Container: "0123*"}, true, false},
		{Match{Workload: "web"}, false, true},
		{Match{SystemdUnit: "cart.service"}, true, false},
		{Match{SystemdUnit: "*"}, true, false},
		{Match{Executable: "/usr/bin/*"}, true, false},
		{Match{Executable: "java"}, false, false},
		{Match{Process: "java"}, true, false},
		{Match{Process: "java-*"}, true, false},
		{Match{Service: "cart"}, true, false},
		{Match{PID: []int{7, 42}}, true, false},
		{Match{PID: []int{7}}, false, false},
		{Match{Port: []int{9090, 8080}}, true, false},
		{Match{Port: []int{81}}, false, false},
		{Match{Service: "cart", Process: "java", Port: []int{80}}, true, false},
		{Match{Service: "cart", Process: "node"}, false, false},
	} {
		s, err := NewSelector(&c.match)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Selects(&cart, []uint16{80, 8080}); got != c.cart {
			t.Errorf("%+v on cart: %v", c.match, got)
		}
		if got := s.Selects(&pod, nil); got != c.pod {
			t.Errorf("%+v on pod: %v", c.match, got)
		}
	}
}

func TestFilterDecides(t *testing.T) {
	f, err := NewFilter(FilterConfig{DefaultAction: "exclude", Rules: []FilterRule{
		{"exclude", &Match{Process: "java", Port: []int{8081}}},
		{"include", &Match{Process: "java"}},
		{"exclude", &Match{Process: "j*"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	self := Resource{Executable: "java", Self: true}
	for _, c := range []struct {
		r      *Resource
		ports  []uint16
		action Action
		rule   int
	}{
		{&cart, nil, Include, 1},
		{&cart, []uint16{8081}, Exclude, 0},
		{&pod, nil, Exclude, -1},
		{&self, nil, Exclude, -1},
	} {
		if a, rule := f.Explain(c.r, c.ports); a != c.action || rule != c.rule || f.Decide(c.r, c.ports) != a {
			t.Errorf("%s on %v: %v by rule %d, want %v by %d", c.r.Executable, c.ports, a, rule, c.action, c.rule)
		}
	}
	if !f.NeedsPorts() || f.NeedsLabels() || f.Trivial() || f.Default() != Exclude {
		t.Errorf("needs ports %v, labels %v, trivial %v, default %v", f.NeedsPorts(), f.NeedsLabels(), f.Trivial(), f.Default())
	}
	if f, err := NewFilter(FilterConfig{}); err != nil || f.Decide(&cart, nil) != Include || !f.Trivial() {
		t.Errorf("the empty filter: %v, %v", f, err)
	}
}

func TestFilterErrors(t *testing.T) {
	one := func(action string, m *Match) FilterConfig {
		return FilterConfig{Rules: []FilterRule{{"include", &Match{}}, {action, m}}}
	}
	long := strings.Repeat("a", maxPattern+1)
	for _, c := range []struct {
		config FilterConfig
		want   string
	}{
		{FilterConfig{DefaultAction: "deny"}, `filters.default_action: "deny" is neither include nor exclude`},
		{one("", &Match{}), "filters.rules[1].action: is missing; want include or exclude"},
		{one("include", nil), "filters.rules[1].match: is missing; write {} to match every process"},
		{one("include", &Match{PID: []int{1, 0}}), "filters.rules[1].match.pid[1]: 0 is not between 1 and 4194304"},
		{one("include", &Match{Port: []int{70000}}), "filters.rules[1].match.port[0]: 70000 is not between 1 and 65535"},
		{one("include", &Match{Pod: long}), "filters.rules[1].match.pod: the pattern has 257 bytes, 256 are allowed"},
		{one("include", &Match{Process: "a\xff"}), `filters.rules[1].match.process: the pattern "a\xff" is not UTF-8`},
		{one("include", &Match{PodLabels: map[string]string{"app": long}}), "filters.rules[1].match.pod_labels.app: the pattern has 257 bytes, 256 are allowed"},
		{one("include", &Match{PodAnnotations: map[string]string{"": "x"}}), "filters.rules[1].match.pod_annotations: a name is empty"},
	} {
		if err := c.config.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestLabels(t *testing.T) {
	rules := []LabelRule{
		{&Match{}, map[string]string{"team": "none", "tier": "bronze"}},
		{&Match{Service: "cart"}, map[string]string{"team": "payments", "cost_center": "7"}},
		{&Match{Service: "web"}, map[string]string{"team": "edge", "tier": ""}},
	}
	l, err := newLabeling(rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    *Resource
		want string
	}{
		{&cart, "[{cost_center 7} {team payments} {tier bronze}]"},
		{&pod, "[{team edge}]"},
	} {
		if got := fmt.Sprint(l.labelsOf(c.r, 0, nil)); got != c.want {
			t.Errorf("%s: %s, want %s", c.r.Name, got, c.want)
		}
	}
	if got := fmt.Sprint(LabelNames(rules)); got != "[cost_center team tier]" {
		t.Errorf("names %s", got)
	}
}

func TestLabelErrors(t *testing.T) {
	set := func(name, value string) []LabelRule {
		return []LabelRule{{&Match{}, map[string]string{name: value}}}
	}
	for _, c := range []struct {
		rules []LabelRule
		want  string
	}{
		{[]LabelRule{{nil, map[string]string{"a": "b"}}}, "labels[0].match: is missing"},
		{[]LabelRule{{&Match{Port: []int{0}}, map[string]string{"a": "b"}}}, "labels[0].match.port[0]: 0 is not between 1 and 65535"},
		{[]LabelRule{{&Match{}, nil}}, "labels[0].set: is missing"},
		{set("1st", "x"), "labels[0].set.1st: \"1st\" is no label name"},
		{set("a-b", "x"), "labels[0].set.a-b: \"a-b\" is no label name"},
		{set("", "x"), "labels[0].set.: the label name is empty"},
		{set("__name__", "x"), "labels[0].set.__name__: label names that begin with __"},
		{set("le", "x"), "labels[0].set.le: the label is one of Toposcope's own"},
		{set("service_name", "x"), "labels[0].set.service_name: the label is one of Toposcope's own"},
		{set("a", "\xff"), "labels[0].set.a: the value is not UTF-8"},
		{set("a", strings.Repeat("x", 257)), "labels[0].set.a: the value has 257 bytes"},
	} {
		if err := ValidateLabels(c.rules); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	var c FilterConfig
	for i := range 100 {
		m := &Match{Namespace: fmt.Sprintf("ns-%d", i)}
		switch i % 5 {
		case 1:
			m = &Match{Executable: fmt.Sprintf("/opt/app%d/*", i)}
		case 2:
			m = &Match{Process: fmt.Sprintf("app-%d-*", i)}
		case 3:
			m = &Match{SystemdUnit: fmt.Sprintf("*app%d.service", i)}
		case 4:
			m = &Match{Port: []int{10000 + i}}
		}
		c.Rules = append(c.Rules, FilterRule{"exclude", m})
	}
	f, err := NewFilter(c)
	if err != nil {
		b.Fatal(err)
	}
	ports := []uint16{80, 8080}
	b.ReportAllocs()
	for b.Loop() {
		if f.Decide(&cart, ports) != Include {
			b.Fatal("a rule matched")
		}
	}
}
