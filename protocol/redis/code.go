package redis

import "github.com/toposcope/toposcope/protocol"

// maxCode bounds the code of an error, its first word.
const maxCode = 32

// otherCode stands for codes that are in no list, as error.type: scripts and modules make up their own, and that has a closed set of
// values. db.response.status_code has them as they are.
const otherCode = "_OTHER"

// codes are those that Redis itself uses ("ERR" where there is no other), by frequency.
var codes = [...]string{
	"ERR", "WRONGTYPE", "MOVED", "NOSCRIPT", "ASK", "NOAUTH", "WRONGPASS", "NOPERM", "OOM", "LOADING", "BUSY", "READONLY",
	"EXECABORT", "CLUSTERDOWN", "CROSSSLOT", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSYGROUP", "NOGROUP", "BUSYKEY", "NOPROTO",
	"UNBLOCKED", "NOTBUSY", "UNKILLABLE", "NOTREADY", "NOMASTERLINK", "NOQUORUM", "NOGOODSLAVE", "INPROG", "IOERR", "DENIED",
	"STALE", "NOTFOUND", "REDIRECT", "IDONTKNOW", "INVALIDOBJ", "NONEXT", "SYNTAX",
}

// code is the code of an error: its first word when that is of upper-case letters, as all codes are, and not too long, else ERR. One
// that is not of codes is otherCode, and own is what it reads.
func code(text []byte) (code string, own []byte) {
	n := 0
	for n < len(text) && 'A' <= text[n] && text[n] <= 'Z' {
		n++
	}
	if n == 0 || n > maxCode || n < len(text) && text[n] != ' ' && text[n] != '\r' {
		return codes[0], nil
	}
	for _, known := range codes {
		if known == string(text[:n]) {
			return known, nil
		}
	}
	return otherCode, text[:n]
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
