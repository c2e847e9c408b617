package redis_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/redis"
)

// compare wants what the server counted.
func (l *live) compare(direct *raw) {
	spec := redis.Spec(protocol.Options{TextLimit: limit})
	got, errs := map[string]int{}, map[string]int{}
	var gaps uint64
	for _, c := range l.rec.conns {
		f := c.replay(spec, 0)
		gaps += f.gaps
		for _, s := range f.list {
			op, outcome := apart(s)
			got[op]++
			if i := strings.IndexByte(outcome, '('); i >= 0 {
				code := outcome[i+1 : len(outcome)-1]
				errs[code[strings.LastIndexByte(code, '/')+1:]]++
			}
		}
	}
	want := maps.Clone(l.beside)
	for name, n := range direct.stats("commandstats", "cmdstat_", "calls", "rejected_calls") {
		want[strings.ToUpper(strings.ReplaceAll(name, "|", " "))] += n
	}
	for _, op := range []string{"CONFIG RESETSTAT", "INFO"} { // the test's own
		delete(want, op)
	}
	for _, op := range []string{"CLIENT SETINFO", "CLIENT MAINT_NOTIFICATIONS"} { // not of every server; then they are among its errors
		if want[op] == 0 {
			want[op] = got[op]
		}
	}
	same(l.t, "operation", got, want)
	same(l.t, "error", errs, direct.stats("errorstats", "errorstat_", "count"))
	total := 0
	for _, n := range got {
		total += n
	}
	l.t.Logf("%d exchanges of %d operations over %d connections, %d missing; errors %v", total, len(got), len(l.rec.conns), gaps, errs)
	if gaps != 0 {
		l.t.Errorf("%d reported missing", gaps)
	}
}

func same(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	all := map[string]bool{}
	for k := range got {
		all[k] = true
	}
	for k := range want {
		all[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if got[k] != want[k] {
			t.Errorf("%s %s: %d, want %d", what, k, got[k], want[k])
		}
	}
}

var database = regexp.MustCompile(`@\d+ `)

// apart is the operation, without its database, and the outcome of what was found.
func apart(s string) (op, outcome string) {
	s = database.ReplaceAllString(s, " ")
	i := strings.LastIndexByte(s, ' ')
	return s[:i], s[i+1:]
}

// joined replays a connection from its segments on, and wants nothing that is not among the whole.
// Long ones are joined at about 50 places.
func joined(t *testing.T, number int, c *recorded) {
	t.Helper()
	spec := redis.Spec(protocol.Options{TextLimit: limit})
	size := int(c.off[0]+c.off[1]) + 1
	step := 1 + max(len(c.segments)/50, len(c.segments)*size>>27)
	whole := map[string]int{}
	for _, s := range c.replay(spec, 0).list {
		op, outcome := apart(s)
		whole[op+" "+outcome]++
	}
	for from := 1; from < len(c.segments); from += step {
		part := map[string]int{}
		for _, s := range c.replay(spec, from).list {
			op, outcome := apart(s)
			part[op+" "+outcome]++
		}
		for what, n := range part {
			if n > whole[what] {
				t.Errorf("connection %d from segment %d: %d of %s, there are %d", number, from, n, what, whole[what])
			}
		}
	}
}
