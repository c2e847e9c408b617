package config

import (
	"fmt"
	"math"

	"github.com/alecthomas/units"
	"go.yaml.in/yaml/v3"

	"github.com/toposcope/toposcope/topology"
)

// Limits bound what Toposcope keeps and takes.
type Limits struct {
	Series              int `yaml:"series"`
	RoutesPerService    int `yaml:"routes_per_service"`
	PeersPerService     int `yaml:"peers_per_service"`
	InstancesPerService int `yaml:"instances_per_service"`
	// CPU is in cores: this process's, and what its kernel programs take in the processes that are watched.
	CPU float64 `yaml:"cpu"`
	// Memory is this process's, and what the kernel holds for it: rings and maps.
	Memory Bytes `yaml:"memory"`
}

func defaultLimits() Limits {
	return Limits{
		Series: 50_000, RoutesPerService: 100, PeersPerService: 1000, InstancesPerService: 200,
		CPU: 0.5, Memory: 512 << 20,
	}
}

// Topology is the part of l that the topology keeps to.
func (l Limits) Topology() topology.Limits {
	return topology.Limits{
		Series: l.Series, RoutesPerService: l.RoutesPerService, PeersPerService: l.PeersPerService,
		InstancesPerService: l.InstancesPerService,
	}
}

// Heap is what Go's runtime may use of Memory, given what the kernel holds for the process: a little less than the rest, so that it
// collects before the guard has to act, and no less than half of Memory.
func (l Limits) Heap(kernel Bytes) Bytes {
	half := l.Memory / 2
	if kernel >= half {
		return half
	}
	rest := l.Memory - kernel
	return max(rest-rest/20, half)
}

func (l Limits) validate() error {
	for _, n := range []struct {
		key   string
		value int
	}{
		{"series", l.Series},
		{"routes_per_service", l.RoutesPerService},
		{"peers_per_service", l.PeersPerService},
		{"instances_per_service", l.InstancesPerService},
	} {
		if n.value < 1 {
			return invalid("%d is less than 1", n.value).at("limits", n.key)
		}
	}
	if !(l.CPU > 0) || math.IsInf(l.CPU, 0) {
		return invalid("%v is not a number of cores above 0", l.CPU).at("limits", "cpu")
	}
	const least = 64 << 20
	if l.Memory < least {
		return invalid("%s is less than %s", l.Memory, Bytes(least)).at("limits", "memory")
	}
	return nil
}

// Bytes is a size: a number of bytes, or with a unit that is a power of 1024 (512MiB, or 512MB as Prometheus writes it).
type Bytes uint64

// UnmarshalYAML implements yaml.Unmarshaler.
func (b *Bytes) UnmarshalYAML(n *yaml.Node) error {
	var plain uint64
	if err := n.Decode(&plain); err == nil {
		*b = Bytes(plain)
		return nil
	}
	size, err := units.ParseBase2Bytes(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode || size < 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: cannot unmarshal %s `%s` into config.Bytes", n.Line, n.ShortTag(), n.Value)}}
	}
	*b = Bytes(size)
	return nil
}

func (b Bytes) String() string { return units.Base2Bytes(b).String() }
