package kernels_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/kernels"
)

// guestLimit is for all that is done in one guest. Emulated code runs 10 to 30 times slower than the host's.
const guestLimit = 20 * time.Minute

// guest is one that has ended.
type guest struct {
	kernels.Result
	reports map[string]kernels.Report
}

// guestJob is one with the guest program, Toposcope, the demo's servers and the BPF objects; Cmd is left to the caller.
func guestJob(t *testing.T, k kernels.Kernel) kernels.Job {
	t.Helper()
	job := kernels.Job{Timeout: guestLimit, Files: map[string]string{"/job/bpf": filepath.Join("..", "..", "bpf")}}
	job.Binaries = []string{buildGuest(t, k.Arch), built(t, "toposcope", k.Arch)}
	if k.Protocols == nil {
		job.Binaries = append(job.Binaries, built(t, "toposcope-demo", k.Arch))
	}
	return job
}

// driveFlags are those of the guest program's commands that drive Toposcope on a kernel.
func driveFlags(k kernels.Kernel) []string {
	flags := []string{"-toposcope", kernels.GuestPath("toposcope")}
	if k.Protocols != nil {
		return append(flags, "-only", strings.Join(k.Protocols, ","))
	}
	return append(flags, "-demo", kernels.GuestPath("toposcope-demo"))
}

// runJob boots the kernel. What this host lacks skips the test. The guest's whole console goes to the test's artifacts, and into
// the log if the test fails.
func runJob(t *testing.T, k kernels.Kernel, job kernels.Job) guest {
	t.Helper()
	console, err := os.Create(filepath.Join(t.ArtifactDir(), "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	job.Trace = console
	res, err := kernels.Run(t.Context(), k, job)
	if errors.Is(err, kernels.ErrUnavailable) {
		missing(t, err.Error())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console of the guest:\n%s", res.Console)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: boot %.1f s, whole %.1f s", res.Release, res.Boot.Seconds(), res.Whole.Seconds())
	g := guest{Result: res, reports: map[string]kernels.Report{}}
	for _, raw := range res.Results {
		var rep kernels.Report
		if err := json.Unmarshal(raw, &rep); err != nil {
			t.Fatalf("reading a report: %v", err)
		}
		g.reports[rep.Name] = rep
	}
	return g
}

func (g guest) report(t *testing.T, name string) kernels.Report {
	t.Helper()
	rep, ok := g.reports[name]
	if !ok {
		t.Fatalf("no report %q", name)
	}
	return rep
}

// end keeps the proof with -write, if all of it holds and none of its outcomes was left out by -run.
func (g guest) end(t *testing.T, key string, proof kernels.Proof, outcomes int) {
	t.Helper()
	if g.Status != 0 {
		t.Errorf("the guest program ended with status %d", g.Status)
	}
	if !*write || t.Failed() || len(proof.Outcomes) != outcomes {
		return
	}
	if err := kernels.SaveProof(proofsFile, key, proof); err != nil {
		t.Fatal(err)
	}
	writePage(t)
}

// built is a static binary that the environment names, as TOPOSCOPE_BIN or TOPOSCOPE_DEMO_BIN with _ARM64 after it for that
// architecture, else the one that "make build" leaves in bin, or in bin/arm64.
func built(t *testing.T, name, arch string) string {
	t.Helper()
	variable, folder := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_BIN", filepath.Join("..", "..", "bin")
	if arch != "amd64" {
		variable, folder = variable+"_"+strings.ToUpper(arch), filepath.Join(folder, arch)
	}
	bin := os.Getenv(variable)
	if bin == "" {
		bin = filepath.Join(folder, name)
	}
	if _, err := os.Stat(bin); err != nil {
		missing(t, fmt.Sprintf("no %s for %s (make build, or make test-kernels for arm64; or set %s): %v", name, arch, variable, err))
	}
	if filepath.Base(bin) != name {
		t.Fatalf("%s names %s: the guest looks for a file of the name %s", variable, bin, name)
	}
	return bin
}

// missing skips a test for what this host lacks; in CI that is a failure.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func buildGuest(t *testing.T, arch string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "guest")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the guest program: %v\n%s", err, out)
	}
	return bin
}
