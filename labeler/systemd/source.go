package systemd

import (
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/process"
)

// Source labels processes with their service unit, and names them after it where its name says what they are. Scopes are no
// label: a session's or a container's name is new each time.
type Source struct{}

var _ labeler.Source = Source{}

// Label implements labeler.Source.
func (Source) Label(p *process.Program, r *labeler.Resource) {
	u := Parse(p.Cgroup())
	if !u.IsService() {
		return
	}
	r.Unit = u.Name
	if u.Service == "" {
		return
	}
	if r.Name == "" {
		r.Name = u.Service
	}
	if r.InstanceID == "" {
		r.InstanceID = u.Name + "@" + r.Host
	}
}
