package subject

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is a process's resident memory in bytes, by what it is.
type Memory struct {
	// Rings are pages of BPF maps, ring buffers above all; a ring's pages are mapped twice, and the kernel counts them twice.
	Rings float64
	// Files are pages of files, the program's own above all.
	Files float64
	// Own is heap, stacks and the rest.
	Own float64
}

// Total is what the kernel calls resident.
func (m Memory) Total() float64 { return m.Rings + m.Files + m.Own }

// WithoutRings is Total without the pages of rings.
func (m Memory) WithoutRings() float64 { return m.Files + m.Own }

// Memory reads /proc/PID/smaps (proc_pid_smaps(5)).
func (s *Subject) Memory() (Memory, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", s.PID()))
	if err != nil {
		return Memory{}, err
	}
	defer f.Close()
	return parseSmaps(bufio.NewScanner(f))
}

func parseSmaps(lines *bufio.Scanner) (m Memory, err error) {
	into := &m.Own
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0:
		case strings.HasSuffix(fields[0], ":"):
			if fields[0] != "Rss:" || len(fields) < 2 {
				continue
			}
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				return Memory{}, fmt.Errorf("reading smaps: %w", err)
			}
			*into += kib * 1024
		case len(fields) < 6 || strings.HasPrefix(fields[5], "["): // no name, or the kernel's for a heap or a stack
			into = &m.Own
		case strings.Contains(fields[5], "bpf-map"):
			into = &m.Rings
		default:
			into = &m.Files
		}
	}
	return m, lines.Err()
}

// Wakes is how often the process's threads have gone to sleep and woken.
func (s *Subject) Wakes() (n float64) {
	for _, text := range s.threads("status") {
		_, rest, _ := strings.Cut(text, "\nvoluntary_ctxt_switches:")
		count, _, _ := strings.Cut(rest, "\n")
		v, _ := strconv.ParseFloat(strings.TrimSpace(count), 64)
		n += v
	}
	return n
}

// CPU is what the process has used so far, in seconds: the sum over its threads, which a Go program keeps.
func (s *Subject) CPU() (seconds float64) {
	for _, text := range s.threads("schedstat") {
		ns, _, _ := strings.Cut(text, " ")
		v, _ := strconv.ParseFloat(ns, 64)
		seconds += v / 1e9
	}
	return seconds
}

// threads reads a file of each thread.
func (s *Subject) threads(name string) (texts []string) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", s.PID(), name))
	if err != nil {
		return nil
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil { // else a thread that has just ended
			texts = append(texts, string(text))
		}
	}
	return texts
}
