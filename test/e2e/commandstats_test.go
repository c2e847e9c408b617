package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// commandStats resets what Redis counts of its commands; the function that it returns holds that against e. Redis is asked by a Unix
// socket, which Toposcope does not see.
func (d databases) commandStats(t *testing.T, kind servers.Kind) (check func(e *traffic)) {
	t.Helper()
	if kind != servers.Redis {
		return func(*traffic) {}
	}
	ask := func(command ...string) string {
		args := append([]string{"-s", filepath.Join(d[kind].Dir, servers.ControlSocket)}, command...)
		return mustRun(t, exec.Command("redis-cli", args...))
	}
	ask("CONFIG", "RESETSTAT")
	return func(e *traffic) {
		t.Helper()
		sent := map[string]int{}
		for _, op := range e.operations {
			sent[op.pairs[1]] += op.count
		}
		for _, line := range lines(ask("INFO", "commandstats")) {
			// cmdstat_config|get:calls=7,usec=9,…,rejected_calls=1,failed_calls=0
			name, stats, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
			name = strings.ReplaceAll(strings.ToUpper(name), "|", " ")
			if !ok || name == "CONFIG RESETSTAT" {
				continue
			}
			calls := 0
			for stat := range strings.SplitSeq(stats, ",") {
				if key, value, _ := strings.Cut(stat, "="); key == "calls" || key == "rejected_calls" {
					n, _ := strconv.Atoi(value) // Redis writes a number
					calls += n
				}
			}
			if calls != sent[name] {
				t.Errorf("Redis has counted %d of %s, the client has sent %d", calls, name, sent[name])
			}
		}
	}
}
