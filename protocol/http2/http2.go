// Package http2 decodes HTTP/2 (RFC 9113) with its header compression (RFC 7541), from the first byte of a connection or from
// any place in the middle of one, where the header tables are not known; and what is spoken in its streams, by way of
// semantics.Layer.
//
// What refers to a part of a table that was not seen is reported as such (protocol.Unknown, Message.Unresolved), never guessed.
// What is inserted from then on is known.
//
// A message's Size is that of its HEADERS, CONTINUATION and DATA frames, with their headers of 9 bytes each; a RST_STREAM that ends
// an exchange belongs to the response, whoever sent it.
package http2

import (
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// Name is the protocol's name.
const Name = "http2"

// streamStep is how much the IDs of a client's streams grow by.
const streamStep = 2

// Spec describes HTTP/2, and what layers are spoken in it, to the framework. Layers are asked in their order. Their own Specs have
// Name as their Carrier.
func Spec(layers ...semantics.Layer) *protocol.Spec {
	fields := semantics.NewFields(layers...)
	cfg := &config{fields: fields, statics: newStatics(fields)}
	return &protocol.Spec{
		Name:    Name,
		System:  protocol.SystemHTTP,
		Aliases: []string{"h2", "h2c"},
		Sniff:   sniff,
		New:     func() protocol.Parser { return newParser(cfg) },
		Pairing: protocol.ByID,
		IDStep:  streamStep,
		// Compressed headers cannot be read where one block is missing.
		Capture: protocol.Capture{Whole: true},
	}
}

// config is what the parsers of a Spec share; it does not change.
type config struct {
	fields  *semantics.Fields
	statics *statics
}
