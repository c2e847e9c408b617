package kernels

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ErrUnavailable says that a kernel or the emulator cannot be had on this host, which is no fault of what is tested.
var ErrUnavailable = errors.New("not available on this host")

// image is an unpacked kernel package.
type image struct {
	vmlinuz string
	modules string // the folder lib/modules/<release>; may be absent
	version string // package_version
}

// cacheDir is where packages are kept: $TOPOSCOPE_CACHE, else the user's cache folder.
func cacheDir() (string, error) {
	if dir := os.Getenv("TOPOSCOPE_CACHE"); dir != "" {
		return filepath.Join(dir, "kernels"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	return filepath.Join(dir, "toposcope", "kernels"), nil
}

// fetchKernel returns the unpacked kernel, from the cache when it is there. A cached one is never refreshed: remove its
// folder for a newer one.
func fetchKernel(ctx context.Context, k Kernel) (image, error) {
	dir, err := fetch(ctx, k.Name, k.Package, k.Suite)
	if err != nil {
		return image{}, fmt.Errorf("fetching kernel %s: %w", k.Name, err)
	}
	boot, err := filepath.Glob(filepath.Join(dir, "boot", "vmlinuz-*"))
	if err != nil || len(boot) != 1 {
		return image{}, fmt.Errorf("kernel %s: want one boot/vmlinuz-* in %s, have %d", k.Name, dir, len(boot))
	}
	release := strings.TrimPrefix(filepath.Base(boot[0]), "vmlinuz-")
	im := image{vmlinuz: boot[0], version: filepath.Base(dir)}
	for _, lib := range []string{"lib", "usr/lib"} {
		if d := filepath.Join(dir, lib, "modules", release); isDir(d) {
			im.modules = d
		}
	}
	return im, nil
}

// fetchBusybox returns a static busybox: the host's own if it is static, else the one of the package busybox-static.
func fetchBusybox(ctx context.Context) (string, error) {
	for _, p := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		if checkStatic(p) == nil {
			return p, nil
		}
	}
	dir, err := fetch(ctx, "busybox", "busybox-static", "")
	if err != nil {
		return "", fmt.Errorf("fetching busybox: %w", err)
	}
	for _, p := range []string{"bin/busybox", "usr/bin/busybox"} {
		if p = filepath.Join(dir, p); checkStatic(p) == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no static busybox in %s", dir)
}

// fetch returns the folder in which the newest package that matches is unpacked: <cache>/<name>/<package>_<version>.
func fetch(ctx context.Context, name, glob, suite string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, name)
	if have, err := filepath.Glob(filepath.Join(home, "*_*")); err == nil && len(have) > 0 {
		return slices.Max(have), nil
	}
	pkg, version, err := newest(ctx, glob, suite)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	// The name without "_" keeps a half-made folder from being taken for a whole one.
	tmp, err := os.MkdirTemp(home, "partial-")
	if err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := unpack(ctx, tmp, pkg+"="+version); err != nil {
		return "", err
	}
	dir := filepath.Join(home, pkg+"_"+strings.ReplaceAll(version, ":", "%3a"))
	if err := os.Rename(filepath.Join(tmp, "root"), dir); err != nil && !isDir(dir) {
		return "", fmt.Errorf("keeping the package: %w", err)
	}
	return dir, nil
}

// unpack downloads the package into dir and unpacks it to dir/root.
func unpack(ctx context.Context, dir, pkg string) error {
	if _, err := command(ctx, dir, "apt-get", "download", pkg); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("downloading %s: want one .deb, have %d", pkg, len(debs))
	}
	_, err = command(ctx, dir, "dpkg-deb", "-x", debs[0], "root")
	return err
}

// newest asks apt for the highest version of all packages that match glob in suite ("" for any) and its updates.
func newest(ctx context.Context, glob, suite string) (pkg, version string, err error) {
	prefix, _, _ := strings.Cut(glob, "*")
	names, err := command(ctx, "", "apt-cache", "pkgnames", prefix)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	args := []string{"madison"}
	for name := range strings.FieldsSeq(names) {
		if ok, err := path.Match(glob, name); err == nil && ok {
			args = append(args, name)
		}
	}
	if len(args) == 1 {
		return "", "", fmt.Errorf("%w: apt knows no package %s (is apt-get update needed?)", ErrUnavailable, glob)
	}
	rows, err := command(ctx, "", "apt-cache", args...)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for row := range strings.Lines(rows) {
		// package | version | URI suite/component arch Packages
		col := strings.Split(row, "|")
		if len(col) != 3 {
			continue
		}
		p, v, from := strings.TrimSpace(col[0]), strings.TrimSpace(col[1]), strings.Fields(col[2])
		if len(from) < 4 || from[3] != "Packages" || !strings.HasPrefix(from[1], suite) {
			continue
		}
		if version == "" || newer(ctx, v, version) {
			pkg, version = p, v
		}
	}
	if version == "" {
		return "", "", fmt.Errorf("%w: apt's sources offer no %s from %s", ErrUnavailable, glob, suite)
	}
	return pkg, version, nil
}

func newer(ctx context.Context, a, b string) bool {
	return exec.CommandContext(ctx, "dpkg", "--compare-versions", a, "gt", b).Run() == nil
}

// command runs a host program and returns its standard output; an error carries its standard error.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running %s %s: %w: %s", name, args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// checkStatic says why a program cannot run in a guest that has no shared libraries.
func checkStatic(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is dynamically linked: build it with CGO_ENABLED=0", file)
		}
	}
	return nil
}

func isDir(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.Mode()&fs.ModeType == fs.ModeDir
}
