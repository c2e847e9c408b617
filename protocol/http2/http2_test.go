package http2_test

import (
	"testing"

	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/http2/http2test"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, http2.Spec(), protocoltest.Encode(http2test.Encoder), protocoltest.Carry(http1.Spec()))
}
