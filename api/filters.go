package api

import (
	"context"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Filters holds the process filter. It is called from many goroutines.
type Filters interface {
	// InForce is the filter, as JSON has it, and where it comes from: "config" or "api".
	InForce() (filters any, source string)
	// Set replaces the filter by that of a JSON document and keeps it over a restart. Its error is logged; one that wraps
	// ErrInvalid or ErrConflict is shown instead.
	Set(ctx context.Context, document []byte) error
	// Reset goes back to the filter of the configuration.
	Reset(ctx context.Context) error
}

type filtersInForce struct {
	Source  string `json:"source"`
	Filters any    `json:"filters"`
}

func (a *API) getFilters(c *gin.Context) {
	if a.opts.Filters == nil {
		fail(c, http.StatusNotImplemented, "no process is filtered here")
		return
	}
	f, source := a.opts.Filters.InForce()
	a.answer(c, filtersInForce{source, f})
}

func (a *API) setFilters(c *gin.Context) {
	if a.opts.Filters == nil {
		fail(c, http.StatusNotImplemented, "no process is filtered here")
		return
	}
	body, err := io.ReadAll(c.Request.Body)
	if err == nil && len(body) == 0 {
		err = io.EOF
	}
	if err != nil {
		a.failWith(c, bodyError(err))
		return
	}
	if err := a.opts.Filters.Set(context.WithoutCancel(c.Request.Context()), body); err != nil {
		a.failWith(c, err)
		return
	}
	a.opts.Logger.Info("The process filter was replaced through the API")
	a.getFilters(c)
}

func (a *API) deleteFilters(c *gin.Context) {
	if a.opts.Filters == nil {
		fail(c, http.StatusNotImplemented, "no process is filtered here")
		return
	}
	if err := a.opts.Filters.Reset(context.WithoutCancel(c.Request.Context())); err != nil {
		a.failWith(c, err)
		return
	}
	a.opts.Logger.Info("The process filter is that of the configuration again")
	a.getFilters(c)
}
