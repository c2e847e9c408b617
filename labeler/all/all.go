// Package all lists the sources of labels, in the order in which they are asked.
package all

import (
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/container"
	"github.com/toposcope/toposcope/labeler/systemd"
)

// Sources is the chain. A process's own environment (OTEL_SERVICE_NAME) goes before it, its program's name after it.
func Sources() []labeler.Source {
	return []labeler.Source{
		systemd.Source{},
		container.Source{},
	}
}
