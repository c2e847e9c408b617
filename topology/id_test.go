package topology

import (
	"net/url"
	"path"
	"regexp"
	"testing"
)

func TestIDs(t *testing.T) {
	for id, k := range map[string]ServiceKey{
		"shop/cart":                 {"shop", "cart"},
		"cart":                      {"", "cart"},
		"10.0.0.1":                  {"", "10.0.0.1"},
		"python~20app.py":           {"", "python app.py"},
		"a~2Fb/c~2Fd":               {"a/b", "c/d"},
		"~7E":                       {"", "~"},
		"~2E~2E":                    {"", ".."},
		"fd00~3A~3A1":               {"", "fd00::1"},
		"M~C3~BCnchen":              {"", "München"},
		"kube-system/core_dns-1.11": {"kube-system", "core_dns-1.11"},
	} {
		if got := k.ID(); got != id {
			t.Errorf("id of %+v is %s, want %s", k, got, id)
		}
		if back, ok := ParseNodeID(id); !ok || back != k {
			t.Errorf("%s is %+v, %t; want %+v", id, back, ok, k)
		}
	}
}

func TestStrangeIDs(t *testing.T) {
	for _, id := range []string{"", "/", "a/", "/a", "a/b/c", "~", "~2", "~2f", "~zz", "a b", "~41", "..", "é"} {
		if k, ok := ParseNodeID(id); ok {
			t.Errorf("%q is taken for %+v", id, k)
		}
		if k, ok := ParseEdgeID("a~~" + id + "~~http"); ok {
			t.Errorf("an edge to %q is taken for %+v", id, k)
		}
	}
	for _, id := range []string{"", "a~~b", "a~~b~~c~~d", "a~b~http"} {
		if k, ok := ParseEdgeID(id); ok {
			t.Errorf("%q is taken for %+v", id, k)
		}
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("shop", "web", "", "..", "http")
	f.Add("a/b", "~~", "~", "\xff", "")
	plain := regexp.MustCompile(`^[A-Za-z0-9._~/-]*$`)
	f.Fuzz(func(t *testing.T, ns1, name1, ns2, name2, protocol string) {
		if name1 == "" || name2 == "" {
			return
		}
		k := EdgeKey{ServiceKey{ns1, name1}, ServiceKey{ns2, name2}, protocol}
		id := k.ID()
		if !plain.MatchString(id) || path.Clean("/"+id) != "/"+id || url.PathEscape(name1) == "" {
			t.Errorf("%q is not fit for a URL", id)
		}
		if back, ok := ParseEdgeID(id); !ok || back != k {
			t.Errorf("%q of %+v is %+v, %t", id, k, back, ok)
		}
		if back, ok := ParseNodeID(k.Client.ID()); !ok || back != k.Client {
			t.Errorf("%q of %+v is %+v, %t", k.Client.ID(), k.Client, back, ok)
		}
	})
}
