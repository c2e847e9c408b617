package redis

import "github.com/toposcope/toposcope/protocol"

// maxCode bounds the code of an error, its first word.
const maxCode = 32

// codes are those that Redis itself uses ("ERR" where there is no other), by frequency.
var codes = [...]string{
	"ERR", "WRONGTYPE", "MOVED", "NOSCRIPT", "ASK", "NOAUTH", "WRONGPASS", "NOPERM", "OOM", "LOADING", "BUSY", "READONLY",
	"EXECABORT", "CLUSTERDOWN", "CROSSSLOT", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSYGROUP", "NOGROUP", "BUSYKEY", "NOPROTO",
	"UNBLOCKED", "NOTBUSY", "UNKILLABLE", "NOTREADY", "NOMASTERLINK", "NOQUORUM", "NOGOODSLAVE", "INPROG", "IOERR", "DENIED",
	"STALE", "NOTFOUND", "REDIRECT", "INVALIDOBJ", "NONEXT", "SYNTAX",
}

// code is the code of an error: its first word when that is of upper-case letters, as all codes are, and not too long, else ERR.
// Scripts and modules have codes of their own.
func code(text []byte) string {
	n := 0
	for n < len(text) && 'A' <= text[n] && text[n] <= 'Z' {
		n++
	}
	if n == 0 || n > maxCode || n < len(text) && text[n] != ' ' && text[n] != '\r' {
		return codes[0]
	}
	for _, known := range codes {
		if known == string(text[:n]) {
			return known
		}
	}
	return string(text[:n])
}

// outcome is what an error of that code means, by the rule in the package's comment.
func outcome(code string, probes bool) protocol.Outcome {
	switch code {
	case "MOVED", "ASK", "NOSCRIPT":
		return protocol.Rejected
	case "ERR", "NOPROTO":
		if probes {
			return protocol.Rejected
		}
	}
	return protocol.Failed
}
