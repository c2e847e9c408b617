// Package semantics holds what all versions of HTTP share (RFC 9110), and the Layer: what is spoken in HTTP's requests and
// responses without regard to the version.
package semantics

import "github.com/toposcope/toposcope/protocol"

// codes are the status codes that are an error.type of their own, three digits each.
const codes = "" +
	"400401402403404405406407408409410411412413414415416417418419420421422423424425426427428429430431432433434435436437438439440441442443444445446447448449" +
	"450451452453454455456457458459460461462463464465466467468469470471472473474475476477478479480481482483484485486487488489490491492493494495496497498499" +
	"500501502503504505506507508509510511512513514515516517518519520521522523524525526527528529530531532533534535536537538539540541542543544545546547548549" +
	"550551552553554555556557558559560561562563564565566567568569570571572573574575576577578579580581582583584585586587588589590591592593594595596597598599"

// Outcome judges a status by the rule of failure: 5xx failed, 4xx is the caller's own mistake.
func Outcome(status int) (protocol.Outcome, string) {
	switch {
	case status < 400:
		return protocol.OK, ""
	case status < 500:
		return protocol.Rejected, codes[(status-400)*3 : (status-400)*3+3]
	case status < 600:
		return protocol.Failed, codes[(status-400)*3 : (status-400)*3+3]
	default:
		return protocol.Failed, "_OTHER"
	}
}

// ParseStatus reads a status of three digits; 0 when it is none.
func ParseStatus(s []byte) int {
	if len(s) != 3 || s[0] == '0' || !isDecimal(s) {
		return 0
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
}
