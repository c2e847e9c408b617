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
	dir, err := fetch(ctx, k.Name, k.Suite, k.Arch, k.Packages...)
	if err != nil {
		return image{}, fmt.Errorf("fetching kernel %s: %w", k.Name, err)
	}
	im := image{version: filepath.Base(dir)}
	// Debian 13's packages have the kernel among its modules; earlier ones have it in /boot.
	for _, place := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz"} {
		if found, err := filepath.Glob(filepath.Join(dir, place)); err == nil && len(found) == 1 {
			im.vmlinuz = found[0]
		}
	}
	for _, place := range []string{"lib/modules/*", "usr/lib/modules/*"} {
		if found, err := filepath.Glob(filepath.Join(dir, place)); err == nil && len(found) == 1 {
			im.modules = found[0]
		}
	}
	if im.vmlinuz == "" {
		return image{}, fmt.Errorf("kernel %s: no kernel in %s", k.Name, dir)
	}
	return im, nil
}

// busyboxSuite is the release that busybox is taken from where the host has none that fits.
const busyboxSuite = "bookworm"

// fetchBusybox returns a static busybox: the host's own if it is one, else that of the package busybox-static.
func fetchBusybox(ctx context.Context, arch string) (string, error) {
	for _, p := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		if checkProgram(p, arch) == nil {
			return p, nil
		}
	}
	dir, err := fetch(ctx, "busybox-"+arch, busyboxSuite, arch, "busybox-static")
	if err != nil {
		return "", fmt.Errorf("fetching busybox: %w", err)
	}
	var errs []error
	for _, p := range []string{"bin/busybox", "usr/bin/busybox"} {
		p = filepath.Join(dir, p)
		err := checkProgram(p, arch)
		if err == nil {
			return p, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no busybox in %s: %w", dir, errors.Join(errs...))
}

// fetch returns the folder in which the newest packages that match the globs are unpacked: <cache>/<name>/<package>_<version> of
// the first.
func fetch(ctx context.Context, name, suite, arch string, globs ...string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, name)
	if have, err := filepath.Glob(filepath.Join(home, "*_*")); err == nil && len(have) > 0 {
		return slices.Max(have), nil
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
	a, err := newApt(ctx, filepath.Join(tmp, "apt"), suite, arch)
	if err != nil {
		return "", err
	}
	root, whole := filepath.Join(tmp, "root"), ""
	for _, glob := range globs {
		pkg, version, err := a.newest(ctx, glob)
		if err != nil {
			return "", err
		}
		if err := a.unpack(ctx, root, pkg+"="+version); err != nil {
			return "", err
		}
		if whole == "" {
			whole = filepath.Join(home, pkg+"_"+strings.ReplaceAll(version, ":", "%3a"))
		}
	}
	if err := os.Rename(root, whole); err != nil && !isDir(whole) {
		return "", fmt.Errorf("keeping the package: %w", err)
	}
	return whole, nil
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

// checkProgram says why a program cannot run in a guest of that architecture, which has no shared libraries.
func checkProgram(file, arch string) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	defer f.Close()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
		return fmt.Errorf("%s is built for %v, the guest is %v", file, f.Machine, want)
	}
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
