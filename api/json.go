package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"
)

// answer ends a request with v as JSON. It is made whole before the first byte is sent, so that a value that JSON has not
// (an infinity) is an error and not half an answer.
func (a *API) answer(c *gin.Context, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.failWith(c, fmt.Errorf("encoding the answer: %w", err))
		return
	}
	c.Data(http.StatusOK, "application/json", body)
}

// decode reads a request's JSON body, one value without unknown keys, into v.
func decode(c *gin.Context, v any) error {
	if t := c.GetHeader("Content-Type"); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != "application/json" {
			return badRequest("the body must be application/json, not %s", shorten(t))
		}
	}
	d := json.NewDecoder(c.Request.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return bodyError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body must be one JSON value")
	}
	return nil
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, io.EOF):
		return badRequest("the body is empty")
	}
	return badRequest("the body: %v", err)
}
