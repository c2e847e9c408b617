package grpc

import "github.com/toposcope/toposcope/protocol"

// code is a status code of gRPC (https://grpc.io/docs/guides/status-codes/).
type code uint8

// Codes that something is mapped to.
const (
	ok                code = 0
	cancelled         code = 1
	unknownCode       code = 2
	deadlineExceeded  code = 4
	permissionDenied  code = 7
	resourceExhausted code = 8
	unimplemented     code = 12
	internal          code = 13
	unavailable       code = 14
	dataLoss          code = 15
	unauthenticated   code = 16
)

var names = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// outcome judges a code by the rule of failure: what the server or the way to it did wrong failed, the rest is the caller's own.
func (c code) outcome() (protocol.Outcome, string) {
	switch c {
	case ok:
		return protocol.OK, ""
	case unknownCode, deadlineExceeded, resourceExhausted, unimplemented, internal, unavailable, dataLoss:
		return protocol.Failed, names[c]
	default:
		return protocol.Rejected, names[c]
	}
}

// parseCode reads a grpc-status: a number without leading zeros. One that does not exist stands for UNKNOWN, as for clients.
func parseCode(s []byte) code {
	n := 0
	for _, b := range s {
		if b < '0' || b > '9' || len(s) > 2 {
			return unknownCode
		}
		n = n*10 + int(b-'0')
	}
	if len(s) == 0 || n >= len(names) {
		return unknownCode
	}
	return code(n)
}

// isCode reports whether s can be a grpc-status at all.
func isCode(s []byte) bool {
	if len(s) == 0 || len(s) > 2 || len(s) == 2 && s[0] == '0' {
		return false
	}
	for _, b := range s {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// ofHTTP is the code of a response that has none (gRPC's doc/http-grpc-status-mapping.md).
func ofHTTP(status int) code {
	switch status {
	case 400, 431:
		return internal
	case 401:
		return unauthenticated
	case 403:
		return permissionDenied
	case 404:
		return unimplemented
	case 429, 502, 503, 504:
		return unavailable
	default:
		return unknownCode
	}
}

// ofReset is the code of an exchange that was broken off with that code of HTTP/2 (gRPC's doc/PROTOCOL-HTTP2.md, "Errors"; what
// it has no mapping for is as in its own implementations).
func ofReset(reset uint32) code {
	switch reset {
	case 0, 1, 2, 3, 4, 5, 6, 9, 10, 13:
		return internal
	case 7: // REFUSED_STREAM
		return unavailable
	case 8: // CANCEL
		return cancelled
	case 11: // ENHANCE_YOUR_CALM
		return resourceExhausted
	case 12: // INADEQUATE_SECURITY
		return permissionDenied
	default:
		return unknownCode
	}
}
