// Package container tells from a process's control groups which container it runs in, and of which runtime.
//
// Every runtime puts a container in a control group that it names after the container; nothing is asked of the runtimes
// themselves, so that it works for a process that has ended and needs no socket. Names that only a runtime knows are left
// to a source of their own.
package container

import (
	"slices"
	"strings"
)

// Container is what a control group path says. The zero Container is "none".
type Container struct {
	// ID is the runtime's own, 64 hex digits for most.
	ID string
	// Runtime is "docker", "containerd", "cri-o", "podman", "lxc", "nspawn", "nomad", "ecs", "garden", "talos", "mesos",
	// "buildkit", "kata", or "" when the path does not tell (Kubernetes without the systemd driver).
	Runtime string
	// Name is set where the path holds one (LXC, nspawn, Nomad's task, Talos).
	Name string
	// PodUID is the UID of the Kubernetes pod that holds it, with dashes.
	PodUID string
	// System marks a container that holds a whole system (LXC, nspawn): its name says nothing of the programs in it.
	System bool
}

// Short is the first 12 digits of the ID, as docker ps shows it.
func (c Container) Short() string {
	if isHex(c.ID, 64) {
		return c.ID[:12]
	}
	return c.ID
}

// Parse reads the text of /proc/PID/cgroup, of version 1, version 2 or both together. Of containers within containers it
// takes the innermost. A runtime's own helper (conmon, lxc monitor) is in no container.
func Parse(cgroup string) (c Container, ok bool) {
	best := -1
	for line := range strings.SplitSeq(cgroup, "\n") {
		_, rest, _ := strings.Cut(line, ":")
		_, path, _ := strings.Cut(rest, ":")
		// Hierarchies of version 1 may each put it elsewhere; the deepest knows most.
		if found, depth := parsePath(path); depth > best {
			c, best = found, depth
		}
	}
	return c, best >= 0
}

// parsePath returns the innermost container of a path and how deep it lies, -1 for none.
func parsePath(path string) (c Container, depth int) {
	segments := strings.Split(strings.TrimSuffix(path, " (deleted)"), "/")
	depth = -1
	for i := len(segments) - 1; i >= 0 && depth < 0; i-- {
		if segments[i] == "" {
			continue
		}
		if helper(segments[i]) {
			return Container{}, -1
		}
		for _, form := range forms {
			if found, ok := form(segments, i); ok {
				c, depth = found, i
				break
			}
		}
	}
	if depth < 0 {
		return Container{}, -1
	}
	for _, s := range slices.Backward(segments[:depth+1]) {
		if uid, ok := podUID(s); ok {
			c.PodUID = uid
			break
		}
	}
	return c, depth
}

// helper tells the groups of programs that mind a container from outside.
func helper(s string) bool {
	return strings.HasPrefix(s, "lxc.monitor") || strings.Contains(s, "-conmon-")
}

// form recognises one shape of a container's group: the i-th segment, seen with those around it.
type form func(segments []string, i int) (Container, bool)

// forms in the order they are tried; the surest first.
var forms = []form{named, colons, bare, lxc, nspawn, nomad, talos, guid}

// runtimes are the prefixes that runtimes put before an ID.
var runtimes = map[string]string{
	"docker": "docker", "cri-containerd": "containerd", "containerd": "containerd", "nerdctl": "containerd",
	"crio": "cri-o", "libpod": "podman", "libpod-payload": "podman", "podman": "podman", "kata": "kata", "balena": "docker",
}

// named is PREFIX-ID, with ".scope" behind it (systemd's driver) or not: docker-ID.scope, cri-containerd-ID.scope,
// crio-ID, libpod-ID.scope, libpod-payload-ID, kata_ID, and any other prefix before 64 hex digits.
func named(segments []string, i int) (Container, bool) {
	s := strings.TrimSuffix(segments[i], ".scope")
	cut := strings.LastIndexAny(s, "-_")
	if cut <= 0 || !isHex(s[cut+1:], 64) {
		return Container{}, false
	}
	prefix := s[:cut]
	runtime, known := runtimes[prefix]
	if !known {
		runtime = prefix
	}
	return Container{ID: s[cut+1:], Runtime: runtime}, true
}

// colons is SLICE:PREFIX:ID, what runc makes of systemd's form when its driver is cgroupfs.
func colons(segments []string, i int) (Container, bool) {
	parts := strings.Split(segments[i], ":")
	if len(parts) != 3 || parts[2] == "" {
		return Container{}, false
	}
	runtime, known := runtimes[parts[1]]
	if !known && !isHex(parts[2], 64) {
		return Container{}, false
	}
	return Container{ID: parts[2], Runtime: firstOf(runtime, parts[1])}, true
}

