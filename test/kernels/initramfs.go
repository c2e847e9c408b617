package kernels

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed init.sh
var initScript string

// writeInitramfs writes the guest's root. It is not compressed: unpacking costs more under emulation than loading.
func writeInitramfs(w io.Writer, arch, busybox string, modules []string, job Job) error {
	c := newCpioWriter(w)
	for _, d := range []string{"proc", "sys", "dev", "tmp", "run", "root", "etc", "job"} {
		if err := c.dir(d); err != nil {
			return err
		}
	}
	var list strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&list, "/job/modules.d/%s\n", filepath.Base(m))
	}
	err := errors.Join(
		c.charDevice("dev/console", 0o600, 5, 1),
		c.charDevice("dev/null", 0o666, 1, 3),
		c.text("init", 0o755, initScript),
		c.text("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
		c.text("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n"),
		c.text("etc/hosts", 0o644, "127.0.0.1 localhost guest\n::1 localhost ip6-localhost\n"),
		c.text("job/modules", 0o644, list.String()),
		c.text("job/run", 0o755, runScript(job)),
		addHostFile(c, "bin/busybox", busybox),
	)
	for _, m := range modules {
		err = errors.Join(err, addHostFile(c, "job/modules.d/"+filepath.Base(m), m))
	}
	for _, b := range job.Binaries {
		if e := checkProgram(b, arch); e != nil {
			err = errors.Join(err, e)
			continue
		}
		err = errors.Join(err, addHostFile(c, GuestPath(b), b))
	}
	for guest, host := range job.Files {
		err = errors.Join(err, addHostTree(c, guest, host))
	}
	return errors.Join(err, c.Close())
}

// GuestPath is where Run puts a binary.
func GuestPath(binary string) string { return path.Join("/job/bin", filepath.Base(binary)) }

// addHostTree adds a file, or a folder with all regular files and links to them below it.
func addHostTree(c *cpioWriter, guest, host string) error {
	if !isDir(host) {
		return addHostFile(c, guest, host)
	}
	err := filepath.WalkDir(host, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(host, p)
		if err != nil {
			return err
		}
		return addHostFile(c, path.Join(guest, filepath.ToSlash(rel)), p)
	})
	if err != nil {
		return fmt.Errorf("adding folder %s: %w", host, err)
	}
	return nil
}

func addHostFile(c *cpioWriter, guest, host string) error {
	f, err := os.Open(host)
	if err != nil {
		return fmt.Errorf("adding %s: %w", guest, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("adding %s: %w", guest, err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("adding %s: %s is no regular file", guest, host)
	}
	return c.file(guest, st.Mode(), st.Size(), f)
}

// runScript is what the init runs: the job's command in its environment.
func runScript(job Job) string {
	var b strings.Builder
	fmt.Fprintf(&b, "PATH=/job/bin:$PATH\n")
	if job.Dir != "" {
		fmt.Fprintf(&b, "cd %s || exit\n", quote(job.Dir))
	}
	for _, kv := range slices.Sorted(slices.Values(job.Env)) {
		fmt.Fprintf(&b, "export %s\n", quote(kv))
	}
	b.WriteString("exec")
	for _, a := range job.Cmd {
		b.WriteString(" " + quote(a))
	}
	b.WriteString("\n")
	return b.String()
}

// quote makes one word of s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
