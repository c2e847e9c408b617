package kernels

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// cpioWriter writes the "newc" form of cpio that the kernel unpacks as its first root (the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst).
type cpioWriter struct {
	w    io.Writer
	ino  uint32
	dirs map[string]bool
	pad  int64 // bytes written, modulo 4 only matters
}

func newCpioWriter(w io.Writer) *cpioWriter { return &cpioWriter{w: w, dirs: map[string]bool{}} }

// cpioType is the type bits of a mode, as in inode(7).
func cpioType(m fs.FileMode) uint32 {
	switch m.Type() {
	case fs.ModeDir:
		return 0o040000
	case fs.ModeSymlink:
		return 0o120000
	case fs.ModeDevice | fs.ModeCharDevice:
		return 0o020000
	default:
		return 0o100000
	}
}

// dir adds a folder and those above it, once each.
func (c *cpioWriter) dir(name string) error {
	name = clean(name)
	if name == "" || c.dirs[name] {
		return nil
	}
	if err := c.dir(path.Dir(name)); err != nil {
		return err
	}
	c.dirs[name] = true
	return c.header(name, fs.ModeDir|0o755, 0, 0, 0)
}

// file adds a regular file of size bytes, with the folders above it.
func (c *cpioWriter) file(name string, perm fs.FileMode, size int64, r io.Reader) error {
	if size > 1<<32-1 {
		return fmt.Errorf("adding %s: larger than the format allows", name)
	}
	name = clean(name)
	if err := c.dir(path.Dir(name)); err != nil {
		return err
	}
	if err := c.header(name, perm.Perm(), uint32(size), 0, 0); err != nil {
		return err
	}
	n, err := io.Copy(c, io.LimitReader(r, size))
	if err != nil {
		return fmt.Errorf("adding %s: %w", name, err)
	}
	if n != size {
		return fmt.Errorf("adding %s: %d bytes of %d: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	return c.align()
}

// text adds a small file.
func (c *cpioWriter) text(name string, perm fs.FileMode, s string) error {
	return c.file(name, perm, int64(len(s)), strings.NewReader(s))
}

// charDevice adds a device node.
func (c *cpioWriter) charDevice(name string, perm fs.FileMode, major, minor uint32) error {
	name = clean(name)
	if err := c.dir(path.Dir(name)); err != nil {
		return err
	}
	return c.header(name, fs.ModeDevice|fs.ModeCharDevice|perm, 0, major, minor)
}

// Close ends the archive. It does not close the underlying writer.
func (c *cpioWriter) Close() error { return c.header("TRAILER!!!", 0, 0, 0, 0) }

func (c *cpioWriter) header(name string, mode fs.FileMode, size, major, minor uint32) error {
	c.ino++
	// magic, inode, mode, uid, gid, links, mtime, size, device major and minor, node's major and minor, name's size
	// with its NUL, checksum (unused)
	_, err := fmt.Fprintf(c, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.ino, cpioType(mode)|uint32(mode.Perm()), 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	return errors.Join(err, c.align())
}

// align pads to four bytes.
func (c *cpioWriter) align() error {
	_, err := c.Write(make([]byte, -c.pad&3))
	return err
}

// Write implements io.Writer for the archive's own use: it counts what must be padded.
func (c *cpioWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.pad += int64(n)
	return n, err
}

// clean makes an archive name: no leading slash, "" for the root.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
