package mongodb

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFolder: a folder goes with its server. One that was left by a server that was killed goes with the next server's start, one
// that is in use does not.
func TestFolder(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	expect := func(want int) {
		t.Helper()
		if all, err := os.ReadDir(temporary); err != nil || len(all) != want {
			t.Errorf("there are %v, %v, want %d folders", all, err, want)
		}
	}
	first, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(first.path, "shop.sqlite"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	expect(2)
	first.lock.Close() // as the end of its process would do
	third, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	expect(2)
	second.remove()
	third.remove()
	expect(0)
}
