// Package api is Toposcope's HTTP side: the topology, Prometheus's API on the store, control of the capture, health and the
// pages. It knows its neighbours by small interfaces and links neither a store nor a kernel.
//
// One file is one resource. openapi.yaml describes every route; a test keeps the two equal.
package api

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Options.
const (
	DefaultListenAddress  = "127.0.0.1:7676"
	DefaultWindow         = 5 * time.Minute
	DefaultMaxWindow      = 31 * 24 * time.Hour
	DefaultTimeout        = time.Minute
	DefaultMaxConnections = 512
	DefaultMaxGraphs      = 8
)

// Options of an API. What is nil is not served: its routes answer 501.
type Options struct {
	// Listener takes requests; it is closed by Run. Without one Run listens on ListenAddress.
	Listener      net.Listener
	ListenAddress string
	// HealthListener or HealthAddress serve health alone, without credentials; none by default.
	HealthListener net.Listener
	HealthAddress  string
	// WebConfigFile is an exporter-toolkit web config (TLS, basic authentication); "" for none.
	WebConfigFile string
	// EnableLifecycle allows POST /-/reload, EnablePprof serves /debug/pprof/.
	EnableLifecycle, EnablePprof bool

	// MaxConnections are served at a time, further ones wait; MaxGraphs topology requests are computed at a time.
	MaxConnections, MaxGraphs int
	// MaxWindow is the longest window of a topology request, Timeout how long one may take.
	MaxWindow, Timeout time.Duration

	Graphs Graphs
	// Prometheus is Prometheus's HTTP API, at "/query" and so on.
	Prometheus http.Handler
	Gatherer   prometheus.Gatherer
	// Ready says why the process is not ready; nil func and nil error mean that it is.
	Ready func() error
	// Reload applies the configuration anew.
	Reload  func(ctx context.Context) error
	Capture Capture
	Filters Filters
	// Status is what GET /api/v1/status says; uptime and readiness are filled in here.
	Status func() Status
	// UI holds the pages, index.html at its root.
	UI fs.FS
	// Home is where "/" without a view leads, as a path with a query; nil func and "" mean to the view of the present.
	Home func() string

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock of default windows; nil means time.Now.
	Now func() time.Time
}

// API serves Toposcope's HTTP side. Make one with New.
type API struct {
	opts    Options
	handler http.Handler
	routes  gin.RoutesInfo
	metrics *apiMetrics
	graphs  chan struct{} // a place for each topology request that is computed
}

// New makes an API. It fails when the UI cannot be read.
func New(o Options) (*API, error) {
	setDefaults(&o)
	a := &API{opts: o, metrics: newAPIMetrics(o.Registerer), graphs: make(chan struct{}, o.MaxGraphs)}
	pages, err := newPages(o.UI)
	if err != nil {
		return nil, err
	}
	engine := a.engine(pages)
	a.routes = engine.Routes()
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypeFilter(compressible))
	if err != nil {
		return nil, err
	}
	a.handler = compress(engine)
	return a, nil
}

// Handler answers every request of the main port, credentials apart.
func (a *API) Handler() http.Handler { return a.handler }

func setDefaults(o *Options) {
	if o.ListenAddress == "" {
		o.ListenAddress = DefaultListenAddress
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.MaxGraphs <= 0 {
		o.MaxGraphs = DefaultMaxGraphs
	}
	if o.MaxWindow <= 0 {
		o.MaxWindow = DefaultMaxWindow
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// engine routes requests. Every route is in openapi.yaml, but those for debugging and the pages.
func (a *API) engine(pages *pages) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = true
	e.ContextWithFallback = true
	e.Use(a.count, a.recover, secure, sameOrigin, limitBody)
	e.NoMethod(func(c *gin.Context) {
		fail(c, http.StatusMethodNotAllowed, c.Request.Method+" is not among "+c.Writer.Header().Get("Allow"))
	})
	e.NoRoute(a.home, pages.serve)

	v1 := e.Group("/api/v1")
	v1.GET("/topology", a.getTopology)
	v1.GET("/topology/nodes/*id", a.getNode)
	v1.GET("/topology/edges/*id", a.getEdge)
	v1.GET("/status", a.getStatus)
	v1.GET("/capture", a.getCapture)
	v1.PUT("/capture", a.setCapture)
	v1.GET("/filters", a.getFilters)
	v1.PUT("/filters", a.setFilters)
	v1.DELETE("/filters", a.deleteFilters)
	v1.GET("/openapi.yaml", getDescription)
	a.routePrometheus(v1)

	e.Match(readMethods, "/metrics", a.metricsHandler())
	e.Match(readMethods, "/-/healthy", healthy)
	e.Match(readMethods, "/-/ready", a.ready)
	e.POST("/-/reload", a.reload)
	if a.opts.EnablePprof {
		routePprof(e)
	}
	return e
}

var readMethods = []string{http.MethodGet, http.MethodHead}
