package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// prometheusGets and prometheusPosts are the routes of Prometheus's API that are served: those that read.
var (
	prometheusGets = []string{
		"/query", "/query_range", "/query_exemplars", "/series", "/labels", "/label/:name/values", "/metadata", "/rules",
		"/alerts", "/format_query", "/status/buildinfo",
	}
	prometheusPosts = map[string]bool{
		"/query": true, "/query_range": true, "/query_exemplars": true, "/series": true, "/labels": true, "/format_query": true,
	}
)

func (a *API) routePrometheus(v1 *gin.RouterGroup) {
	h := func(c *gin.Context) { fail(c, http.StatusNotImplemented, "there is no store to query") }
	if a.opts.Prometheus != nil {
		h = gin.WrapH(http.StripPrefix(v1.BasePath(), a.opts.Prometheus))
	}
	for _, path := range prometheusGets {
		v1.GET(path, h)
		if prometheusPosts[path] {
			v1.POST(path, h)
		}
	}
}
