// Package all lists every protocol that Toposcope knows, in the order in which they are asked whether bytes are theirs.
package all

import (
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/protocol/http2"
)

// Specs returns the protocols, the strictest sniffers first.
func Specs() []*protocol.Spec {
	return []*protocol.Spec{
		http2.Spec(grpc.Layer{}),
		http1.Spec(grpc.Layer{}),
		grpc.Spec(),
		dns.Spec(),
		dns.Multicast(),
		dns.LLMNR(),
	}
}
