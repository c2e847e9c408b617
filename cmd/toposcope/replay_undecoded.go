package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// undecoded counts the connections whose bytes are not decoded. The tracker itself only knows of those that are open.
type undecoded struct {
	unknown, tls uint64
	hellos       map[hello]uint64 // of tls, by what is said in clear
}

// hello is what the beginning of a TLS connection says in clear.
type hello struct{ server, version, alpn string }

// maxHellos bounds the hellos that are told apart, shownHellos those that are printed.
const (
	maxHellos   = 4096
	shownHellos = 20
)

var _ protocol.Verdicts = (*undecoded)(nil)

// SetVerdict implements protocol.Verdicts.
func (u *undecoded) SetVerdict(_ event.ConnID, v protocol.Verdict) {
	if v.Refused && v.Why == protocol.ReasonUnknown && !v.Again {
		u.unknown++
	}
}

func (u *undecoded) handshake(h *protocol.Handshake) {
	u.tls++
	key := hello{string(h.ServerName), h.Version, string(h.ALPN)}
	if _, ok := u.hellos[key]; !ok && len(u.hellos) >= maxHellos {
		return
	}
	if u.hellos == nil {
		u.hellos = map[hello]uint64{}
	}
	u.hellos[key]++
}

// notes tells of them, of opened connections in all.
func (u *undecoded) notes(opened uint64) (notes []string) {
	if u.tls+u.unknown == 0 {
		return nil
	}
	notes = append(notes, fmt.Sprintf("Not decoded: %d connections with TLS, %d that speak nothing known, of %d.", u.tls, u.unknown, opened))
	hellos := slices.SortedFunc(maps.Keys(u.hellos), func(a, b hello) int {
		return cmp.Or(cmp.Compare(u.hellos[b], u.hellos[a]), strings.Compare(a.String(), b.String()))
	})
	for _, h := range hellos[:min(len(hellos), shownHellos)] {
		notes = append(notes, fmt.Sprintf("  %s: %d", h, u.hellos[h]))
	}
	if more := len(hellos) - shownHellos; more > 0 {
		notes = append(notes, fmt.Sprintf("  and %d more", more))
	}
	return notes
}

// String is h in words, such as "TLS 1.3 to api.example.com, ALPN h2".
func (h hello) String() string {
	version := cmp.Or(h.version, "of a version not seen")
	if h.version == "3.0" {
		version = "as SSL 3.0"
	}
	s := "TLS " + version
	if h.server != "" {
		s += " to " + h.server
	}
	if h.alpn != "" {
		s += fmt.Sprintf(", ALPN %s", strings.Trim(fmt.Sprintf("%q", h.alpn), `"`))
	}
	return s
}