// bare is an ID alone: /docker/ID, /kubepods/…/podUID/ID, /ecs/TASK/ID, /default/ID, whatever cgroup-parent was given.
func bare(segments []string, i int) (Container, bool) {
	id, parent := segments[i], segments[max(i-1, 0)]
	switch {
	case isHex(id, 64) && parent != "kata_overhead":
	case parent == "buildkit" && len(id) == 25 && lowerAlnum(id):
		return Container{ID: id, Runtime: "buildkit"}, true
	default:
		return Container{}, false
	}
	c := Container{ID: id}
	for _, s := range slices.Backward(segments[:i]) {
		switch s {
		case "docker", "ecs", "garden", "mesos", "buildkit":
			c.Runtime = s
		case "default", "k8s.io", "moby":
			c.Runtime = "containerd" // its namespaces
		case "libpod_parent":
			c.Runtime = "podman"
		}
		if _, pod := podUID(s); pod || c.Runtime != "" {
			break
		}
	}
	return c, true
}

// lxc is LXC, LXD, Incus and Proxmox: /lxc/NAME, /lxc.payload/NAME, /lxc.payload.NAME, with NAME = PROJECT_CONTAINER
// in a project other than the default.
func lxc(segments []string, i int) (Container, bool) {
	name, ok := strings.CutPrefix(segments[i], "lxc.payload.")
	if !ok && i > 0 && (segments[i-1] == "lxc" || segments[i-1] == "lxc.payload") {
		name, ok = segments[i], true
	}
	if !ok || name == "" {
		return Container{}, false
	}
	return Container{ID: name, Runtime: "lxc", Name: name, System: true}, true
}

// nspawn is systemd-nspawn by hand (machine-NAME.scope) or as a unit, with the system's groups below "payload".
func nspawn(segments []string, i int) (Container, bool) {
	name, ok := strings.CutPrefix(segments[i], "systemd-nspawn@")
	if ok {
		name, ok = strings.CutSuffix(name, ".service")
	} else if name, ok = strings.CutPrefix(segments[i], "machine-"); ok {
		name, ok = strings.CutSuffix(name, ".scope")
		ok = ok && !strings.HasPrefix(name, "qemu") // a virtual machine of libvirt's
	}
	if !ok || name == "" || !slices.Contains(segments[i:], "payload") && strings.HasSuffix(segments[i], ".service") {
		return Container{}, false
	}
	name = strings.ReplaceAll(name, `\x2d`, "-")
	return Container{ID: name, Runtime: "nspawn", Name: name, System: true}, true
}

// nomad is ALLOCATION.TASK, a UUID and a name, below nomad or nomad.slice.
func nomad(segments []string, i int) (Container, bool) {
	s := strings.TrimSuffix(segments[i], ".scope")
	allocation, task, ok := strings.Cut(s, ".")
	if !ok || task == "" || !isUUID(allocation) {
		return Container{}, false
	}
	if !slices.Contains(segments[:i], "nomad") && !slices.Contains(segments[:i], "nomad.slice") {
		return Container{}, false
	}
	return Container{ID: s, Runtime: "nomad", Name: task}, true
}

// talos is a service of Talos Linux, whose system services are containers at the root: /system/NAME, /podruntime/NAME.
func talos(segments []string, i int) (Container, bool) {
	if i != 2 || segments[1] != "system" && segments[1] != "podruntime" || strings.Contains(segments[i], ".") {
		return Container{}, false
	}
	return Container{ID: segments[i], Runtime: "talos", Name: segments[i]}, true
}

// guid is Cloud Foundry's Garden (five groups of hex, or a UUID below "garden"), Fargate (/ecs/TASK/TASK-NUMBER) and Mesos.
func guid(segments []string, i int) (Container, bool) {
	s, outer := segments[i], segments[:i]
	switch {
	case slices.Contains(outer, "garden") && (isUUID(s) || isGroups(s, 8, 4, 4, 4, 4)):
		return Container{ID: s, Runtime: "garden"}, true
	case slices.Contains(outer, "mesos") && isUUID(s):
		return Container{ID: s, Runtime: "mesos"}, true
	case slices.Contains(outer, "ecs"):
		task, number, ok := strings.Cut(s, "-")
		if ok && isHex(task, 32) && number != "" && strings.Trim(number, "0123456789") == "" {
			return Container{ID: s, Runtime: "ecs"}, true
		}
	}
	return Container{}, false
}

// podUID finds the UID in podUID, kubepods-burstable-podUID.slice and kubelet-kubepods-podUID.slice. systemd's names have "_"
// for "-"; a static pod's UID is 32 hex digits.
func podUID(segment string) (string, bool) {
	s, _, _ := strings.Cut(segment, ":")
	s = strings.TrimSuffix(s, ".slice")
	i := strings.LastIndex(s, "pod")
	if i < 0 || i > 0 && s[i-1] != '-' {
		return "", false
	}
	uid := strings.ReplaceAll(s[i+len("pod"):], "_", "-")
	if isUUID(uid) || isHex(uid, 32) {
		return uid, true
	}
	return "", false
}

func isUUID(s string) bool { return isGroups(s, 8, 4, 4, 4, 12) }

// isGroups tells whether s is groups of hex digits of these lengths, joined by dashes.
func isGroups(s string, lengths ...int) bool {
	for i, n := range lengths {
		group, rest, more := strings.Cut(s, "-")
		if !isHex(group, n) || more != (i < len(lengths)-1) {
			return false
		}
		s = rest
	}
	return true
}

func isHex(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789abcdef") == "" }

func lowerAlnum(s string) bool {
	return strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
