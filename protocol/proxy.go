package protocol

import "bytes"

// The PROXY protocol (HAProxy's proxy-protocol.txt, version 2): load balancers put a line, or a block of bytes, in front of all that
// a client sends, to tell the address of their own client. The real protocol follows at once.
const (
	proxyLine      = "PROXY "
	maxProxyLine   = 107
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyHeader    = len(proxySignature) + 4
	// maxProxyBlock is the longest block that is believed: addresses, and what a balancer tells of TLS and of itself.
	maxProxyBlock = 4 << 10
	// maxProxies is how many preambles a connection may begin with, one of each balancer on the way: without end they would keep it
	// undecided, and copied whole.
	maxProxies = 4
)

// sniffProxy judges whether data begins with the preamble of the PROXY protocol, of n bytes.
func sniffProxy(data []byte) (n int, o Sniffed) {
	if len(data) > 0 && data[0] == '\r' {
		return sniffProxyBlock(data)
	}
	if k := min(len(data), len(proxyLine)); string(data[:k]) != proxyLine[:k] {
		return 0, No
	} else if k < len(proxyLine) {
		return 0, More
	}
	line := data[:min(len(data), maxProxyLine)]
	end := bytes.IndexByte(line, '\n')
	rest := line[len(proxyLine):]
	if end >= 0 {
		rest = line[len(proxyLine):end]
	}
	switch family := [...]string{"TCP4 ", "TCP6 ", "UNKNOWN"}; {
	case !proxyFamily(rest, family[:], end >= 0), end < 0 && len(line) == maxProxyLine:
		return 0, No
	case end < 0:
		return 0, More
	case line[end-1] != '\r':
		return 0, No
	default:
		return end + 1, Yes
	}
}

// proxyFamily says whether a line, if it is ended, begins with one of the families, else whether it may.
func proxyFamily(rest []byte, families []string, ended bool) bool {
	for _, f := range families {
		k := min(len(rest), len(f))
		if string(rest[:k]) == f[:k] && (k == len(f) || !ended) {
			return true
		}
	}
	return false
}

// sniffProxyBlock judges the binary form: a signature, version and command, family and transport, a length and as many bytes.
func sniffProxyBlock(data []byte) (n int, o Sniffed) {
	k := min(len(data), len(proxySignature))
	if string(data[:k]) != proxySignature[:k] {
		return 0, No
	}
	if len(data) < proxyHeader {
		return 0, More
	}
	const version = 2
	command, family := data[12], data[13]
	length := int(data[14])<<8 | int(data[15])
	switch {
	case command>>4 != version, command&0xf > 1, family>>4 > 3, family&0xf > 2, length > maxProxyBlock:
		return 0, No
	case len(data) < proxyHeader+length:
		return 0, More
	default:
		return proxyHeader + length, Yes
	}
}
