// Package ui holds the web pages that the server hands out, as npm run build left them in dist.
package ui

import (
	"embed"
	"io/fs"
)

// The folder itself is always there (dist/.gitkeep), so that the Go side builds without Node.
//
//go:embed all:dist
var dist embed.FS

// fallback is what is shown when Go was built before the pages were.
//
//go:embed fallback
var fallback embed.FS

// Files are the pages with index.html at the root and everything it refers to below assets/, whose names change with
// their content. Without a build it holds one page that says how to make one.
func Files() fs.FS { return files(dist) }

func files(dist fs.FS) fs.FS {
	root, dir := dist, "dist"
	if _, err := fs.Stat(dist, "dist/index.html"); err != nil {
		root, dir = fallback, "fallback"
	}
	sub, err := fs.Sub(root, dir)
	if err != nil {
		panic(err) // dir is a constant and a valid path
	}
	return sub
}
