package http1_test

import (
	"testing"

	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

func TestTranscripts(t *testing.T) { protocoltest.Run(t, http1.Spec()) }
