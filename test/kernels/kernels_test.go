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

// ways are the ways of capture that every guest kernel must offer.
var ways = []string{"fexit", "kprobe", "syscall"}

func TestGuest510(t *testing.T) { testGuest(t, "5.10") }

func TestGuest61(t *testing.T) { testGuest(t, "6.1") }

// testGuest boots a kernel once. In it the guest program proves the hooks that capture stands on, then drives the built
// toposcope by each way.
func testGuest(t *testing.T, name string) {
	k, err := kernels.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	job := kernels.Job{Timeout: 10 * time.Minute}
	job.Binaries = []string{buildGuest(t)}
	job.Cmd = []string{"guest", "all", "-ways", strings.Join(ways, ",")}
	toposcope, toposcopeErr := builtToposcope()
	if toposcopeErr == nil {
		job.Binaries = append(job.Binaries, toposcope)
		job.Cmd = append(job.Cmd, "-toposcope", kernels.GuestPath(toposcope))
	}
	res, err := kernels.Run(t.Context(), k, job)
	if errors.Is(err, kernels.ErrUnavailable) {
		missing(t, err.Error())
	}
	keepConsole(t, res)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: boot %.1f s, whole %.1f s", res.Release, res.Boot.Seconds(), res.Whole.Seconds())
	reports := map[string]kernels.Report{}
	for _, raw := range res.Results {
		var rep kernels.Report
		if err := json.Unmarshal(raw, &rep); err != nil {
			t.Fatalf("reading a report: %v", err)
		}
		reports[rep.Name] = rep
	}
	for _, hook := range []string{"kprobe", "kretprobe", "fentry", "fexit", "syscall"} {
		t.Run("prove/"+hook, func(t *testing.T) { check(t, reports, "prove "+hook) })
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			if toposcopeErr != nil {
				missing(t, toposcopeErr.Error())
			}
			check(t, reports, way)
		})
	}
	if res.Status != 0 {
		t.Errorf("the guest program ended with status %d", res.Status)
	}
}

func check(t *testing.T, reports map[string]kernels.Report, name string) {
	rep, ok := reports[name]
	if !ok {
		t.Fatal("no report")
	}
	t.Logf("%d counts, %.1f s", len(rep.Counts), rep.Seconds)
	if rep.Error != "" {
		t.Error(rep.Error)
	} else if len(rep.Counts) == 0 {
		t.Error("nothing was counted")
	}
	for _, c := range rep.Wrong() {
		t.Error(c)
	}
	if t.Failed() {
		t.Logf("counters:\n%s", strings.Join(rep.Notes, "\n"))
	}
}

// builtToposcope is the static binary that TOPOSCOPE_BIN names, else the one that "make build" leaves.
func builtToposcope() (string, error) {
	bin := os.Getenv("TOPOSCOPE_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin", "toposcope")
	}
	if _, err := os.Stat(bin); err != nil {
		return "", fmt.Errorf("no toposcope to run (make build, or set TOPOSCOPE_BIN): %w", err)
	}
	return bin, nil
}

// missing skips a test for what this host lacks; in CI that is a failure.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// keepConsole puts the guest's whole console into the log if the test fails, and among its artifacts.
func keepConsole(t *testing.T, res kernels.Result) {
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "console.log"), res.Console, 0o644); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console of the guest:\n%s", res.Console)
		}
	})
}

func buildGuest(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "guest")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the guest program: %v\n%s", err, out)
	}
	return bin
}
