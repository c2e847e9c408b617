package postgresql

import "github.com/toposcope/toposcope/protocol/sqltext"

// settings are what the server has said of how texts are to be read (ParameterStatus). They are reported at a connection's start, and
// when they change.
type settings struct {
	standard sqltext.Escapes // by standard_conforming_strings
	doubtful bool            // client_encoding has characters whose second byte may be a backslash
}

// told takes in a ParameterStatus.
func (s *settings) told(r *sqltext.Reader, body []byte) {
	name, rest, ok := cString(body)
	if !ok {
		return
	}
	value, _, ok := cString(rest)
	if !ok {
		return
	}
	switch string(name) {
	case "standard_conforming_strings":
		s.standard = sqltext.EscapesOff
		if string(value) == "off" {
			s.standard = sqltext.EscapesOn
		}
	case "client_encoding":
		s.doubtful = multibyte[string(value)]
	default:
		return
	}
	if s.doubtful {
		r.SetEscapes(sqltext.EscapesDoubtful)
	} else {
		r.SetEscapes(s.standard)
	}
}

// forget is called after a loss: there may have been another setting among it, and by the wrong one a value might show.
func (s *settings) forget(r *sqltext.Reader) {
	*s = settings{}
	r.SetEscapes(sqltext.EscapesUnknown)
}

// multibyte are the client encodings that may have a backslash as the second byte of a character. PostgreSQL takes none of them as a
// server's (documentation, "Character Set Support").
var multibyte = set("BIG5", "GB18030", "GBK", "JOHAB", "SJIS", "SHIFT_JIS_2004", "UHC")
