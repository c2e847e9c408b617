package labeler

import (
	"fmt"
	"slices"
	"sort"
)

// Match selects processes. Its keys are ANDed; one that is left out or empty asks for nothing. Values are globs: "*" is any
// run of characters, "/" among them, "?" is one, and the whole value is compared, letter case included.
type Match struct {
	// Namespace is the Kubernetes namespace, for a process in no pod its service namespace.
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
	Pod       string `yaml:"pod,omitempty" json:"pod,omitempty"`
	// PodLabels and PodAnnotations map names to globs of values; each of them must be there.
	PodLabels      map[string]string `yaml:"pod_labels,omitempty" json:"pod_labels,omitempty"`
	PodAnnotations map[string]string `yaml:"pod_annotations,omitempty" json:"pod_annotations,omitempty"`
	// Container is a container's name in its pod or runtime, or its ID.
	Container string `yaml:"container,omitempty" json:"container,omitempty"`
	Workload  string `yaml:"workload,omitempty" json:"workload,omitempty"`
	// SystemdUnit is a service unit's full name, "nginx.service".
	SystemdUnit string `yaml:"systemd_unit,omitempty" json:"systemd_unit,omitempty"`
	// Executable is the program's path; Process its base name or the kernel's 15-byte name of the process.
	Executable string `yaml:"executable,omitempty" json:"executable,omitempty"`
	Process    string `yaml:"process,omitempty" json:"process,omitempty"`
	// Service is service_name.
	Service string `yaml:"service,omitempty" json:"service,omitempty"`
	// PID lists processes of the host by number; those forked from them are meant too, until they call exec.
	PID []int `yaml:"pid,omitempty" json:"pid,omitempty"`
	// Port lists TCP ports; a process that listens on one of them is meant.
	Port []int `yaml:"port,omitempty" json:"port,omitempty"`
}

// maxPID is the kernel's own limit, PID_MAX_LIMIT.
const maxPID = 1 << 22

// Validate says what is wrong, led by the key's path below path: "filters.rules[1].match.pid[0]: …". A nil match, one that
// was not written, is wrong too, so that a rule for everything is only made on purpose, with "match: {}".
func (m *Match) Validate(path string) error {
	_, err := newSelector(path, m)
	return err
}

// key is a key of Match with a glob as its value.
type key uint8

const (
	keyNamespace key = iota
	keyPod
	keyContainer
	keyWorkload
	keyUnit
	keyExecutable
	keyProcess
	keyService
)

// globs are m's values by key, with the names that the configuration gives them.
func (m *Match) globs() [keyService + 1]struct{ name, pattern string } {
	return [...]struct{ name, pattern string }{
		keyNamespace:  {"namespace", m.Namespace},
		keyPod:        {"pod", m.Pod},
		keyContainer:  {"container", m.Container},
		keyWorkload:   {"workload", m.Workload},
		keyUnit:       {"systemd_unit", m.SystemdUnit},
		keyExecutable: {"executable", m.Executable},
		keyProcess:    {"process", m.Process},
		keyService:    {"service", m.Service},
	}
}

// late tells keys whose values /proc does not have, so that they may come after the process has begun to talk.
func (k key) late() bool { return k <= keyWorkload }

// Selector is a Match made ready. It is immutable.
type Selector struct {
	conditions          []condition
	labels, annotations []pair
	pids                []uint32 // sorted
	ports               []uint16 // sorted
	late                bool
}

type condition struct {
	key  key
	glob glob
}

type pair struct {
	name  string
	value glob
}

// NewSelector makes m ready. Its errors are Validate's, with path "match".
func NewSelector(m *Match) (*Selector, error) { return newSelector("match", m) }

func newSelector(path string, m *Match) (*Selector, error) {
	if m == nil {
		return nil, fmt.Errorf("%s: is missing; write {} to match every process", path)
	}
	s := &Selector{}
	for k, v := range m.globs() {
		if v.pattern == "" {
			continue
		}
		g, err := compileGlob(v.pattern)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", path, v.name, err)
		}
		s.conditions = append(s.conditions, condition{key(k), g})
		s.late = s.late || key(k).late()
	}
	var err error
	if s.labels, err = pairs(path+".pod_labels", m.PodLabels); err != nil {
		return nil, err
	}
	if s.annotations, err = pairs(path+".pod_annotations", m.PodAnnotations); err != nil {
		return nil, err
	}
	s.late = s.late || len(s.labels)+len(s.annotations) > 0
	if s.pids, err = numbers[uint32](path+".pid", m.PID, maxPID); err != nil {
		return nil, err
	}
	s.ports, err = numbers[uint16](path+".port", m.Port, 65535)
	return s, err
}

func pairs(path string, m map[string]string) ([]pair, error) {
	var list []pair
	for name, pattern := range m {
		if name == "" {
			return nil, fmt.Errorf("%s: a name is empty", path)
		}
		g, err := compileGlob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", path, name, err)
		}
		list = append(list, pair{name, g})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list, nil
}

func numbers[T uint16 | uint32](path string, list []int, limit int) ([]T, error) {
	var out []T
	for i, n := range list {
		if n < 1 || n > limit {
			return nil, fmt.Errorf("%s[%d]: %d is not between 1 and %d", path, i, n, limit)
		}
		out = append(out, T(n))
	}
	slices.Sort(out)
	return out, nil
}

// Selects tells whether r, which listens on these ports, is meant. It does not allocate.
func (s *Selector) Selects(r *Resource, listening []uint16) bool {
	return s.selects(r, r.PID, listening)
}

// selects is Selects for a process that was forked from the one numbered origin.
func (s *Selector) selects(r *Resource, origin uint32, listening []uint16) bool {
	for i := range s.conditions {
		if !s.conditions[i].holds(r) {
			return false
		}
	}
	if s.pids != nil && !contains(s.pids, r.PID) && !contains(s.pids, origin) {
		return false
	}
	if s.ports != nil && !slices.ContainsFunc(listening, func(p uint16) bool { return contains(s.ports, p) }) {
		return false
	}
	return allHold(s.labels, r.PodLabels) && allHold(s.annotations, r.PodAnnotations)
}

func contains[T uint16 | uint32](sorted []T, v T) bool {
	_, ok := slices.BinarySearch(sorted, v)
	return ok
}

func (c *condition) holds(r *Resource) bool {
	switch c.key {
	case keyNamespace:
		if r.K8sNamespace != "" {
			return c.matches(r.K8sNamespace)
		}
		return c.matches(r.Namespace)
	case keyPod:
		return c.matches(r.K8sPod)
	case keyContainer:
		return c.matches(r.K8sContainer) || c.matches(r.ContainerName) || c.matches(r.ContainerID)
	case keyWorkload:
		return c.matches(r.K8sWorkload)
	case keyUnit:
		return c.matches(r.Unit)
	case keyExecutable:
		return c.matches(r.ExecutablePath)
	case keyProcess:
		return c.matches(r.Executable) || c.matches(r.Command)
	default:
		return c.matches(r.Name)
	}
}

// matches compares a value; none at all ("") matches nothing, not even "*".
func (c *condition) matches(v string) bool { return v != "" && c.glob.match(v) }

func allHold(list []pair, m map[string]string) bool {
	for i := range list {
		v, ok := m[list[i].name]
		if !ok || !list[i].value.match(v) {
			return false
		}
	}
	return true
}
