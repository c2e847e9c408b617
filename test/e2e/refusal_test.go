package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refusal is a way to start Toposcope that must end at once, with one line that says what to do.
type refusal struct {
	name   string
	config string
	args   []string
	// prepare changes the command, and may take from the host what Toposcope needs.
	prepare func(t *testing.T, cmd *exec.Cmd, data string)
	code    int
	message string // a regular expression
}

var refusals = []refusal{
	{name: "unknown key", config: "capture: {methods: auto}\n", code: 1, message: `toposcope\.yaml.*\b1\b.*methods`},
	{name: "unknown key below another", config: "global:\n  scrape_interval: 1s\n  scrape_intervall: 1s\n", code: 1, message: `toposcope\.yaml.*\b3\b.*scrape_intervall`},
	{name: "wrong type", config: "limits: {series: many}\n", code: 1, message: `toposcope\.yaml.*\b1\b.*many`},
	{name: "wrong value", config: "capture: {method: magic}\n", code: 1, message: `toposcope\.yaml.*magic.*(auto|tracepoint)`},
	{name: "no YAML", config: "{\n", code: 1, message: `toposcope\.yaml`},
	{name: "no such config", args: []string{"--config.file=/nowhere/toposcope.yaml"}, code: 1, message: `/nowhere/toposcope\.yaml.*no such file`},
	{name: "unknown flag", args: []string{"--no-such-flag"}, code: 2, message: `no-such-flag`},
	{name: "bad address", args: []string{"--web.listen-address=nowhere"}, code: 1, message: `nowhere`},
	{name: "port taken", prepare: takePort, code: 1, message: `127\.0\.0\.1:\d+ is taken.*--web\.listen-address`},
	{name: "not root", prepare: becomeNobody, code: 1, message: `(?i)root|CAP_BPF`},
	{name: "read-only data folder", prepare: mountData("ro,size=1m"), code: 1, message: `read-only.*--storage\.tsdb\.path`},
	{name: "full disk", prepare: mountData("size=4k"), code: 1, message: `disk full.*--storage\.tsdb\.path`},
}

// TestRefusals: what cannot work ends at once, with the right status and one line on standard error.
func TestRefusals(t *testing.T) {
	path := requireHost(t)
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			config := filepath.Join(dir, "toposcope.yaml")
			if err := os.WriteFile(config, []byte(test.config), 0o644); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(dir, "data")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			// A flag given twice counts as the one given last.
			args := []string{"run", "--web.listen-address=" + freeAddress(t), "--storage.tsdb.path=" + data}
			if !strings.Contains(strings.Join(test.args, " "), "--config.file") {
				args = append(args, "--config.file="+config)
			}
			cmd := exec.CommandContext(ctx, path, args...)
			for _, a := range test.args {
				replaceFlag(cmd, a)
			}
			if test.prepare != nil {
				test.prepare(t, cmd, data)
			}
			var stderr strings.Builder
			cmd.Stderr = &stderr
			_ = cmd.Run()
			if ctx.Err() != nil {
				t.Fatalf("toposcope runs on\n%s", stderr.String())
			}
			checkRefusal(t, test, cmd.ProcessState.ExitCode(), stderr.String())
		})
	}
}

// replaceFlag sets a flag in place of its earlier value.
func replaceFlag(cmd *exec.Cmd, arg string) {
	name, _, _ := strings.Cut(arg, "=")
	for i, a := range cmd.Args {
		if strings.HasPrefix(a, name+"=") {
			cmd.Args[i] = arg
			return
		}
	}
	cmd.Args = append(cmd.Args, arg)
}

func checkRefusal(t *testing.T, test refusal, code int, stderr string) {
	t.Helper()
	if code != test.code {
		t.Errorf("status %d, want %d", code, test.code)
	}
	// What is logged on the way (level=info …) is not the reason, which stands alone and last.
	var reasons []string
	for _, line := range lines(stderr) {
		if !strings.Contains(line, "level=") {
			reasons = append(reasons, line)
		}
	}
	if len(reasons) != 1 {
		t.Errorf("want the reason on one line, got:\n%s", stderr)
	}
	if !regexp.MustCompile(test.message).MatchString(strings.Join(reasons, " ")) {
		t.Errorf("want a reason like %s, got:\n%s", test.message, stderr)
	}
}

func takePort(t *testing.T, cmd *exec.Cmd, _ string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	replaceFlag(cmd, "--web.listen-address="+l.Addr().String())
}

func becomeNobody(t *testing.T, cmd *exec.Cmd, data string) {
	t.Helper()
	const nobody = 65534
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	// The program where nobody may reach it: the working tree may lie in a closed home.
	program, err := os.ReadFile(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = filepath.Join(tools, "toposcope")
	if err := os.WriteFile(cmd.Path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	// t.TempDir makes its parents for their owner alone.
	for dir := filepath.Dir(data); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// mountData mounts a tmpfs with these options as the data folder.
func mountData(options string) func(t *testing.T, cmd *exec.Cmd, data string) {
	return func(t *testing.T, _ *exec.Cmd, data string) {
		t.Helper()
		if err := os.Mkdir(data, 0o755); err != nil {
			t.Fatal(err)
		}
		var flags uintptr
		if rest, ok := strings.CutPrefix(options, "ro,"); ok {
			flags, options = syscall.MS_RDONLY, rest
		}
		if err := syscall.Mount("tmpfs", data, "tmpfs", flags, options); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(data, 0); err != nil {
				t.Error(err)
			}
		})
	}
}
