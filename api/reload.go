package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// reload applies the configuration anew. Its error is shown: it names the file and the line, which is what the caller needs.
func (a *API) reload(c *gin.Context) {
	switch {
	case !a.opts.EnableLifecycle:
		fail(c, http.StatusForbidden, "start with --web.enable-lifecycle to allow this, or send SIGHUP")
	case a.opts.Reload == nil:
		fail(c, http.StatusNotImplemented, "there is nothing to reload")
	default:
		if err := a.opts.Reload(c.Request.Context()); err != nil {
			a.opts.Logger.Error("Reloading the configuration failed; the old one stays in force", "err", err)
			fail(c, http.StatusInternalServerError, err.Error())
			return
		}
		c.String(http.StatusOK, "Reloaded.\n")
	}
}
