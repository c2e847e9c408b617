package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// pages are the files of the UI. A path that is none of them and looks like a view's is answered with index.html, whose
// script then shows that view.
type pages struct{ files map[string]page }

type page struct {
	body         []byte
	etag         string
	contentType  string
	cacheControl string
}

func newPages(ui fs.FS) (*pages, error) {
	p := &pages{files: map[string]page{}}
	if ui == nil {
		return p, nil
	}
	err := fs.WalkDir(ui, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(ui, name)
		if err != nil {
			return err
		}
		p.files[name] = newPage(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	if _, ok := p.files[index]; !ok {
		return nil, fmt.Errorf("reading the pages: %s is missing", index)
	}
	return p, nil
}

const index = "index.html"

func newPage(name string, body []byte) page {
	sum := sha256.Sum256(body)
	pg := page{
		body:         body,
		etag:         `"` + hex.EncodeToString(sum[:12]) + `"`,
		contentType:  contentType(name),
		cacheControl: "no-cache", // that is: ask whether it has changed
	}
	if strings.HasPrefix(name, "assets/") { // the build puts a hash of the content into the name
		pg.cacheControl = "public, max-age=31536000, immutable"
	}
	return pg
}

// contentType does not depend on the tables of the machine.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".json", ".map", ".webmanifest":
		return "application/json"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

// home leads a visitor who asks for nothing in particular to what there is to see.
func (a *API) home(c *gin.Context) {
	if r := c.Request; a.opts.Home != nil && r.URL.Path == "/" && r.URL.RawQuery == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		if to := a.opts.Home(); to != "" {
			c.Header("Cache-Control", "no-store")
			c.Redirect(http.StatusFound, to)
			c.Abort()
		}
	}
}

// notPages are the beginnings of paths that are never a view's.
var notPages = []string{"/api/", "/-/", "/debug/", "/assets/"}

func (p *pages) serve(c *gin.Context) {
	name := strings.TrimPrefix(c.Request.URL.Path, "/")
	pg, ok := p.files[name]
	if !ok {
		pg, ok = p.files[index]
		for _, prefix := range notPages {
			ok = ok && !strings.HasPrefix(c.Request.URL.Path, prefix)
		}
	}
	if !ok {
		fail(c, http.StatusNotFound, "there is nothing at this path")
		return
	}
	if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		c.Header("Allow", "GET, HEAD")
		fail(c, http.StatusMethodNotAllowed, "pages can only be read")
		return
	}
	h := c.Writer.Header()
	h.Set("Content-Type", pg.contentType)
	h.Set("Cache-Control", pg.cacheControl)
	h.Set("ETag", pg.etag)
	h.Set("Content-Security-Policy", pagePolicy)
	c.Status(http.StatusOK)
	http.ServeContent(c.Writer, c.Request, name, time.Time{}, bytes.NewReader(pg.body))
	c.Abort()
}
