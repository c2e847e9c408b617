package subject

import (
	"bufio"
	"maps"
	"strings"
	"testing"
)

func TestSum(t *testing.T) {
	const m Metrics = `# HELP a_total of something
# TYPE a_total counter
a_total{client="x",server="y"} 3
a_total{client="xx",server="y"} 4
a_total{server="y",client="x"} 5
a_total_of 7
`
	for _, test := range []struct {
		labels []string
		want   float64
	}{
		{nil, 12},
		{[]string{`client="x"`}, 8},
		{[]string{`client="x"`, `server="y"`}, 8},
		{[]string{`client="z"`}, 0},
	} {
		if got := m.Sum("a_total", test.labels...); got != test.want {
			t.Errorf("%v: %g, want %g", test.labels, got, test.want)
		}
	}
	if got, want := m.Series(), map[string]int{"a_total": 3, "a_total_of": 1}; !maps.Equal(got, want) {
		t.Errorf("series %v, want %v", got, want)
	}
}

func TestParseSmaps(t *testing.T) {
	const smaps = `00400000-02000000 r-xp 00000000 fe:00 12 /usr/bin/toposcope
Size:              28672 kB
Rss:                  40 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Rss:                1024 kB
7f0000000000-7f0000100000 r--s 00001000 00:0e 7 anon_inode:bpf-map
Rss:                 512 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
Rss:                   8 kB
VmFlags: rd wr mr
`
	got, err := parseSmaps(bufio.NewScanner(strings.NewReader(smaps)))
	if want := (Memory{Rings: 512 << 10, Files: 40 << 10, Own: 1032 << 10}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
