package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// apt is a package manager beside the host's own: the same mirror, another release or architecture, and folders of its
// own, so that the host's lists, caches and hooks stay as they are.
type apt struct {
	dir  string // its lists and caches
	conf string // the configuration that is read after the host's
}

// keyring is what the package debian-archive-keyring leaves: the keys of this release, the ones before and the next.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// newApt makes one in dir for a release of Debian and an architecture, and fetches the lists of packages.
func newApt(ctx context.Context, dir, suite, arch string) (*apt, error) {
	a := &apt{dir: dir, conf: filepath.Join(dir, "apt.conf")}
	sources, err := sources(ctx, suite, arch)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "%[1]s/state";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
APT::Architecture "%[2]s";
#clear APT::Architectures;
APT::Architectures { "%[2]s"; };
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`, dir, arch)
	err = errors.Join(
		os.MkdirAll(filepath.Join(dir, "state", "lists", "partial"), 0o755),
		os.MkdirAll(filepath.Join(dir, "cache", "archives", "partial"), 0o755),
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(sources), 0o644),
		os.WriteFile(filepath.Join(dir, "status"), nil, 0o644), // nothing is installed
		os.WriteFile(a.conf, []byte(conf), 0o644),
	)
	if err != nil {
		return nil, fmt.Errorf("setting up apt for %s: %w", suite, err)
	}
	if _, err := a.run(ctx, "apt-get", "-q", "update", "--error-on=any"); err != nil {
		return nil, fmt.Errorf("%w: fetching the package lists of %s: %w", ErrUnavailable, suite, err)
	}
	return a, nil
}

// sources is a sources.list for a release of Debian, from the mirrors that the host's own apt uses.
func sources(ctx context.Context, suite, arch string) (string, error) {
	rows, err := command(ctx, "", "apt-get", "indextargets", "--format", "$(ORIGIN)|$(CODENAME)|$(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var archive, security string
	for row := range strings.Lines(rows) {
		col := strings.Split(strings.TrimSpace(row), "|")
		switch {
		case len(col) != 3 || col[0] != "Debian":
		case strings.HasSuffix(col[1], "-security"):
			security = col[2]
		default:
			archive = col[2]
		}
	}
	if archive == "" {
		return "", fmt.Errorf("%w: apt's sources name no mirror of Debian's", ErrUnavailable)
	}
	line := func(uri, suite string) string {
		// Descriptions, translations and icons are lists too, larger than those of packages.
		return fmt.Sprintf("deb [arch=%s signed-by=%s target=Packages lang=none] %s %s main\n", arch, keyring, uri, suite)
	}
	list := line(archive, suite)
	if security != "" && !strings.Contains(suite, "-") {
		list += line(security, suite+"-security")
	}
	return list, nil
}

// unpack downloads a package and unpacks it to root.
func (a *apt) unpack(ctx context.Context, root, pkg string) error {
	dir, err := os.MkdirTemp(a.dir, "download-")
	if err != nil {
		return fmt.Errorf("downloading %s: %w", pkg, err)
	}
	if _, err := a.runIn(ctx, dir, "apt-get", "-q", "download", pkg); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("downloading %s: want one .deb, have %d", pkg, len(debs))
	}
	_, err = command(ctx, dir, "dpkg-deb", "-x", debs[0], root)
	return err
}

// newest asks for the highest version of all packages that match glob.
func (a *apt) newest(ctx context.Context, glob string) (pkg, version string, err error) {
	prefix, _, _ := strings.Cut(glob, "*")
	names, err := a.run(ctx, "apt-cache", "pkgnames", prefix)
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
		return "", "", fmt.Errorf("%w: the mirror has no package %s", ErrUnavailable, glob)
	}
	rows, err := a.run(ctx, "apt-cache", args...)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for row := range strings.Lines(rows) {
		col := strings.Split(row, "|") // package | version | source of the list
		if len(col) != 3 || !strings.HasSuffix(strings.TrimSpace(col[2]), " Packages") {
			continue
		}
		p, v := strings.TrimSpace(col[0]), strings.TrimSpace(col[1])
		if version == "" || newer(ctx, v, version) {
			pkg, version = p, v
		}
	}
	if version == "" {
		return "", "", fmt.Errorf("%w: the mirror offers no %s", ErrUnavailable, glob)
	}
	return pkg, version, nil
}

func newer(ctx context.Context, a, b string) bool {
	return exec.CommandContext(ctx, "dpkg", "--compare-versions", a, "gt", b).Run() == nil
}

func (a *apt) run(ctx context.Context, name string, args ...string) (string, error) {
	return a.runIn(ctx, "", name, args...)
}

// runIn runs one of apt's programs in a folder. The configuration goes by flag: that is read after the host's and can take back
// what the host's says.
func (a *apt) runIn(ctx context.Context, dir, name string, args ...string) (string, error) {
	return command(ctx, dir, name, append([]string{"--config-file=" + a.conf}, args...)...)
}
