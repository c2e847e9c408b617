// Package systemd tells from a process's control groups which systemd unit it belongs to.
//
// systemd puts every service, scope and slice in a control group of its name (systemd.slice(5)); nothing is asked of
// systemd itself, so that it works for a process that has ended, on a node seen through a mounted /proc, and without D-Bus.
package systemd

import (
	"slices"
	"strings"
)

// Unit is what a control group path says of the unit that holds a process. The zero Unit is "none".
type Unit struct {
	// Name is the unit as systemctl shows it: "nginx.service", "postgresql@15-main.service", "session-3.scope".
	Name string
	// Slice is the slice that holds it, "system.slice"; "" at the root.
	Slice string
	// User marks a unit of a user's own manager.
	User bool
	// Service is what a human would call the service; "" when the unit's name does not say what its processes are: a
	// scope, a manager of containers or of jobs, a transient unit.
	Service string
	// Stable tells that the name outlives a restart: it is neither a scope nor a transient unit.
	Stable bool
}

// IsService tells a service from a scope and from none.
func (u Unit) IsService() bool { return strings.HasSuffix(u.Name, ".service") }

// Parse reads the text of /proc/PID/cgroup, of version 1, version 2 or both together.
func Parse(cgroup string) Unit {
	var named, unified string
	for line := range strings.SplitSeq(cgroup, "\n") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, path, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
		case controllers == "name=systemd":
			named = path
		case controllers == "":
			unified = path
		}
	}
	if u := parsePath(named); u.Name != "" {
		return u
	}
	return parsePath(unified)
}

// parsePath takes the innermost unit: systemd in a container has its units below the container's scope.
func parsePath(path string) Unit {
	segments := strings.Split(strings.TrimSuffix(path, " (deleted)"), "/")
	for i, raw := range slices.Backward(segments) {
		segment := strings.TrimPrefix(raw, "_") // systemd escapes names that the kernel keeps for itself
		stem, kind := cut(segment)
		if kind != "service" && kind != "scope" {
			continue
		}
		below := segments[i+1:]
		u := Unit{Name: segment}
		for _, outer := range slices.Backward(segments[:i]) {
			if _, kind := cut(outer); kind == "slice" && u.Slice == "" {
				u.Slice = outer
			}
			u.User = u.User || strings.HasPrefix(outer, "user@")
		}
		if kind == "scope" {
			return u
		}
		template, _, _ := strings.Cut(stem, "@")
		if managers[template] && len(below) > 0 {
			return Unit{} // a container's or job's own group: the manager's unit says nothing of it
		}
		u.Stable = !transient(stem)
		if u.Stable && !generic[template] && !managers[template] {
			u.Service = Unescape(template)
		}
		return u
	}
	return Unit{}
}

// cut splits "nginx.service" at its last dot; only that part says what kind of unit it is.
func cut(segment string) (stem, kind string) {
	i := strings.LastIndexByte(segment, '.')
	if i <= 0 {
		return "", ""
	}
	return segment[:i], segment[i+1:]
}

// managers are units that run other people's programs in groups below their own.
var managers = set("docker", "containerd", "crio", "cri-o", "podman", "podman-restart", "podman-auto-update", "kubelet",
	"k3s", "k3s-agent", "k3s-rootless", "rke2-server", "rke2-agent", "k0scontroller", "k0sworker", "microk8s",
	"snap.microk8s.daemon-kubelite", "snap.microk8s.daemon-containerd", "nomad", "ecs", "garden", "gdn", "lxc", "lxcfs",
	"lxd", "incus", "snap.lxd.daemon", "snap.docker.dockerd", "snap.docker.nvidia-container-toolkit", "libvirtd",
	"systemd-nspawn", "buildkit", "balena", "user")

// generic are units whose processes are better told by their programs.
var generic = set("cron", "crond", "anacron", "atd", "ssh", "sshd", "telnet", "getty", "serial-getty", "console-getty",
	"container-getty", "autovt", "emergency", "rescue", "rc-local", "supervisor", "supervisord", "monit", "runit", "xinetd",
	"inetd", "openbsd-inetd", "cloud-final", "cloud-config", "cloud-init", "google-startup-scripts", "display-manager",
	"init", "systemd-executor", "screen", "tmux")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// transient tells names that somebody's program made up: systemd-run's, D-Bus activation's, PM2's for a user.
func transient(stem string) bool {
	if rest, ok := strings.CutPrefix(stem, "run-"); ok {
		return rest != "" && (rest[0] == 'u' || rest[0] == 'r' || rest[0] == 'p') && strings.Trim(rest[1:], "0123456789abcdef-i") == ""
	}
	return strings.HasPrefix(stem, "dbus-:") || strings.HasPrefix(stem, "pm2-")
}

// Unescape undoes systemd's \xNN (systemd.unit(5)). Unlike systemd-escape it leaves "-" alone, for unit names are not paths.
func Unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if i+3 < len(s) && s[i] == '\\' && s[i+1] == 'x' {
			high, ok1 := hex(s[i+2])
			low, ok2 := hex(s[i+3])
			if ok1 && ok2 {
				b.WriteByte(high<<4 | low)
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
