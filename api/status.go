package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Status is how the process is doing.
type Status struct {
	Version   string    `json:"version"`
	Revision  string    `json:"revision"`
	GoVersion string    `json:"goVersion"`
	StartTime time.Time `json:"startTime"`
	// UptimeSeconds, Ready and Reason (why not ready) are filled in by the API.
	UptimeSeconds float64 `json:"uptimeSeconds"`
	Ready         bool    `json:"ready"`
	Reason        string  `json:"reason"`

	Capture CaptureStatus `json:"capture"`
	// Stages are those of the pipeline, in its order.
	Stages []StageStatus `json:"stages"`
	Store  StoreStatus   `json:"store"`
}

// CaptureStatus is how bytes are captured.
type CaptureStatus struct {
	Enabled bool `json:"enabled"`
	// Method is the way in: fexit, kprobe, tracepoint, syscall or packet; replay for a capture file; "" before one is found.
	Method   string          `json:"method"`
	Programs []ProgramStatus `json:"programs"`
	// Lacking are capabilities without which capture goes on and sees less.
	Lacking []CapabilityStatus `json:"lacking"`
}

// CapabilityStatus is a capability (capabilities(7)) that the process has not; Unseen is what is not captured or named for it.
type CapabilityStatus struct {
	Capability string `json:"capability"`
	Unseen     string `json:"unseen"`
}

// ProgramStatus is one program of the kernel; Error says why it is not attached.
type ProgramStatus struct {
	Name     string `json:"name"`
	Attached bool   `json:"attached"`
	Error    string `json:"error"`
}

// StageStatus counts what a stage has taken in and what it has dropped since the start.
type StageStatus struct {
	Name   string `json:"name"`
	Events uint64 `json:"events"`
	Lost   uint64 `json:"lost"`
	// Unresolved are those, of Events, in which a name or a status reads "unknown": it was said before capture began, or lost.
	Unresolved uint64 `json:"unresolved"`
}

// StoreStatus is the embedded store; OldestTime is null while it is empty.
type StoreStatus struct {
	Path             string     `json:"path"`
	OldestTime       *time.Time `json:"oldestTime"`
	RetentionSeconds float64    `json:"retentionSeconds"`
}

func (a *API) getStatus(c *gin.Context) {
	if a.opts.Status == nil {
		fail(c, http.StatusNotImplemented, "there is no status")
		return
	}
	s := a.opts.Status()
	if !s.StartTime.IsZero() {
		s.UptimeSeconds = a.opts.Now().Sub(s.StartTime).Seconds()
	}
	if err := a.readiness(); err != nil {
		s.Reason = err.Error()
	} else {
		s.Ready = true
	}
	if s.Capture.Lacking == nil {
		s.Capture.Lacking = []CapabilityStatus{}
	}
	if s.Capture.Programs == nil {
		s.Capture.Programs = []ProgramStatus{}
	}
	if s.Stages == nil {
		s.Stages = []StageStatus{}
	}
	if t := s.Store.OldestTime; t != nil && t.IsZero() {
		s.Store.OldestTime = nil
	}
	if a.opts.Capture != nil {
		s.Capture.Enabled = a.opts.Capture.Enabled()
	}
	a.answer(c, s)
}
