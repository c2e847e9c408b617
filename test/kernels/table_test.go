package kernels_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/kernels"
)

const (
	proofsFile = "testdata/proofs.json"
	pageFile   = "../../docs/kernels.md"
)

// TestTable needs no guest: what was proven must be of the kernels and conditions that the data lists, and docs/kernels.md must
// show it.
func TestTable(t *testing.T) {
	proofs, err := kernels.ReadProofs(proofsFile)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for _, k := range kernels.All() {
		want[k.Name] = k.Ways
		for _, p := range proofs[k.Name].Programs {
			if without := slices.Contains(k.Without, p.Name); k.Hooked() && without != (p.Error != "") {
				t.Errorf("%s: program %s is in testdata with error %q, in the data it is to be refused: %t", k.Name, p.Name, p.Error, without)
			}
		}
	}
	for _, c := range kernels.Conditions() {
		want[kernels.ProofOfConditions] = append(want[kernels.ProofOfConditions], c.Name)
	}
	for key, names := range want {
		if _, tried := proofs[key]; !tried && key != kernels.Default && key != kernels.ProofOfConditions {
			continue // the page says that it is not proven yet
		}
		var have []string
		for _, o := range proofs[key].Outcomes {
			have = append(have, o.Name)
		}
		if !slices.Equal(have, names) {
			t.Errorf("%s: the table has %q, the data %q", key, have, names)
		}
	}
	for key := range proofs {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: in the table and not in the data", key)
		}
	}
	text := readPage(t)
	if text != kernels.Page(text, proofs) {
		t.Error("docs/kernels.md is not what testdata says: make test-kernels makes it anew")
	}
}

func TestPageKeepsWhatIsByHand(t *testing.T) {
	proofs := map[string]kernels.Proof{kernels.Default: {Release: "6.1.0-1", Outcomes: []kernels.Outcome{{Name: "fexit"}}}}
	old := kernels.Page("# Title\n\nby hand\n", nil)
	again := kernels.Page(old, proofs)
	if !strings.HasPrefix(again, "# Title\n\nby hand\n") || !strings.Contains(again, "6.1.0-1") {
		t.Errorf("the part by hand or the new proof is missing:\n%s", again)
	}
	if twice := kernels.Page(again, proofs); twice != again {
		t.Errorf("made twice it is another page:\n%s", twice)
	}
}

func TestNewOutcome(t *testing.T) {
	ended := &kernels.Ended{Status: 1, Stderr: []string{"toposcope: no"}}
	for _, test := range []struct {
		name string
		rep  kernels.Report
		want kernels.Outcome
	}{
		{
			"counted",
			kernels.Report{Name: "kprobe", Method: "kprobe", Run: &kernels.Ended{}, Counts: []kernels.Count{
				{What: "server GET", Protocol: "http", Want: 3, Got: 3},
				{What: "server PUT", Protocol: "http", Want: 2, Got: 2},
				{What: "client GET", Want: 3, Got: 3},
				{What: "client A", Protocol: "dns", Want: 7, Got: 7},
			}},
			kernels.Outcome{Name: "kprobe", Method: "kprobe", Exchanges: map[string]uint64{"http": 5, "dns": 7}},
		},
		{"refused", kernels.Report{Name: "no BTF", Run: ended}, kernels.Outcome{Name: "no BTF", Refused: "toposcope: no"}},
		{
			"refused in two lines",
			kernels.Report{Name: "no BTF", Run: &kernels.Ended{Status: 1, Stderr: []string{"a", "b"}}},
			kernels.Outcome{Name: "no BTF"},
		},
	} {
		if got := kernels.NewOutcome(test.rep); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestPacketsAreExactAtTheServersOnly(t *testing.T) {
	rep := kernels.Report{Method: kernels.Packets, Counts: []kernels.Count{
		{What: "events lost"},
		{What: "http edge", Want: 4, Got: 1},
		{What: "http edges of the client", Want: 4, Got: 1},
		{What: "http edges of the server", Want: 4, Got: 4},
		{What: "http edge, timed by the server", Want: 4, Got: 1},
		{What: "http client GET / 200", Want: 4, Got: 1},
		{What: "http server GET / 200", Want: 4, Got: 3},
	}}
	wrong := rep.Wrong()
	if len(wrong) != 1 || wrong[0].What != "http server GET / 200" {
		t.Errorf("wrong at the servers: %v, want what the server counted alone", wrong)
	}
	rep.Method = "kprobe"
	if n := len(rep.Wrong()); n != 5 {
		t.Errorf("%d counts are wrong by kprobe, want 5", n)
	}
}

// TestScript runs the conditions' script on this host, without mount namespaces and with a program that tells how it was called.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	unshare := "#!/bin/sh\nshift\nexec \"$@\"\n" // -m is of no matter here
	if err := os.WriteFile(filepath.Join(dir, "unshare"), []byte(unshare), 0o755); err != nil {
		t.Fatal(err)
	}
	script := kernels.Script([]kernels.Condition{
		{Name: "it's plain"},
		{Name: "cannot be", Setup: "false\ntrue", Flags: []string{"-never"}},
		{Name: "`quoted`", Setup: "echo set up", Flags: []string{"-user", "65534"}},
	}, "echo", "try")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want status 1 for the condition that cannot be", err)
	}
	const want = "try -name it's plain\nset up\ntry -name `quoted` -user 65534\n"
	if string(out) != want {
		t.Errorf("the script did this:\n%swant:\n%s", out, want)
	}
}

// writePage makes docs/kernels.md anew below its part by hand.
func writePage(t *testing.T) {
	t.Helper()
	proofs, err := kernels.ReadProofs(proofsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pageFile, []byte(kernels.Page(readPage(t), proofs)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(pageFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}
