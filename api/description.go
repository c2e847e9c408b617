package api

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

//go:embed openapi.yaml
var description []byte

func getDescription(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", description) }
