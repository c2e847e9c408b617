package shop

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Handler serves s. It asks others by c.
func Handler(s Service, c *Client) http.Handler {
	mux := http.NewServeMux()
	for _, e := range s.Endpoints {
		pattern := e.Pattern
		if pattern == "/" {
			pattern = "/{$}"
		}
		mux.Handle(e.Method+" "+pattern, endpoint{e, c})
	}
	return mux
}

type endpoint struct {
	Endpoint
	client *Client
}

func (e endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "unreadable request", http.StatusBadRequest)
		return
	}
	e.work(r.Context())
	if status := e.fault(); status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	if status := e.ask(r); status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	e.answer(w)
}

// work takes the endpoint's time.
func (e endpoint) work(ctx context.Context) {
	d := e.client.Spread(e.Work)
	if e.client.Chance(e.Fault.Slow) {
		d += e.client.Spread(e.Fault.SlowBy)
	}
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// fault draws whether this request fails here, and with what status; 0: it does not.
func (e endpoint) fault() int {
	switch {
	case e.client.Chance(e.Fault.Failed):
		return http.StatusServiceUnavailable
	case e.client.Chance(e.Fault.NotFound):
		return http.StatusNotFound
	}
	return 0
}

// ask makes the endpoint's calls in turn. What a needed one lacks becomes this endpoint's status; 0: all is well.
func (e endpoint) ask(r *http.Request) int {
	value := func(wildcard string) string {
		if v := r.PathValue(wildcard); v != "" {
			return v
		}
		return e.client.Value(wildcard)
	}
	for _, call := range e.Calls {
		if call.Share > 0 && !e.client.Chance(call.Share) {
			continue
		}
		status, err := e.client.Do(r.Context(), call, value)
		switch {
		case call.Optional:
		case err != nil || status >= 500:
			return http.StatusBadGateway
		case status >= 400:
			return status
		}
	}
	return 0
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

func lognormal(rng *rand.Rand, sigma float64) float64 { return math.Exp(rng.NormFloat64() * sigma) }
