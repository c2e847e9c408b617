package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

func healthy(c *gin.Context) { c.String(http.StatusOK, "Toposcope is alive.\n") }

func (a *API) ready(c *gin.Context) {
	if err := a.readiness(); err != nil {
		fail(c, http.StatusServiceUnavailable, err.Error())
		return
	}
	c.String(http.StatusOK, "Toposcope is ready.\n")
}

func (a *API) readiness() error {
	if a.opts.Ready == nil {
		return nil
	}
	return a.opts.Ready()
}

// healthHandler is health alone.
func (a *API) healthHandler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(a.recover, secure)
	e.NoRoute(func(c *gin.Context) {
		fail(c, http.StatusNotFound, "only /-/healthy and /-/ready are served here")
	})
	e.Match(readMethods, "/-/healthy", healthy)
	e.Match(readMethods, "/-/ready", a.ready)
	return e
}
