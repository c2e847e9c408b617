package kernels_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/kernels"
)

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("from the host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	res, err := runGuest(t, kernels.Job{
		Files:   map[string]string{"/etc/deep/er": filepath.Dir(file)},
		Modules: []string{"tcp_diag"},
		Dir:     "/etc/deep",
		Env:     []string{"SAID=it's $HOME"},
		Cmd: []string{"sh", "-c", `cat er/file; echo "$SAID"; echo "$0 $1"; ping -c1 -q ::1 >/dev/null && echo pinged
			grep -c _diag /proc/modules
			echo '@toposcope {"result":[1,2]}'; printf 'no line end'; exit 7`, "a  b", "*"},
		Output: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "from the host\nit's $HOME\na  b *\npinged\n2\n@toposcope {\"result\":[1,2]}\nno line end"
	if got := out.String(); got != want {
		t.Errorf("output:\n%q, want:\n%q", got, want)
	}
	if res.Status != 7 {
		t.Errorf("status %d, want 7", res.Status)
	}
	if len(res.Results) != 1 || string(res.Results[0]) != "[1,2]" {
		t.Errorf("results %s, want [1,2]", res.Results)
	}
	if !strings.HasPrefix(res.Release, "6.1.") {
		t.Errorf("release %q, want 6.1", res.Release)
	}
}

func TestRunTellsPanic(t *testing.T) {
	res, err := runGuest(t, kernels.Job{Cmd: []string{"sh", "-c", "echo c >/proc/sysrq-trigger"}})
	if err == nil || !strings.Contains(err.Error(), "without an exit status") {
		t.Errorf("error %v, want one that tells of the end without an exit status", err)
	}
	if !bytes.Contains(res.Console, []byte("sysrq triggered crash")) {
		t.Errorf("the console does not tell why:\n%s", res.Console)
	}
}

func TestRunTimeLimit(t *testing.T) {
	_, err := runGuest(t, kernels.Job{Cmd: []string{"sleep", "3600"}, Timeout: time.Second})
	if err == nil || !strings.Contains(err.Error(), "no end within 1s") {
		t.Errorf("error %v, want one that tells the limit", err)
	}
}

func TestRunRefusesDynamicProgram(t *testing.T) {
	const dynamic = "/bin/bash"
	_, err := runGuest(t, kernels.Job{Binaries: []string{dynamic}, Cmd: []string{"bash"}})
	if err == nil || !strings.Contains(err.Error(), "dynamically linked") {
		t.Errorf("error %v, want one that tells of dynamic linking", err)
	}
}

// runGuest runs a job in the default kernel.
func runGuest(t *testing.T, job kernels.Job) (kernels.Result, error) {
	t.Helper()
	k, err := kernels.Find(kernels.Default)
	if err != nil {
		t.Fatal(err)
	}
	res, err := kernels.Run(t.Context(), k, job)
	if errors.Is(err, kernels.ErrUnavailable) {
		missing(t, err.Error())
	}
	return res, err
}
