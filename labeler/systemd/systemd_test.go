package systemd

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

func TestParse(t *testing.T) {
	for _, row := range readTable(t) {
		want := Unit{
			Name: row[0], Service: row[1], Slice: row[2],
			User: strings.Contains(row[3], "u"), Stable: strings.Contains(row[3], "s"),
		}
		if got := Parse(row[4]); got != want {
			t.Errorf("%q\n got %+v\nwant %+v", row[4], got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, row := range readTable(f) {
		f.Add(row[4])
	}
	f.Fuzz(func(t *testing.T, cgroup string) {
		if u := Parse(cgroup); u.Name == "" && u != (Unit{}) {
			t.Errorf("%q: a unit without a name: %+v", cgroup, u)
		} else if !strings.Contains(cgroup, u.Name) {
			t.Errorf("%q: the unit %q is made up", cgroup, u.Name)
		}
	})
}
