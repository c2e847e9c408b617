package kafka_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, spec(), protocoltest.Encode(func() protocoltest.Encoder { return encode }))
}

// keys are the library's names of APIs, and their keys.
var keys = func() map[string]int16 {
	m := map[string]int16{}
	for k := int16(0); k <= kmsg.MaxKey; k++ {
		m[kmsg.NameForKey(k)] = k
	}
	return m
}()

var (
	idToken   = regexp.MustCompile(`@(\d+)`)
	zeroToken = regexp.MustCompile(`#(\d+)`)
)

// encode makes a message of a transcript's line:
//
//	ID API vN {fields}
//
// The fields are those of the library's message as JSON, those that are left out have their defaults. @7 is a topic's id that
// ends in 7, #100 are so many zero bytes. The client calls itself "shop".
func encode(from protocol.Side, line string) ([]byte, error) {
	words := strings.SplitN(line, " ", 4)
	if len(words) < 3 {
		return nil, fmt.Errorf("too short: %q", line)
	}
	id, err := strconv.ParseInt(words[0], 10, 32)
	if err != nil {
		return nil, err
	}
	key, ok := keys[words[1]]
	if !ok {
		return nil, fmt.Errorf("no API %q", words[1])
	}
	version, err := strconv.ParseInt(strings.TrimPrefix(words[2], "v"), 10, 16)
	if err != nil {
		return nil, err
	}
	fields := "{}"
	if len(words) == 4 {
		fields = idToken.ReplaceAllStringFunc(words[3], func(s string) string { return "[" + strings.Repeat("0,", 15) + s[1:] + "]" })
		fields = zeroToken.ReplaceAllStringFunc(fields, func(s string) string {
			n, _ := strconv.Atoi(s[1:]) //nolint:errcheck // digits
			return strconv.Quote(base64.StdEncoding.EncodeToString(make([]byte, n)))
		})
	}
	req := kmsg.RequestForKey(key)
	resp := req.ResponseKind()
	req.SetVersion(int16(version))
	resp.SetVersion(int16(version))
	var into any = req
	if from == protocol.ServerSide {
		into = resp
	}
	if d, ok := into.(interface{ Default() }); ok {
		d.Default()
	}
	if err := json.Unmarshal([]byte(fields), into); err != nil {
		return nil, fmt.Errorf("%s: %w", words[1], err)
	}
	if from == protocol.ServerSide {
		return response(resp, int32(id)), nil
	}
	return request(req, int32(id), "shop"), nil
}
