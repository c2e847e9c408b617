package route

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func service(t testing.TB, o Options) *Service {
	t.Helper()
	templates, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return templates.Service("shop")
}

func TestTemplates(t *testing.T) {
	data, err := os.ReadFile("testdata/templates.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 2 || f[0] == "#" {
			continue
		}
		rows++
		s := service(t, Options{})
		for range 2 { // new, and known
			if got := s.Template([]byte(f[0])); got != f[1] {
				t.Errorf("%s is %s, want %s", f[0], got, f[1])
			}
		}
	}
	if rows < 80 {
		t.Errorf("%d rows", rows)
	}
}

// TestStrangePaths has paths that can't be written into a text file.
func TestStrangePaths(t *testing.T) {
	for path, want := range map[string]string{
		"":                                  "/",
		"/\xff\xfe":                         "/{param}",
		"/a\x00b":                           "/{param}",
		"/a b":                              "/{param}",
		"/a\nb/c":                           "/{param}/c",
		"/\"quoted\"":                       "/{param}",
		"/" + strings.Repeat("x", 65):       "/{param}",
		"/" + strings.Repeat("x", 5000):     "/*",
		"/" + strings.Repeat("a/", 5000):    "/a/a/a/a/a/a/a/a/a/a/*",
		"/" + strings.Repeat("/", 5000):     "/*",
		"/users/" + strings.Repeat("7", 60): "/users/{id}",
		"/%":                                "/{param}",
		"/%4":                               "/{param}",
		"?":                                 "/",
		"://":                               "/",
		"http://":                           "/",
		"\xff":                              "{authority}",
	} {
		if got := service(t, Options{}).Template([]byte(path)); got != want {
			t.Errorf("%.40q is %q, want %q", path, got, want)
		}
	}
}

// TestFanout has a position turn from names to values, once.
func TestFanout(t *testing.T) {
	s := service(t, Options{Fanout: 10})
	for range keepHits {
		s.Template([]byte("/users/me"))
	}
	for i := range 9 {
		if got := s.Template(fmt.Appendf(nil, "/users/%s", nth(i))); got != "/users/"+nth(i) {
			t.Fatalf("name %d is %s", i, got)
		}
	}
	if s.routes != 10 {
		t.Errorf("%d routes, want 10", s.routes)
	}
	for i := 9; i < 200; i++ {
		if got := s.Template(fmt.Appendf(nil, "/users/%s", nth(i))); got != "/users/{param}" {
			t.Fatalf("name %d is %s", i, got)
		}
	}
	for i := range 9 {
		if got := s.Template(fmt.Appendf(nil, "/users/%s", nth(i))); got != "/users/{param}" {
			t.Errorf("rare name %d is %s", i, got)
		}
	}
	if got := s.Template([]byte("/users/me")); got != "/users/me" {
		t.Errorf("a name that came often is %s", got)
	}
	if got := s.Template([]byte("/carts/me")); got != "/carts/me" {
		t.Errorf("another position is %s", got)
	}
	if s.routes != 3 {
		t.Errorf("%d routes, want /users/me, /users/{param} and /carts/me", s.routes)
	}
}

// nth is a name that looks like one.
func nth(i int) string {
	return string([]byte{'a' + byte(i/676%26), 'a' + byte(i/26%26), 'a' + byte(i%26)})
}

