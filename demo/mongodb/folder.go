package mongodb

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// folderPattern is that of the folders' names in the system's folder for what is temporary.
const folderPattern = "toposcope-demo-mongodb-*"

// folder is where SQLite has its files. While it is locked, which no process survives, it is in use.
type folder struct {
	path string
	lock *os.File
}

// newFolder makes a folder, and takes away those that nobody uses any more: of servers that were killed.
func newFolder() (*folder, error) {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	if err != nil {
		return nil, fmt.Errorf("looking for folders that were left: %w", err)
	}
	for _, path := range left {
		if f, err := openFolder(path, syscall.LOCK_NB); err == nil {
			f.remove()
		}
	}
	for range 10 {
		path, err := os.MkdirTemp("", folderPattern)
		if err != nil {
			return nil, fmt.Errorf("making a folder: %w", err)
		}
		// Until it is locked another server may take it for one that was left.
		if f, err := openFolder(path, 0); err == nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("no folder in %s lasts", os.TempDir())
}

// openFolder locks a folder that there is. how adds to how flock(2) waits.
func openFolder(path string, how int) (*folder, error) {
	lock, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|how); err == nil {
		if _, err = os.Stat(path); err == nil {
			return &folder{path, lock}, nil
		}
	}
	lock.Close()
	return nil, err
}

// remove removes all. What cannot be removed is tried again by the next server.
func (f *folder) remove() {
	_ = os.RemoveAll(f.path)
	f.lock.Close()
}
