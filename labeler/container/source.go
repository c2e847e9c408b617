package container

import (
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/process"
)

// Source labels processes with their container. A container that holds one service names it where its own name is known; one
// that holds a whole system does not.
type Source struct{}

var _ labeler.Source = Source{}

// Label implements labeler.Source.
func (Source) Label(p *process.Program, r *labeler.Resource) {
	c, ok := Parse(p.Cgroup())
	if !ok {
		return
	}
	r.ContainerID, r.PodUID = c.ID, c.PodUID
	if r.ContainerName == "" {
		r.ContainerName = firstOf(c.Name, c.Short())
	}
	if c.System {
		return
	}
	if r.Name == "" {
		r.Name = c.Name
	}
	if r.InstanceID == "" {
		r.InstanceID = r.ContainerName + "@" + r.Host
	}
}
