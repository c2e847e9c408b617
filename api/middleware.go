package api

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// maxBody bounds what a request may send.
const maxBody = 1 << 20

type apiMetrics struct {
	requests *prometheus.CounterVec
	panics   prometheus.Counter
}

func newAPIMetrics(r prometheus.Registerer) *apiMetrics {
	m := &apiMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "toposcope_http_requests_total",
			Help: "Requests to Toposcope's own HTTP side, by route (other for the pages and what is not found) and status.",
		}, []string{"route", "code"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "toposcope_http_panics_total",
			Help: "Requests that ended in a panic: a fault in Toposcope.",
		}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.panics)
	}
	return m
}

func (a *API) count(c *gin.Context) {
	c.Next()
	route := c.FullPath()
	if route == "" {
		route = "other"
	}
	a.metrics.requests.WithLabelValues(route, strconv.Itoa(c.Writer.Status())).Inc()
}

// recover turns a panic into a problem, and ends the connection when an answer has begun.
func (a *API) recover(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		a.metrics.panics.Inc()
		a.opts.Logger.Error("A request handler panicked", "route", c.FullPath(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		fail(c, http.StatusInternalServerError, "a fault in Toposcope; the log has the particulars")
	}()
	c.Next()
}

// Policies for what a browser may do with an answer. Mantine sets styles from script, hence unsafe-inline for styles.
const (
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
		"font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; " +
		"form-action 'self'; frame-ancestors 'none'"
	dataPolicy = "default-src 'none'; frame-ancestors 'none'"
)

func secure(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", dataPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if strings.HasPrefix(c.Request.URL.Path, "/api/") {
		h.Set("Cache-Control", "no-store")
	}
}

// sameOrigin refuses a request that another site's page makes and that may change state. Prometheus's API is read by POST
// as well as by GET, and keeps its answers from other origins by itself.
func sameOrigin(c *gin.Context) {
	r := c.Request
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/v1/") && prometheusPosts[strings.TrimPrefix(r.URL.Path, "/api/v1")] {
		return
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
	default:
		fail(c, http.StatusForbidden, "a change must come from a page of this server, not "+strconv.Quote(site))
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			fail(c, http.StatusForbidden, "a change must come from a page of this server, not of another origin")
		}
	}
}

func limitBody(c *gin.Context) {
	if c.Request.Body != nil {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	}
}

// compressible are the types of our answers that shrink.
func compressible(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	switch strings.TrimSpace(t) {
	case "application/json", problemType, "application/yaml", "application/javascript", "text/javascript", "text/css",
		"text/html", "text/plain", "image/svg+xml":
		return true
	}
	return false
}
