// Package all lists every protocol that Toposcope knows, in the order in which they are asked whether bytes are theirs.
package all

import (
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/kafka"
	"github.com/toposcope/toposcope/protocol/mongodb"
	"github.com/toposcope/toposcope/protocol/mysql"
	"github.com/toposcope/toposcope/protocol/postgresql"
	"github.com/toposcope/toposcope/protocol/redis"
)

// Specs returns the protocols, the strictest sniffers first. o says which texts they keep.
func Specs(o protocol.Options) []*protocol.Spec {
	return []*protocol.Spec{
		http2.Spec(grpc.Layer{}),
		http1.Spec(grpc.Layer{}),
		grpc.Spec(),
		mongodb.Spec(o),
		mysql.Spec(o),
		postgresql.Spec(o),
		kafka.Spec(o),
		redis.Spec(o),
		dns.Spec(),
		dns.Multicast(),
		dns.LLMNR(),
	}
}
