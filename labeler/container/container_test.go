package container

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// readTable reads testdata/cgroups.txt: columns split at "|", "-" for nothing.
func readTable(t testing.TB) (rows [][]string) {
	t.Helper()
	f, err := os.Open("testdata/cgroups.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		row := strings.Split(line, "|")
		if len(row) != 5 {
			t.Fatalf("line %q has not five columns", line)
		}
		for i := range row {
			if row[i] = strings.TrimSpace(row[i]); row[i] == "-" {
				row[i] = ""
			}
		}
		row[4] = strings.ReplaceAll(row[4], ";", "\n") + "\n"
		rows = append(rows, row)
	}
	return rows
}

func fill(s string) string {
	return strings.NewReplacer(
		"{a}", strings.Repeat("0123456789abcdef", 4), "{b}", strings.Repeat("fedcba9876543210", 4),
		"{u}", "8dbc7e3c-2bd4-4c7e-9f0a-1b2c3d4e5f60", "{u_}", "8dbc7e3c_2bd4_4c7e_9f0a_1b2c3d4e5f60",
	).Replace(s)
}

func TestParse(t *testing.T) {
	rows := readTable(t)
	if len(rows) < 40 {
		t.Errorf("%d rows, want the golden table to have 40 at least", len(rows))
	}
	for _, row := range rows {
		want := Container{Runtime: row[0], ID: fill(row[1]), Name: row[2], PodUID: fill(row[3])}
		switch want.Runtime {
		case "none":
			want.Runtime = ""
		case "?":
			want.Runtime = ""
		case "lxc", "nspawn":
			want.System = true
		}
		got, ok := Parse(fill(row[4]))
		if got != want || ok != (row[0] != "none") {
			t.Errorf("%q\n got %+v, %v\nwant %+v", row[4], got, ok, want)
		}
	}
}

func TestShort(t *testing.T) {
	for id, want := range map[string]string{
		fill("{a}"): "0123456789ab", "web": "web", "0123456789abcdef": "0123456789abcdef", "": "",
	} {
		if got := (Container{ID: id}).Short(); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, row := range readTable(f) {
		f.Add(fill(row[4]))
	}
	f.Fuzz(func(t *testing.T, cgroup string) {
		c, ok := Parse(cgroup)
		if ok != (c.ID != "") || !ok && c != (Container{}) {
			t.Errorf("%q: %+v, %v", cgroup, c, ok)
		}
	})
}
