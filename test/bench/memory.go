package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory is a process's resident memory in bytes, by what it is: all that the kernel counts is all of them together.
type memory struct {
	rings float64 // pages of BPF maps, ring buffers above all; the kernel maps a ring's pages twice, and counts them twice
	files float64 // of the program's file
	own   float64 // heap, stacks and the rest
}

func (m memory) total() float64        { return m.rings + m.files + m.own }
func (m memory) withoutRings() float64 { return m.files + m.own }

// readMemory reads /proc/PID/smaps (proc_pid_smaps(5)).
func readMemory(pid int) (m memory, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return memory{}, err
	}
	defer f.Close()
	return parseSmaps(bufio.NewScanner(f))
}

func parseSmaps(lines *bufio.Scanner) (m memory, err error) {
	into := &m.own
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
				return memory{}, fmt.Errorf("reading smaps: %w", err)
			}
			*into += kib * 1024
		case len(fields) < 6 || strings.HasPrefix(fields[5], "["): // no name, or the kernel's for a heap or a stack
			into = &m.own
		case strings.Contains(fields[5], "bpf-map"):
			into = &m.rings
		default:
			into = &m.files
		}
	}
	return m, lines.Err()
}

// switches is how often the process's threads went to sleep and woke.
func switches(pid int) (n float64) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has just ended
		}
		_, rest, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
		count, _, _ := strings.Cut(rest, "\n")
		v, _ := strconv.ParseFloat(strings.TrimSpace(count), 64)
		n += v
	}
	return n
}
