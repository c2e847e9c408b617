package dns

import (
	"strconv"

	"github.com/toposcope/toposcope/protocol"
)

// Record types that the decoder itself looks at.
const (
	typeA     = 1
	typeCNAME = 5
	typeSOA   = 6
	typeAAAA  = 28
	typeNB    = 32 // NIMLOC; NetBIOS asks for names by it, and for a node's state by 33
	typeSRV   = 33
	typeDNAME = 39
	typeOPT   = 41
	typeIXFR  = 251
	typeAXFR  = 252
	typeANY   = 255
)

// typeNames are IANA's names of resource record types ("Domain Name System (DNS) Parameters"), by number. The type "*" is shown
// as ANY, as everybody calls it.
var typeNames = [...]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
	13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP",
	23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC",
	33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL", 43: "DS",
	44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA",
	53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC",
	63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 66: "DSYNC", 67: "HHIT", 68: "BRID", 99: "SPF", 100: "UINFO", 101: "UID", 102: "GID",
	103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64", 128: "NXNAME", 249: "TKEY",
	250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA", 258: "AVC", 259: "DOA",
	260: "AMTRELAY", 261: "RESINFO", 262: "WALLET", 263: "CLA", 264: "IPN",
}

// typeName is the registered name of a type, "" for none.
func typeName(t uint16) string {
	switch {
	case int(t) < len(typeNames):
		return typeNames[t]
	case t == 32768:
		return "TA"
	case t == 32769:
		return "DLV"
	}
	return ""
}

// appendType appends the name of a type: TYPE and its number for one that has none (RFC 3597 section 5).
func appendType(dst []byte, t uint16) []byte {
	if name := typeName(t); name != "" {
		return append(dst, name...)
	}
	return strconv.AppendUint(append(dst, "TYPE"...), uint64(t), 10)
}

// Classes.
const (
	classIN   = 1
	classCH   = 3
	classHS   = 4
	classNone = 254
	classAny  = 255
)

func appendClass(dst []byte, c uint16) []byte {
	switch c {
	case classIN:
		return append(dst, "IN"...)
	case classCH:
		return append(dst, "CH"...)
	case classHS:
		return append(dst, "HS"...)
	case classNone:
		return append(dst, "NONE"...)
	case classAny:
		return append(dst, "ANY"...)
	}
	return strconv.AppendUint(append(dst, "CLASS"...), uint64(c), 10)
}

// Kinds of messages (OpCodes). 3 and 7 to 15 are not assigned.
const (
	opQuery  = 0
	opNotify = 4
	opUpdate = 5
	opDSO    = 6 // RFC 8490: neither question nor answer
)

var opNames = [...]string{0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}

// other stands for a code that is not assigned, so that codes are a closed set.
const other = "_OTHER"

// Response codes that are told apart.
const (
	codeNXDOMAIN  = 3
	codeYXDOMAIN  = 6
	codeYXRRSET   = 7
	codeNXRRSET   = 8
	codeNOTZONE   = 10
	codeBADVERS   = 16
	codeBADCOOKIE = 23
)

// codeNames are IANA's names of response codes, by number, in upper case. 16 is BADVERS in an OPT record; BADSIG, the same number,
// is only used within TSIG records.
var codeNames = [...]string{
	0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
	8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE",
	20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}

func codeName(code int) string {
	if code < len(codeNames) && codeNames[code] != "" {
		return codeNames[code]
	}
	return other
}

// outcome judges a response code by the rule of failure; see the package's comment.
func outcome(code int) (protocol.Outcome, string) {
	switch code {
	case 0:
		return protocol.OK, ""
	case codeNXDOMAIN, codeYXDOMAIN, codeYXRRSET, codeNXRRSET, codeNOTZONE, codeBADVERS, codeBADCOOKIE:
		return protocol.Rejected, codeName(code)
	default:
		return protocol.Failed, codeName(code)
	}
}
