// Command record records the captures of package golden anew, into testdata: each in a network namespace of its own, by tcpdump,
// from the servers and clients that the end-to-end tests use. It needs root. Of what it records only addresses and times differ
// from one run to the next. Its arguments are the names of captures to record; none: all.
package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/toposcope/toposcope/test/load/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "golden-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "../load/httpload", "../load/httpserve", "../load/grpcload",
		"../load/grpcserve", "../load/resolve", "../load/coredns", "../load/dbload", "../load/mongoserve", "../load/kafkaserve")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the load generators: %w", err)
	}
	for _, s := range scenarios {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], s.name) {
			continue
		}
		r := &recorder{dir: dir, name: s.name, netns: fmt.Sprintf("golden-%d-%s", os.Getpid(), s.name)}
		if err := r.record(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// recorder records one scenario.
type recorder struct {
	dir, name, netns string
	running          []*servers.Server
	waiting          *waiting
	count            int
}

func (r *recorder) record(ctx context.Context, s scenario) (err error) {
	if out, err := exec.CommandContext(ctx, "ip", "netns", "add", r.netns).CombinedOutput(); err != nil {
		return fmt.Errorf("adding a network namespace: %w: %s", err, out)
	}
	defer func() {
		for _, s := range r.running {
			s.Stop()
		}
		if out, e := exec.CommandContext(context.WithoutCancel(ctx), "ip", "netns", "del", r.netns).CombinedOutput(); e != nil && err == nil {
			err = fmt.Errorf("removing the network namespace: %w: %s", e, out)
		}
	}()
	if err := r.command(ctx, "ip", "link", "set", "lo", "up").Run(); err != nil {
		return fmt.Errorf("bringing loopback up: %w", err)
	}
	if s.before != nil {
		if err := s.before(ctx, r); err != nil {
			return err
		}
	}
	file := filepath.Join(r.dir, r.name+".pcap")
	stop, err := r.capture(ctx, file, s.device)
	if err != nil {
		return err
	}
	err = s.run(ctx, r)
	if e := stop(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return pack(file, filepath.Join("testdata", r.name+".pcap.gz"))
}

// command is a command in the namespace.
func (r *recorder) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", r.netns}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// client runs a client to its end; it need not end well: some are refused what they ask.
func (r *recorder) client(ctx context.Context, line string, more ...string) error {
	args := append(strings.Fields(line), more...)
	if path := filepath.Join(r.dir, args[0]); exists(path) {
		args[0] = path
	}
	cmd := r.command(ctx, args...)
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v: %.200s\n", line, err, out)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// server starts a server in the namespace, at port 8001 or the next, and returns its address.
func (r *recorder) server(c servers.Config) (string, error) {
	r.count++
	c.Dir = filepath.Join(r.dir, fmt.Sprintf("%s-%d", r.name, r.count))
	if err := os.Mkdir(c.Dir, 0o755); err != nil {
		return "", err
	}
	programs := map[servers.Kind]string{
		servers.Go: "httpserve", servers.GRPC: "grpcserve", servers.GRPCWeb: "grpcserve", servers.CoreDNS: "coredns",
		servers.Mongo: "mongoserve", servers.Kafka: "kafkaserve",
	}
	if c.Listen == "" {
		c.Listen = fmt.Sprintf("127.0.0.1:%d", 8000+r.count)
	}
	c.Inside = []string{"ip", "netns", "exec", r.netns}
	c.Program = filepath.Join(r.dir, programs[c.Kind])
	if c.Kind == servers.GRPCNode {
		c.Program = "../node/grpc.mjs"
	}
	s, err := servers.Start(c)
	if err != nil {
		return "", err
	}
	r.running = append(r.running, s)
	return s.Address, nil
}

// capture starts tcpdump and returns when it listens. Stop ends it once it has written what has been sent.
func (r *recorder) capture(ctx context.Context, file, device string) (stop func() error, err error) {
	cmd := r.command(ctx, "tcpdump", "-U", "-n", "-B", "65536", "-i", device, "-w", file)
	notes, err := os.Create(file + ".log")
	if err != nil {
		return nil, err
	}
	defer notes.Close()
	cmd.Stderr = notes
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file + ".log")
		if err == nil && strings.Contains(string(text), "listening on") {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("tcpdump does not listen: %s", text)
		}
	}
	return func() error {
		time.Sleep(1500 * time.Millisecond) // the last packets wait in a buffer for up to a second
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		if err := cmd.Wait(); err != nil {
			return err
		}
		text, err := os.ReadFile(file + ".log")
		if err == nil && !strings.Contains(string(text), "\n0 packets dropped by kernel") {
			err = fmt.Errorf("packets are missing: %s", text)
		}
		return err
	}, nil
}

// pack compresses a capture.
func pack(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	z, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	n, err := io.Copy(z, in)
	if err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	fmt.Printf("%s: %d bytes of packets\n", to, n)
	return out.Close()
}
