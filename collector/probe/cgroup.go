package probe

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// errNoCgroup says what an operator can do about it.
var errNoCgroup = errors.New("the root of the cgroup hierarchy (version 2) is not to be seen from here: " +
	"mount the host's /sys/fs/cgroup, or run in its cgroup namespace")

// rootCgroup finds the root of the version 2 hierarchy, whose programs see the sockets of every process. What a container shows
// at its own mount may be the container's part of it.
func rootCgroup() (string, error) {
	for _, view := range []struct{ mounts, root string }{{"/proc/1/mountinfo", "/proc/1/root"}, {"/proc/self/mountinfo", "/"}} {
		mounts, err := cgroupMounts(view.mounts)
		if err != nil {
			continue // not permitted
		}
		for _, at := range mounts {
			dir := filepath.Join(view.root, at)
			_, hasController := os.Stat(filepath.Join(dir, "cgroup.controllers"))
			_, hasType := os.Stat(filepath.Join(dir, "cgroup.type")) // every cgroup has this file but the root
			if hasController == nil && errors.Is(hasType, os.ErrNotExist) {
				return dir, nil
			}
		}
	}
	return "", errNoCgroup
}

// cgroupMounts lists where the version 2 hierarchy is mounted, by a mountinfo file (man 5 proc_pid_mountinfo): the fifth field is
// the place, the file system's type is the first after the separator.
func cgroupMounts(path string) (list []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if ok && len(fields) >= 5 && strings.HasPrefix(after, "cgroup2 ") {
			list = append(list, fields[4])
		}
	}
	return list, lines.Err()
}
