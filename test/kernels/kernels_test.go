package kernels_test

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/kernels"
)

// write makes the tests keep what they prove.
var write = flag.Bool("write", false, "keep what is proven in testdata, and in docs/kernels.md")

// TestMatrix boots each kernel once; with -short the default one alone. In it the guest program loads every BPF program, proves the
// hooks that capture stands on, and drives the built Toposcope by each way.
func TestMatrix(t *testing.T) {
	for _, k := range kernels.All() {
		t.Run(k.Name, func(t *testing.T) {
			if testing.Short() && k.Name != kernels.Default {
				t.Skip("-short")
			}
			testKernel(t, k)
		})
	}
}

func testKernel(t *testing.T, k kernels.Kernel) {
	job := guestJob(t, k)
	job.Cmd = []string{"sh", "-c", `guest programs -objects /job/bpf; exec "$@"`, "sh", "guest", "all", "-ways", strings.Join(k.Ways, ",")}
	job.Cmd = append(job.Cmd, driveFlags(k)...)
	g := runJob(t, k, job)
	proof := kernels.Proof{Release: g.Release}
	t.Run("programs", func(t *testing.T) { proof.Programs = checkPrograms(t, k, g.report(t, "programs")) })
	for _, hook := range []string{"kprobe", "kretprobe", "fentry", "fexit", "syscall"} {
		t.Run("prove/"+hook, func(t *testing.T) { checkCounts(t, g.report(t, "prove "+hook)) })
	}
	for _, way := range k.Ways {
		t.Run(way, func(t *testing.T) {
			rep := g.report(t, way)
			checkOutcome(t, rep, way, "")
			proof.Outcomes = append(proof.Outcomes, kernels.NewOutcome(rep))
		})
	}
	g.end(t, k.Name, proof, len(k.Ways))
}

// TestConditions boots one kernel and tries each condition in it.
func TestConditions(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	k, err := kernels.Find(kernels.ConditionsKernel)
	if err != nil {
		t.Fatal(err)
	}
	job := guestJob(t, k)
	try := append([]string{"guest", "try", "-small", "-only", "http,dns"}, driveFlags(k)...)
	job.Cmd = []string{"sh", "-c", kernels.Script(kernels.Conditions(), try...)}
	g := runJob(t, k, job)
	proof := kernels.Proof{Release: g.Release}
	for _, c := range kernels.Conditions() {
		t.Run(strings.ReplaceAll(c.Name, " ", "_"), func(t *testing.T) {
			rep := g.report(t, c.Name)
			checkOutcome(t, rep, c.Method, c.Refuses)
			proof.Outcomes = append(proof.Outcomes, kernels.NewOutcome(rep))
			checkDoctor(t, rep, c.Refuses != "")
		})
	}
	g.end(t, kernels.ProofOfConditions, proof, len(kernels.Conditions()))
}

// checkCounts fails the test unless every count is right.
func checkCounts(t *testing.T, rep kernels.Report) {
	t.Helper()
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

// checkOutcome wants exact counts by a method; or, where refuses is not empty, exit status 1 and one line that has it in it.
func checkOutcome(t *testing.T, rep kernels.Report, method, refuses string) {
	t.Helper()
	if refuses == "" {
		checkCounts(t, rep)
		if rep.Method != method {
			t.Errorf("captured by %q, want %q", rep.Method, method)
		}
		if rep.Run != nil && rep.Run.Status != 0 {
			t.Errorf("toposcope ended with status %d: %q", rep.Run.Status, rep.Run.Stderr)
		}
		return
	}
	said := rep.Run != nil && rep.Run.Status == 1 && len(rep.Run.Stderr) == 1 && strings.Contains(rep.Run.Stderr[0], refuses)
	switch {
	case rep.Error != "":
		t.Error(rep.Error)
	case !said:
		t.Errorf("captured by %q and ended like this: %+v; want status 1 and one line with %q in it", rep.Method, rep.Run, refuses)
	}
}

// checkDoctor wants doctor to say what run does.
func checkDoctor(t *testing.T, rep kernels.Report, refused bool) {
	t.Helper()
	want := 0
	if refused {
		want = 1
	}
	if rep.Doctor == nil || rep.Doctor.Status != want {
		t.Errorf("doctor does not agree: want status %d, got %+v", want, rep.Doctor)
	}
}

// checkPrograms wants every program loaded but those that the kernel's data names. Where packets are the only
// way any may be refused.
func checkPrograms(t *testing.T, k kernels.Kernel, rep kernels.Report) []kernels.Program {
	t.Helper()
	if rep.Error != "" {
		t.Fatal(rep.Error)
	}
	if len(rep.Programs) == 0 {
		t.Fatal("no program was tried")
	}
	if !k.Hooked() {
		return rep.Programs
	}
	without := slices.Clone(k.Without)
	for _, p := range rep.Programs {
		i := slices.Index(without, p.Name)
		switch {
		case i >= 0:
			without = slices.Delete(without, i, i+1)
			if p.Error == "" {
				t.Errorf("%s: %s loads, but should not for want of its hook", p.Object, p.Name)
			}
		case p.Error != "":
			t.Errorf("%s: %s: %s", p.Object, p.Name, p.Error)
		case p.Instructions == 0:
			t.Errorf("%s: %s: the verifier's count of instructions is missing", p.Object, p.Name)
		}
	}
	if len(without) > 0 {
		t.Errorf("no object has the programs %q that this kernel is to be without", without)
	}
	return rep.Programs
}
