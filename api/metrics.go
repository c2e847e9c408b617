package api

import (
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes bounds how many scrapes are made at a time: each holds all series as text.
const maxScrapes = 4

func (a *API) metricsHandler() gin.HandlerFunc {
	if a.opts.Gatherer == nil {
		return func(c *gin.Context) { fail(c, http.StatusNotImplemented, "there are no metrics") }
	}
	return gin.WrapH(promhttp.HandlerFor(a.opts.Gatherer, promhttp.HandlerOpts{
		ErrorLog:                            slog.NewLogLogger(a.opts.Logger.Handler(), slog.LevelError),
		ErrorHandling:                       promhttp.ContinueOnError, // what can be had is better than nothing
		MaxRequestsInFlight:                 maxScrapes,
		EnableOpenMetrics:                   true,
		EnableOpenMetricsTextCreatedSamples: true,
	}))
}
