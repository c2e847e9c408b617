package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usage is what Toposcope holds at the end of a round.
type usage struct {
	goroutines, files, heap, resident float64
	series                            map[string]int     // by name
	maps                              map[string]float64 // entries
}

func (u usage) seriesInAll() (n float64) {
	for _, count := range u.series {
		n += float64(count)
	}
	return n
}

func (u usage) String() string {
	return fmt.Sprintf("%g goroutines, %g files, heap %.1f MiB, resident %.0f MiB, %g series, %g connections in the kernel's table",
		u.goroutines, u.files, u.heap/(1<<20), u.resident/(1<<20), u.seriesInAll(), u.maps["conns"])
}

// watchedMaps are the hash maps whose entries must come and go.
var watchedMaps = []string{"conns", "sends", "receives", "listeners", "unsent_closes", "watched_pids"}

func (s *soak) use() (u usage, err error) {
	m, err := s.top.Metrics()
	if err != nil {
		return u, err
	}
	memory, err := s.top.Memory()
	if err != nil {
		return u, err
	}
	u = usage{
		goroutines: m.Sum("go_goroutines"), files: m.Sum("process_open_fds"), heap: m.Sum("go_memstats_heap_inuse_bytes"),
		resident: memory.WithoutRings(), series: m.Series(),
	}
	u.maps, err = entries(s.top.PID())
	return u, err
}

// entries counts what is in the watched maps of a process, which holds each by a file descriptor.
func entries(pid int) (map[string]float64, error) {
	var list []struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	if err := bpftool(&list, "map", "show"); err != nil {
		return nil, err
	}
	held, err := heldMaps(pid)
	if err != nil {
		return nil, err
	}
	counts := map[string]float64{}
	for _, m := range list {
		if !slices.Contains(watchedMaps, m.Name) || !held[m.ID] {
			continue
		}
		var all []json.RawMessage
		if err := bpftool(&all, "map", "dump", "id", strconv.Itoa(m.ID)); err != nil {
			return nil, err
		}
		counts[m.Name] = float64(len(all))
	}
	if len(counts) != len(watchedMaps) {
		return nil, fmt.Errorf("of the maps %v, process %d has only %v", watchedMaps, pid, counts)
	}
	return counts, nil
}

// heldMaps are the numbers of the BPF maps that a process has open.
func heldMaps(pid int) (map[int]bool, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return nil, err
	}
	held := map[int]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // closed by now
		}
		if _, rest, ok := strings.Cut(string(text), "\nmap_id:\t"); ok {
			id, _, _ := strings.Cut(rest, "\n")
			if n, err := strconv.Atoi(id); err == nil {
				held[n] = true
			}
		}
	}
	return held, nil
}

func bpftool(into any, args ...string) error {
	text, err := exec.Command("bpftool", append([]string{"-j"}, args...)...).Output()
	if err != nil {
		return fmt.Errorf("bpftool %v: %w", args, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("bpftool %v: %w", args, err)
	}
	return nil
}

// samples is how many samples of the store's own series are from before a time.
func (s *soak) samples(before time.Time) (float64, error) {
	query := url.Values{
		"query": {`count_over_time(toposcope_build_info[1d])`},
		"time":  {strconv.FormatFloat(float64(before.UnixMilli())/1000, 'f', 3, 64)},
	}
	text, err := s.top.Get("/api/v1/query?" + query.Encode())
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return 0, fmt.Errorf("decoding the answer to a query: %w", err)
	}
	var sum float64
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		v, _ := strconv.ParseFloat(text, 64)
		sum += v
	}
	return sum, nil
}
