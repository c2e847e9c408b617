package ui

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFiles(t *testing.T) {
	tests := []struct {
		name string
		dist fs.FS
		want string
	}{
		{"before npm run build", fstest.MapFS{"dist/.gitkeep": {}}, "npm --prefix ui run build"},
		{"after npm run build", fstest.MapFS{"dist/index.html": {Data: []byte("<div id=root>")}}, "<div id=root>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, err := fs.ReadFile(files(tt.dist), "index.html")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(page), tt.want) {
				t.Errorf("index.html does not contain %q:\n%s", tt.want, page)
			}
		})
	}
}

func TestFilesHasIndexPage(t *testing.T) {
	if _, err := fs.Stat(Files(), "index.html"); err != nil {
		t.Fatal(err)
	}
}
