package dnsname

import (
	"bytes"
	"net/netip"
	"time"
	"unsafe"
)

// nextAddr reads the first of a comma-separated list of addresses; it is not valid when that is none.
func nextAddr(list []byte) (a netip.Addr, rest []byte) {
	first, rest, _ := bytes.Cut(list, []byte{','})
	if len(first) == 0 {
		return a, rest
	}
	// The parser takes a string, and keeps it in an error alone, which is dropped here.
	a, err := netip.ParseAddr(unsafe.String(&first[0], len(first)))
	if err != nil {
		return netip.Addr{}, rest
	}
	return a, rest
}

// parseTTL reads seconds. What is no number is 0.
func parseTTL(text []byte) time.Duration {
	const most = 1<<31 - 1 // RFC 2181 section 8
	n := time.Duration(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0
		}
		if n = n*10 + time.Duration(c-'0'); n > most {
			return 0
		}
	}
	return n * time.Second
}
