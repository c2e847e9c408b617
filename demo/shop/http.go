package shop

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/fault"
)

// Handler serves s, which speaks HTTP. It asks others by c, and has the faults that are in force while it serves a request.
func Handler(s Service, c *Client, faults *fault.Switch) http.Handler {
	mux := http.NewServeMux()
	for _, e := range s.Endpoints {
		if e.Queue != "" {
			continue
		}
		pattern := e.Pattern
		if pattern == "/" {
			pattern = "/{$}"
		}
		mux.Handle(e.Method+" "+pattern, endpoint{e, worker{s.Name, c, faults}})
	}
	return mux
}

type endpoint struct {
	Endpoint
	worker
}

func (e endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "unreadable request", http.StatusBadRequest)
		return
	}
	v := NewVisit(dice.ParseTrace(r.Header.Get(dice.Header)), e.service, r.PathValue)
	status := 0
	if code := e.work(r.Context(), e.Endpoint, v); code != codes.OK {
		status = ownStatus(code)
	} else if code := e.ask(r.Context(), e.Endpoint, v); code != codes.OK {
		status = gatewayStatus(code)
	}
	switch {
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // whoever asked has gone
	case status != 0:
		http.Error(w, http.StatusText(status), status)
	default:
		e.answer(w)
	}
}

// ownStatus is the status of an endpoint at which code goes wrong.
func ownStatus(code codes.Code) int {
	switch code {
	case codes.NotFound:
		return http.StatusNotFound
	case codes.FailedPrecondition:
		return http.StatusConflict
	case codes.InvalidArgument:
		return http.StatusBadRequest
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// gatewayStatus is the status of an endpoint at whose server code goes wrong.
func gatewayStatus(code codes.Code) int {
	if mistaken(code) {
		return ownStatus(code)
	}
	return http.StatusBadGateway
}

// codeOf is the code that stands for an HTTP status.
func codeOf(status int) codes.Code {
	switch {
	case status == 0 || status >= 500:
		return codes.Unavailable
	case status == http.StatusNotFound:
		return codes.NotFound
	case status == http.StatusConflict:
		return codes.FailedPrecondition
	case status >= 400:
		return codes.InvalidArgument
	}
	return codes.OK
}

func (e endpoint) answer(w http.ResponseWriter) {
	status := e.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if e.Chunks == 0 {
		w.Header().Set("Content-Length", strconv.Itoa(e.Body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text(e.Body)) // the peer may have gone; there is nobody to tell
		return
	}
	w.WriteHeader(status)
	for range e.Chunks {
		if _, err := io.WriteString(w, text(e.Body/e.Chunks)); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

// text is n bytes that read as JSON to whoever looks at a capture.
func text(n int) string {
	if n < 2 {
		return strings.Repeat(" ", n)
	}
	return `"` + strings.Repeat("x", n-2) + `"`
}
