// Package subject runs the program that is measured: toposcope, as a process of its own, on a free port and data of its own.
package subject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds the wait until it is ready.
const startTimeout = 30 * time.Second

// Config says what to run.
type Config struct {
	// Program is the path of toposcope.
	Program string
	// Dir is where its data, its configuration and its log go; started on a folder that has data, it goes on with them.
	Dir string
	// Settings is the configuration file's text.
	Settings string
	// Flags come after those that Start needs.
	Flags []string
}

// Subject is a running toposcope.
type Subject struct {
	// Address is where it serves, host:port.
	Address string
	cmd     *exec.Cmd
	log     string
}

// Start starts toposcope and returns when it is ready.
func Start(ctx context.Context, c Config) (*Subject, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	s := &Subject{Address: address, log: filepath.Join(c.Dir, "log")}
	config := filepath.Join(c.Dir, "toposcope.yaml")
	if err := os.WriteFile(config, []byte(c.Settings), 0o644); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.CommandContext(ctx, c.Program, append([]string{
		"run", "--web.listen-address=" + s.Address,
		"--storage.tsdb.path=" + filepath.Join(c.Dir, "tsdb"), "--config.file=" + config,
	}, c.Flags...)...)
	s.cmd.Stderr, s.cmd.Stdout = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err = s.Get("/-/ready"); err == nil {
			return s, nil
		}
	}
	s.Stop()
	return nil, fmt.Errorf("toposcope is not ready: %w\n%s", err, s.Log())
}

// FreeAddress is a port of loopback that nobody listens at.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// PID is the process's.
func (s *Subject) PID() int { return s.cmd.Process.Pid }

// Log is what it has logged.
func (s *Subject) Log() string {
	text, _ := os.ReadFile(s.log)
	return string(text)
}

// Stop ends it as an operator does.
func (s *Subject) Stop() { s.end(syscall.SIGTERM) }

// Kill ends it at once.
func (s *Subject) Kill() { s.end(syscall.SIGKILL) }

func (s *Subject) end(how syscall.Signal) {
	_ = s.Signal(how)
	_ = s.cmd.Wait() // ended by a signal: that is no error here
}

// Signal sends it a signal.
func (s *Subject) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

// Get asks for a path and returns the body; a status other than 200 is an error.
func (s *Subject) Get(path string) (string, error) {
	resp, err := http.Get("http://" + s.Address + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// Metrics reads /metrics.
func (s *Subject) Metrics() (Metrics, error) {
	text, err := s.Get("/metrics")
	return Metrics(text), err
}

// Metrics is what /metrics says, in Prometheus's text format.
type Metrics string

// Sum is the sum of the series called name that have all the labels, each as in the text: key="value".
func (m Metrics) Sum(name string, labels ...string) (sum float64) {
	for line := range strings.Lines(string(m)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != '{' && rest[0] != ' ' || !hasAll(rest, labels) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
		if err == nil {
			sum += v
		}
	}
	return sum
}

// Series is how many there are of each name.
func (m Metrics) Series() map[string]int {
	series := map[string]int{}
	for line := range strings.Lines(string(m)) {
		if !strings.HasPrefix(line, "#") {
			series[line[:strings.IndexAny(line, "{ ")]]++
		}
	}
	return series
}

func hasAll(series string, labels []string) bool {
	for _, l := range labels {
		if !strings.Contains(series, "{"+l) && !strings.Contains(series, ","+l) {
			return false
		}
	}
	return true
}
