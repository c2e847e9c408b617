// Package labeler says who is at each end of a connection: process, container, service, and the operator's own tags.
//
// It imports nothing of ours but collector/event and labeler/process, which follows processes. Sources (systemd, container,
// later k8s) each know one thing about a process and are asked in the order of labeler/all; a Directory knows who holds an
// address; a Filter says which processes are watched.
package labeler

// Kind is what a Resource stands for on the map.
type Kind string

// Kinds, as the topology API names them.
const (
	KindWorkload Kind = "workload" // a Kubernetes workload
	KindService  Kind = "service"  // a process or unit watched on a host
	KindHost     Kind = "host"     // a known host, the process on it not known
	KindExternal Kind = "external" // an address that nobody of ours holds
	KindUnknown  Kind = "unknown"
)

// Label is a business tag.
type Label struct{ Name, Value string }

// Resource is one end of an exchange. It is immutable: a change of identity (an exec, a learnt name) makes a new one, and
// equal resources are the same pointer for as long as they are in use, so that a pointer is a map key.
type Resource struct {
	// Name is service_name, Namespace service_namespace. Name is never empty.
	Name, Namespace string
	// InstanceID is service_instance_id: namespace/pod/container, else unit@host, else host:listening port, else
	// executable@host; stable over restarts.
	InstanceID string
	Kind       Kind

	PID            uint32 // 0 for an end without a process
	Start          uint64 // start time of the process, ns since boot
	Executable     string // base name, process_executable_name
	ExecutablePath string
	Command        string // comm
	Unit           string // systemd_unit
	ContainerID    string
	ContainerName  string
	Host           string

	K8sNamespace, K8sPod, K8sContainer, K8sWorkload, K8sWorkloadKind, K8sNode string
	// PodUID, PodLabels and PodAnnotations are for rules to match on and for sources to join on; no series carries them.
	PodUID                    string
	PodLabels, PodAnnotations map[string]string

	// Labels are the business labels, sorted by name.
	Labels []Label
	// Self marks Toposcope's own processes; their traffic is left out.
	Self bool
}
