package grpc_test

import (
	"testing"

	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/http2/http2test"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, http2.Spec(grpc.Layer{}), protocoltest.Encode(http2test.Encoder), protocoltest.Carry(grpc.Spec()))
}
