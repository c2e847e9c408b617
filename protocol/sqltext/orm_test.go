package sqltext

import (
	"os"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
)

// TestMappers reads what object mappers send: what is said of it is what their users would say.
func TestMappers(t *testing.T) {
	data, err := os.ReadFile("testdata/orm.txt")
	if err != nil {
		t.Fatal(err)
	}
	dialects := map[string]Dialect{"my": MySQL, "pg": PostgreSQL}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(line, " | ", 4)
		if len(f) != 4 {
			t.Fatalf("%q", line)
		}
		s := NewReader(dialects[f[0]], protocol.Options{}).Read([]byte(f[3]), false)
		if got := string(s.Collection); s.Operation != f[1] || got != strings.TrimPrefix(f[2], "-") {
			t.Errorf("%s\n%s of %q, want %s of %s", f[3], s.Operation, got, f[1], f[2])
		}
	}
}
