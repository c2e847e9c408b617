package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	long    = flag.Bool("long", false, "run the load of 10,000 requests/s for 20 s, five times, and stop listeners for 10 s")
	methods = flag.String("methods", "tracepoint,syscall", "ways of capture to test")
)

var (
	// tools is where TestMain has built our load generators and servers.
	tools string
	// namespace is the service namespace of all that the tests start, so that two runs on one host do not count each other's.
	namespace = fmt.Sprintf("e2e-%d", os.Getpid())
)

// nginxName is the service name of every nginx here: its workers have no environment to read another from.
const nginxName = "nginx"

// namespaceOf is the service namespace of a service that a test has started.
func namespaceOf(service string) string {
	if service == nginxName {
		return ""
	}
	return namespace
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Tests run the binary as nobody also.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tools = dir
	if err := os.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace="+namespace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", dir+"/", "../load/httpload", "../load/httpserve", "../load/grpcload", "../load/grpcserve",
		"../load/resolve", "../load/coredns", "../load/dbload", "../load/mongoserve", "../load/kafkaserve")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the load generators: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// binary is the path of a program of this repository.
func binary(name, override string) (string, error) {
	if path := os.Getenv(override); path != "" {
		return path, nil
	}
	path, err := filepath.Abs("../../bin/" + name)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(path)
	return path, err
}

// requireHost skips t where it cannot run: without root, the binary, or a program that it needs.
func requireHost(t *testing.T, programs ...string) string {
	t.Helper()
	var missing []error
	if os.Geteuid() != 0 {
		missing = append(missing, errors.New("not root"))
	}
	path, err := binary("toposcope", "TOPOSCOPE_BIN")
	if err != nil {
		missing = append(missing, fmt.Errorf("make build: %w", err))
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, err)
		}
	}
	if err := errors.Join(missing...); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// requireFile skips t where a file is missing that remedy makes.
func requireFile(t *testing.T, path, remedy string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: %s", err, remedy)
		}
		t.Skipf("%v: %s", err, remedy)
	}
}

// forEachMethod runs test by every way of capture that is to be tested.
func forEachMethod(t *testing.T, test func(t *testing.T, method string)) {
	for method := range strings.SplitSeq(*methods, ",") {
		t.Run(method, func(t *testing.T) { test(t, method) })
	}
}

// bestMethod runs test by the first of these ways, and with -long by all: what follows capture is the same whichever brought the bytes.
func bestMethod(t *testing.T, test func(t *testing.T, method string)) {
	if *long {
		forEachMethod(t, test)
		return
	}
	method, _, _ := strings.Cut(*methods, ",")
	t.Run(method, func(t *testing.T) { test(t, method) })
}

// settle bounds the wait for what was sent to show: a scrape interval of 1 s and a busy machine.
const settle = 10 * time.Second

// eventually waits until check says nil.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", within, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
