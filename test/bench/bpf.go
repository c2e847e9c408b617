package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// program is a loaded BPF program as bpftool lists it.
type program struct {
	ID       int     `json:"id"`
	Name     string  `json:"name"`
	RunTime  float64 `json:"run_time_ns"`
	RunCount float64 `json:"run_cnt"`
}

func listPrograms(ctx context.Context) (map[int]program, error) {
	text, err := exec.CommandContext(ctx, "bpftool", "prog", "show", "-j").Output()
	if err != nil {
		return nil, fmt.Errorf("bpftool prog show: %w", err)
	}
	return parsePrograms(text)
}

func parsePrograms(text []byte) (map[int]program, error) {
	var list []program
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("decoding bpftool's list: %w", err)
	}
	programs := map[int]program{}
	for _, p := range list {
		programs[p.ID] = p
	}
	return programs, nil
}

// newer are the programs of now that have run and are not among before, the most costly first.
func newer(before, now map[int]program) []program {
	var programs []program
	for id, p := range now {
		if _, ok := before[id]; !ok && p.RunCount > 0 {
			programs = append(programs, p)
		}
	}
	slices.SortFunc(programs, func(a, b program) int { return cmp.Compare(b.RunTime, a.RunTime) })
	return programs
}

// perRequest is what all programs took of a request, in seconds.
func perRequest(programs []program, requests float64) (seconds float64) {
	for _, p := range programs {
		seconds += p.RunTime / 1e9
	}
	return seconds / requests
}

// statsSwitch makes the kernel time its programs. That costs something itself, so it is off while pairs are measured.
const statsSwitch = "/proc/sys/kernel/bpf_stats_enabled"

// measurePrograms runs the load once with the kernel's own timing on.
func (b *bench) measurePrograms(ctx context.Context) ([]program, float64, error) {
	was, err := os.ReadFile(statsSwitch)
	if err != nil {
		return nil, 0, err
	}
	if err := os.WriteFile(statsSwitch, []byte("1"), 0); err != nil {
		return nil, 0, err
	}
	defer func() { _ = os.WriteFile(statsSwitch, []byte(strings.TrimSpace(string(was))), 0) }()
	before, err := listPrograms(ctx)
	if err != nil {
		return nil, 0, err
	}
	top, err := b.startToposcope(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer top.Stop()
	server, generator, err := b.startLoad(ctx, b.connections)
	if err != nil {
		return nil, 0, err
	}
	defer server.Kill()
	report, err := generator.run()
	if err != nil {
		return nil, 0, err
	}
	now, err := listPrograms(ctx)
	return newer(before, now), float64(report.Completed), err
}