// TestFanoutBelow merges what is under the names that turn into values.
func TestFanoutBelow(t *testing.T) {
	s := service(t, Options{Fanout: 10})
	for i := range 30 {
		s.Template(fmt.Appendf(nil, "/users/%s/orders/%d", nth(i), i))
		s.Template(fmt.Appendf(nil, "/users/%s/carts", nth(i)))
	}
	for path, want := range map[string]string{
		"/users/" + nth(0) + "/orders/7":  "/users/{param}/orders/{id}",
		"/users/" + nth(29) + "/orders/7": "/users/{param}/orders/{id}",
		"/users/" + nth(3) + "/carts":     "/users/{param}/carts",
	} {
		if got := s.Template([]byte(path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if s.routes != 2 || s.root.count() != 2 {
		t.Errorf("%d routes, %d in the tree; want 2", s.routes, s.root.count())
	}
}

// TestStable changes no path's template more than once per segment, whatever comes.
func TestStable(t *testing.T) {
	s := service(t, Options{Fanout: 5, Max: 40})
	last, changes := map[string]string{}, map[string]int{}
	for round := range 5 {
		for i := range 400 {
			path := fmt.Sprintf("/%s/%s/%s", nth(i%7), nth(i*31%97), nth(i*17%53+round))
			got := s.Template([]byte(path))
			if was, ok := last[path]; ok && was != got {
				changes[path]++
				if strings.Count(got, "{param}") <= strings.Count(was, "{param}") && was != Other {
					t.Fatalf("%s went from %s to %s", path, was, got)
				}
			}
			last[path] = got
		}
	}
	for path, n := range changes {
		if n > 3 {
			t.Errorf("%s changed %d times", path, n)
		}
	}
	if s.routes > 40 || s.routes != s.root.count() {
		t.Errorf("%d routes, %d in the tree", s.routes, s.root.count())
	}
}

func TestMax(t *testing.T) {
	templates, err := New(Options{Max: 5})
	if err != nil {
		t.Fatal(err)
	}
	s := templates.Service("shop")
	for i := range 5 {
		s.Template([]byte("/" + nth(i)))
	}
	for range 3 {
		if got := s.Template([]byte("/more")); got != Other {
			t.Errorf("one too many is %s", got)
		}
	}
	if got := s.Template([]byte("/" + nth(2))); got != "/"+nth(2) {
		t.Errorf("a known one is %s", got)
	}
	if templates.Overflowed() != 3 {
		t.Errorf("%d overflowed, want 3", templates.Overflowed())
	}
	if got := templates.Service("cart").Template([]byte("/more")); got != "/more" {
		t.Errorf("another service has %s", got)
	}
}

// TestPressure gives up the position with the most rare names rather than the next route.
func TestPressure(t *testing.T) {
	s := service(t, Options{Max: 20})
	for i := range 15 {
		s.Template([]byte("/people/" + nth(i)))
	}
	for i := range 15 {
		if got := s.Template([]byte("/" + nth(i) + "/list")); got != "/"+nth(i)+"/list" {
			t.Errorf("route %d is %s", i, got)
		}
	}
	if got := s.Template([]byte("/people/" + nth(0))); got != "/people/{param}" {
		t.Errorf("people are %s", got)
	}
}

func TestPatterns(t *testing.T) {
	o := Options{Rules: []Rule{
		{Service: "cart*", Patterns: []string{"/never"}},
		{Service: "sh?p", Patterns: []string{"/users/:id", "/users/me", "/items/*", "/items/:id/price", "/files/{name}/raw", "/deep/:a/:b/*"}},
		{Patterns: []string{"/all/:x", "/"}},
	}}
	s := service(t, o)
	for path, want := range map[string]string{
		"/users/jane":            "/users/{id}",
		"/users/jane?x=1":        "/users/{id}",
		"/users/me":              "/users/me",
		"/users/caf%C3%A9":       "/users/{id}",
		"/users/jane/x":          "/users/jane/x",
		"/users":                 "/users",
		"/items/a/b/c":           "/items/*",
		"/items/7/price":         "/items/{id}/price",
		"/items/7/price/history": "/items/*",
		"/items":                 "/items/*",
		"/files/x/raw":           "/files/{name}/raw",
		"/files/x/y":             "/files/x/y",
		"/deep/1/2/3/4":          "/deep/{a}/{b}/*",
		"/deep/1":                "/deep/{id}",
		"/never":                 "/never",
		"/all/things":            "/all/{x}",
		"/":                      "/",
	} {
		if got := s.Template([]byte(path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestBadRules(t *testing.T) {
	for _, r := range []Rule{
		{Service: "[", Patterns: []string{"/a"}},
		{Patterns: []string{"a"}},
		{Patterns: []string{""}},
		{Patterns: []string{"/*/a"}},
		{Patterns: []string{"/a*"}},
	} {
		if _, err := New(Options{Rules: []Rule{r}}); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

func TestConcurrent(t *testing.T) {
	templates, err := New(Options{Fanout: 10, Max: 30})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				templates.Service(nth(i % 3)).Template(fmt.Appendf(nil, "/%s/%d/%s", nth(i%40), i, nth(g*i%100)))
			}
		})
	}
	wg.Wait()
	for i := range 3 {
		if s := templates.Service(nth(i)); s.routes > 30 || s.routes != s.root.count() {
			t.Errorf("%d routes, %d in the tree", s.routes, s.root.count())
		}
	}
}

func TestNoAllocation(t *testing.T) {
	s := service(t, Options{Rules: []Rule{{Patterns: []string{"/items/:id"}}}})
	paths := [][]byte{
		[]byte("/users/123/orders/550e8400-e29b-41d4-a716-446655440000?x=1"), []byte("/static/app.3f2a9c1b.js"),
		[]byte("/items/x"), []byte("/"), bytes.Repeat([]byte("/a"), 2000),
	}
	for _, p := range paths {
		s.Template(p)
		if n := testing.AllocsPerRun(100, func() { s.Template(p) }); n != 0 {
			t.Errorf("%.40s: %g allocations", p, n)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add([]byte("/users/123"), []byte("http://a/b%20c"))
	f.Add([]byte("/\xff/;/..//"), []byte("*"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s := service(t, Options{Fanout: 3, Max: 5})
		first := s.Template(a)
		for range 2 {
			s.Template(b)
			for _, got := range []string{first, s.Template(a), s.Template(append(append([]byte{}, a...), b...))} {
				if !utf8.ValidString(got) || got == "" || len(got) > maxPath+64 {
					t.Fatalf("%q", got)
				}
				for _, c := range []byte(got) {
					if c <= ' ' || c >= 0x7f {
						t.Fatalf("%q is not printable", got)
					}
				}
			}
		}
		if s.routes > 5 || s.routes != s.root.count() {
			t.Fatalf("%d routes, %d in the tree", s.routes, s.root.count())
		}
	})
}

func BenchmarkTemplate(b *testing.B) {
	s := service(b, Options{})
	path := []byte("/api/v1/users/12345/orders")
	b.ReportAllocs()
	for b.Loop() {
		s.Template(path)
	}
}
