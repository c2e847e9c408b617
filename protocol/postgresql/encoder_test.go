package postgresql_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/postgresql"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, postgresql.Spec(protocol.Options{TextLimit: 64}), protocoltest.Encode(encoder))
}

func encoder() protocoltest.Encoder { return encode }

// encode makes messages of a transcript's line, which are parted by " ; ". Names are "-" where they are empty. A client says
//
//	startup key=value …            ssl, gss, cancel
//	query TEXT                     parse NAME TEXT        bind PORTAL NAME [bytes …]   execute PORTAL [rows]
//	describe S|P NAME              close S|P NAME         sync, flush, terminate
//	password N, sasl N             data N                 done, fail                   call
//
// and a server
//
//	auth ok|md5|clear|sasl|continue|final|gss             status KEY VALUE, key, ready I|T|E, version
//	parsed, bound, closed, none, parameters               columns NAME …               row BYTES …
//	complete TAG, empty, suspended                        error CODE [SEVERITY], notice, notify CHANNEL
//	copyin, copyout, copyboth, data N, done, result
//
// where N and BYTES are lengths.
func encode(from protocol.Side, line string) ([]byte, error) {
	var out []byte
	for _, text := range strings.Split(line, " ; ") {
		word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		words := strings.Fields(rest)
		var m pgproto3.Message
		if from == protocol.ClientSide {
			m = clientMessage(word, rest, words)
		} else {
			m = serverMessage(word, rest, words)
		}
		if m == nil {
			return nil, fmt.Errorf("unknown message %q", text)
		}
		var err error
		if out, err = m.Encode(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func name(words []string, i int) string {
	if i >= len(words) || words[i] == "-" {
		return ""
	}
	return words[i]
}

func number(words []string, i int) int {
	if i >= len(words) {
		return 0
	}
	n, _ := strconv.Atoi(words[i])
	return n
}

func filled(words []string, i int) []byte { return []byte(strings.Repeat("x", number(words, i))) }

func clientMessage(word, rest string, words []string) pgproto3.Message {
	switch word {
	case "startup":
		m := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{}}
		for _, w := range words {
			k, v, _ := strings.Cut(w, "=")
			if k == "version" {
				m.ProtocolVersion = 3<<16 | uint32(number([]string{v}, 0))
				continue
			}
			m.Parameters[k] = v
		}
		return m
	case "ssl":
		return &pgproto3.SSLRequest{}
	case "gss":
		return &pgproto3.GSSEncRequest{}
	case "cancel":
		return &pgproto3.CancelRequest{ProcessID: 77, SecretKey: []byte("abcd")}
	case "query":
		return &pgproto3.Query{String: rest}
	case "parse":
		_, text, _ := strings.Cut(rest, " ")
		return &pgproto3.Parse{Name: name(words, 0), Query: text}
	case "bind":
		m := &pgproto3.Bind{DestinationPortal: name(words, 0), PreparedStatement: name(words, 1)}
		for i := 2; i < len(words); i++ {
			m.Parameters = append(m.Parameters, filled(words, i))
		}
		return m
	case "execute":
		return &pgproto3.Execute{Portal: name(words, 0), MaxRows: uint32(number(words, 1))}
	case "describe":
		return &pgproto3.Describe{ObjectType: words[0][0], Name: name(words, 1)}
	case "close":
		return &pgproto3.Close{ObjectType: words[0][0], Name: name(words, 1)}
	case "sync":
		return &pgproto3.Sync{}
	case "flush":
		return &pgproto3.Flush{}
	case "terminate":
		return &pgproto3.Terminate{}
	case "password":
		return &pgproto3.PasswordMessage{Password: string(filled(words, 0))}
	case "sasl":
		return &pgproto3.SASLResponse{Data: filled(words, 0)}
	case "data":
		return &pgproto3.CopyData{Data: filled(words, 0)}
	case "done":
		return &pgproto3.CopyDone{}
	case "fail":
		return &pgproto3.CopyFail{Message: "no"}
	case "call":
		return &pgproto3.FunctionCall{Function: 715, Arguments: [][]byte{{0, 0, 0, 1}}, ArgFormatCodes: []uint16{1}}
	}
	return nil
}

// raw is a message that pgproto3 does not encode.
type raw []byte

func (raw) Backend()                            {}
func (raw) Decode([]byte) error                 { return nil }
func (r raw) Encode(dst []byte) ([]byte, error) { return append(dst, r...), nil }
func typed(kind byte, body ...byte) raw {
	return append(binary.BigEndian.AppendUint32(raw{kind}, uint32(len(body)+4)), body...)
}

func serverMessage(word, rest string, words []string) pgproto3.Message {
	switch word {
	case "auth":
		return authentication(words[0])
	case "status":
		return &pgproto3.ParameterStatus{Name: words[0], Value: words[1]}
	case "key":
		return &pgproto3.BackendKeyData{ProcessID: 77, SecretKey: []byte("abcd")}
	case "ready":
		return &pgproto3.ReadyForQuery{TxStatus: words[0][0]}
	case "version":
		return typed('v', 0, 3, 0, 0, 0, 0, 0, 0)
	case "parsed":
		return &pgproto3.ParseComplete{}
	case "bound":
		return &pgproto3.BindComplete{}
	case "closed":
		return &pgproto3.CloseComplete{}
	case "none":
		return &pgproto3.NoData{}
	case "parameters":
		return &pgproto3.ParameterDescription{ParameterOIDs: []uint32{23}}
	case "columns":
		m := &pgproto3.RowDescription{}
		for _, w := range words {
			m.Fields = append(m.Fields, pgproto3.FieldDescription{Name: []byte(w), DataTypeOID: 25})
		}
		return m
	case "row":
		m := &pgproto3.DataRow{}
		for i := range words {
			m.Values = append(m.Values, filled(words, i))
		}
		return m
	case "complete":
		return &pgproto3.CommandComplete{CommandTag: []byte(rest)}
	case "empty":
		return &pgproto3.EmptyQueryResponse{}
	case "suspended":
		return &pgproto3.PortalSuspended{}
	case "error":
		m := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: words[0], Message: "secret value in the way"}
		if len(words) > 1 {
			m.Severity, m.SeverityUnlocalized = words[1], words[1]
		}
		return m
	case "notice":
		return &pgproto3.NoticeResponse{Severity: "NOTICE", Code: "00000", Message: "table does not exist, skipping"}
	case "notify":
		return &pgproto3.NotificationResponse{PID: 5, Channel: words[0], Payload: "secret"}
	case "copyin":
		return &pgproto3.CopyInResponse{ColumnFormatCodes: []uint16{0, 0}}
	case "copyout":
		return &pgproto3.CopyOutResponse{ColumnFormatCodes: []uint16{0, 0}}
	case "copyboth":
		return &pgproto3.CopyBothResponse{}
	case "data":
		return &pgproto3.CopyData{Data: filled(words, 0)}
	case "done":
		return &pgproto3.CopyDone{}
	case "result":
		return &pgproto3.FunctionCallResponse{Result: []byte{0, 0, 0, 1}}
	}
	return nil
}

func authentication(how string) pgproto3.Message {
	switch how {
	case "ok":
		return &pgproto3.AuthenticationOk{}
	case "md5":
		return &pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}
	case "clear":
		return &pgproto3.AuthenticationCleartextPassword{}
	case "sasl":
		return &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}
	case "continue":
		return &pgproto3.AuthenticationSASLContinue{Data: []byte("r=abc,s=def,i=4096")}
	case "final":
		return &pgproto3.AuthenticationSASLFinal{Data: []byte("v=abc")}
	case "gss":
		return &pgproto3.AuthenticationGSS{}
	}
	return nil
}
