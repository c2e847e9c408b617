package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Capture is the kill switch. It is called from many goroutines.
type Capture interface {
	// Enabled tells whether programs are attached, or being attached.
	Enabled() bool
	// SetEnabled attaches or detaches every program and returns when that is done. Its error is logged; one that wraps
	// ErrConflict is shown instead.
	SetEnabled(ctx context.Context, enabled bool) error
	// Reason says why programs are detached that nobody switched off; "" while they are not.
	Reason() string
}

// captureSwitch is what a client asks for.
type captureSwitch struct {
	Enabled *bool `json:"enabled"`
}

type captureState struct {
	Enabled bool   `json:"enabled"`
	Reason  string `json:"reason,omitempty"`
}

func (a *API) getCapture(c *gin.Context) {
	if a.opts.Capture == nil {
		fail(c, http.StatusNotImplemented, "nothing is captured by this process")
		return
	}
	state := captureState{Enabled: a.opts.Capture.Enabled()}
	if !state.Enabled {
		state.Reason = a.opts.Capture.Reason()
	}
	a.answer(c, state)
}

func (a *API) setCapture(c *gin.Context) {
	if a.opts.Capture == nil {
		fail(c, http.StatusNotImplemented, "nothing is captured by this process")
		return
	}
	var want captureSwitch
	if err := decode(c, &want); err != nil {
		a.failWith(c, err)
		return
	}
	if want.Enabled == nil {
		fail(c, http.StatusBadRequest, `the body must be {"enabled": true} or {"enabled": false}`)
		return
	}
	// A client that goes away does not leave the programs half attached.
	if err := a.opts.Capture.SetEnabled(context.WithoutCancel(c.Request.Context()), *want.Enabled); err != nil {
		a.failWith(c, err)
		return
	}
	a.opts.Logger.Info("Capture was switched through the API", "enabled", *want.Enabled)
	a.getCapture(c)
}
