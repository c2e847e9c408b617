package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/toposcope/toposcope/topology/history"
)

// Problem is an error as RFC 9457 writes it. Type is about:blank: Title then is the status in words (section 4.2.1).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

const problemType = "application/problem+json"

// fail ends a request with a problem.
func fail(c *gin.Context, status int, detail string) {
	body, err := json.Marshal(Problem{"about:blank", http.StatusText(status), status, detail})
	if err != nil {
		panic(err) // strings and a number
	}
	c.Header("Cache-Control", "no-store")
	c.Abort()
	c.Data(status, problemType, body)
}

// statusClientClosed is what nginx logs for a client that did not wait; nobody reads it.
const statusClientClosed = 499

// failWith ends a request with the problem that err is. What is no fault of the request is logged, and told without
// particulars.
func (a *API) failWith(c *gin.Context, err error) {
	var unavailable interface{ Unavailable() bool }
	var invalid interface{ Invalid() bool }
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, history.ErrBadQuery), errors.Is(err, ErrInvalid):
		fail(c, http.StatusBadRequest, strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "))
	case errors.As(err, &invalid) && invalid.Invalid():
		fail(c, http.StatusBadRequest, err.Error())
	case errors.As(err, &tooLarge):
		fail(c, http.StatusRequestEntityTooLarge, err.Error())
	case errors.Is(err, history.ErrNotFound):
		fail(c, http.StatusNotFound, err.Error())
	case errors.Is(err, ErrConflict):
		fail(c, http.StatusConflict, strings.TrimPrefix(err.Error(), ErrConflict.Error()+": "))
	case c.Request.Context().Err() != nil:
		fail(c, statusClientClosed, "the client went away")
	case errors.Is(err, context.DeadlineExceeded):
		fail(c, http.StatusServiceUnavailable, "it took too long; ask for a shorter window")
	case errors.As(err, &unavailable) && unavailable.Unavailable():
		fail(c, http.StatusServiceUnavailable, err.Error())
	default:
		a.opts.Logger.Error("A request failed", "method", c.Request.Method, "route", c.FullPath(), "err", err)
		fail(c, http.StatusInternalServerError, "the reason is in the log")
	}
}

// Errors that an implementation of Capture or Filters wraps to tell the client what is wrong; others are only logged.
var (
	// ErrInvalid: the request's content is wrong (400).
	ErrInvalid = errors.New("invalid request")
	// ErrConflict: the state may not be changed here, or not now (409).
	ErrConflict = errors.New("conflict")
)
