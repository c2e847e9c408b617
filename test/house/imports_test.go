package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/toposcope/toposcope"

// rule forbids packages to depend on others, directly or through what they import.
type rule struct {
	// who and what are patterns of import paths: "a/b" is that package, "a/b/..." it and all below it. Those that start
	// with "./" are below the module. except are of who's form and exempt.
	who    []string
	except []string
	what   []string
	// direct looks at imports alone, not at what these import.
	direct bool
	why    string
}

var rules = []rule{
	{
		who: []string{"./collector/event"}, what: []string{"./..."},
		why: "the first type of the line knows nobody after it",
	},
	{
		who: []string{"./protocol/..."}, except: []string{"./protocol/protocoltest/..."}, what: []string{"./labeler/...", "./topology/...", "./api/...", "./cmd/...", "./ui/...", "./bpf/...", "./collector/probe/...", "./collector/ring/...", "./collector/replay/..."},
		why: "a protocol sees Segments, not where they come from nor where exchanges go; topology joins protocol and labeler",
	},
	{
		who: []string{"./labeler/..."}, what: []string{"./protocol/...", "./topology/...", "./api/...", "./cmd/...", "./ui/...", "./bpf/...", "./collector/probe/...", "./collector/ring/..."},
		why: "a label is about a task, not about what it says; topology joins protocol and labeler",
	},
	{
		who: []string{"./topology/..."}, what: []string{"./api/...", "./cmd/...", "./ui/...", "./bpf/...", "./collector/probe/...", "./collector/ring/...", "./collector/replay/..."},
		why: "topology aggregates calls of any origin, for any reader",
	},
	{
		who: []string{"./api/..."}, what: []string{"./cmd/...", "./bpf/...", "./collector/probe/...", "./collector/ring/..."},
		why: "the API answers from series and graphs: it runs on a server that captures nothing",
	},
	{
		who: []string{"./collector/..."}, what: []string{"./protocol/...", "./topology/...", "./labeler/...", "./api/...", "./cmd/...", "./ui/..."},
		why: "capture knows bytes, not what they mean",
	},
	{
		who: []string{"./..."}, except: []string{"./cmd/..."}, what: []string{"./cmd/..."},
		why: "a command is wiring; nobody needs wiring but its own main",
	},
	{
		who: []string{"./..."}, except: []string{"./collector/probe/...", "./collector/ring/...", "./bpf/...", "./cmd/..."}, what: []string{"./bpf/..."},
		why: "collector/probe alone loads BPF, and ring knows the layout of its events; to all others capture is a stream of events",
	},
	{
		who: []string{"./..."}, except: []string{"./collector/probe/...", "./collector/ring/...", "./bpf/..."}, what: []string{"github.com/cilium/ebpf/..."}, direct: true,
		why: "one importer of cilium/ebpf keeps the rest free of the kernel (ring reads its buffers, bpf is generated)",
	},
	{
		who: []string{"./..."}, except: []string{"./collector/packet/...", "./collector/replay/..."}, what: []string{"github.com/google/gopacket/...", "github.com/gopacket/gopacket/..."}, direct: true,
		why: "packets are taken apart in one place, for files and for the kernel's socket filter",
	},
	{
		who: []string{"./..."}, except: []string{"./labeler/k8s/..."}, what: []string{"k8s.io/client-go/..."}, direct: true,
		why: "one importer of client-go",
	},
	{
		who: []string{"./..."}, except: []string{"./api/store/thanos/..."}, what: []string{"github.com/thanos-io/..."}, direct: true,
		why: "one importer of Thanos",
	},
	{
		who: []string{"./..."}, except: []string{"./api/store/...", "./cmd/..."}, what: []string{"github.com/prometheus/prometheus/..."}, direct: true,
		why: "the store is the one place that knows how series are kept; the graph reads them through history.Source",
	},
	{
		who: []string{"./..."}, except: []string{"./api/...", "./cmd/toposcope/..."}, what: []string{"github.com/gin-gonic/gin/..."}, direct: true,
		why: "routing is the API's affair",
	},
	{
		who: []string{"./cmd/toposcope-agent/..."}, what: []string{"github.com/thanos-io/...", "github.com/prometheus/prometheus/promql/...", "github.com/prometheus/prometheus/rules/...", "github.com/gin-gonic/..."},
		why: "the agent runs on every node and must stay small",
	},
}

// standardOnly are the packages that build on any OS from the standard library alone (and each other).
var standardOnly = []string{"./collector/event", "./protocol", "./labeler", "./topology"}

// decoders are libraries that a protocol may bring along to decode what it carries.
var decoders = []string{"golang.org/x/net/http2/hpack", "github.com/DataDog/go-sqllexer/...", "github.com/klauspost/compress/..."}

// pkg is what "go list -json" tells of a package.
type pkg struct {
	ImportPath, Dir, Doc, Name string
	Standard                   bool
	Imports, Deps              []string
	GoFiles                    []string
}

// list runs "go list" in a module of this repository.
func list(t *testing.T, dir string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Doc,Name,Standard,Imports,Deps,GoFiles"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		// A package of npm's may hold Go code.
		if !strings.Contains(p.ImportPath, "/node_modules/") {
			packages = append(packages, p)
		}
	}
}

// matches says whether the import path is one of patterns.
func matches(importPath string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if below, ok := strings.CutPrefix(pattern, "./"); ok {
			pattern = path.Join(module, below)
		}
		if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
			return importPath == tree || strings.HasPrefix(importPath, tree+"/")
		}
		return importPath == pattern
	})
}

// TestImports: data flows in one direction, and so do imports.
func TestImports(t *testing.T) {
	packages := list(t, "../..", "./...")
	if len(packages) == 0 {
		t.Fatal("no packages")
	}
	for _, r := range rules {
		for _, p := range packages {
			if !matches(p.ImportPath, r.who) || matches(p.ImportPath, r.except) {
				continue
			}
			used := p.Deps
			if r.direct {
				used = p.Imports
			}
			for _, u := range used {
				if u != p.ImportPath && matches(u, r.what) {
					t.Errorf("%s depends on %s: %s", p.ImportPath, u, r.why)
				}
			}
		}
	}
}

// TestStandardLibraryOnly: the types and cores need nothing but Go.
func TestStandardLibraryOnly(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range list(t, "../..", "-deps", "./...") {
		standard[p.ImportPath] = p.Standard
	}
	for _, p := range list(t, "../..", "./...") {
		own := matches(p.ImportPath, standardOnly)
		protocol := matches(p.ImportPath, []string{"./protocol/..."})
		if !own && !protocol {
			continue
		}
		for _, dep := range p.Deps {
			if standard[dep] || strings.HasPrefix(dep, module+"/") || !own && matches(dep, decoders) {
				continue
			}
			t.Errorf("%s depends on %s: it must build from the standard library, on any OS", p.ImportPath, dep)
		}
	}
}
