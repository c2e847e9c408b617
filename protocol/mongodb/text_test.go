package mongodb_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mongodb"
)

// everything is a command with a field of each type.
func everything(t *testing.T) []byte {
	t.Helper()
	decimal, err := bson.ParseDecimal128("1.5")
	if err != nil {
		t.Fatal(err)
	}
	body, err := bson.Marshal(bson.D{
		{Key: "find", Value: "läden"},
		{Key: "double", Value: 1.5},
		{Key: "string", Value: "grün \"\\\n"},
		{Key: "document", Value: bson.D{{Key: "a", Value: bson.A{1, bson.D{}, "x"}}}},
		{Key: "binary", Value: bson.Binary{Subtype: 4, Data: []byte{1, 2, 3}}},
		{Key: "undefined", Value: bson.Undefined{}},
		{Key: "objectid", Value: bson.ObjectID{1}},
		{Key: "bool", Value: true},
		{Key: "date", Value: bson.NewDateTimeFromTime(time.Unix(1, 0))},
		{Key: "null", Value: nil},
		{Key: "regex", Value: bson.Regex{Pattern: "^a", Options: "i"}},
		{Key: "pointer", Value: bson.DBPointer{DB: "d.c", Pointer: bson.ObjectID{2}}},
		{Key: "code", Value: bson.JavaScript("f()")},
		{Key: "symbol", Value: bson.Symbol("s")},
		{Key: "scoped", Value: bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "a", Value: 1}}}},
		{Key: "int32", Value: int32(-3)},
		{Key: "timestamp", Value: bson.Timestamp{T: 1, I: 2}},
		{Key: "int64", Value: int64(1) << 40},
		{Key: "decimal", Value: decimal},
		{Key: "least", Value: bson.MinKey{}},
		{Key: "greatest", Value: bson.MaxKey{}},
		{Key: "$db", Value: "shop"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return opMsg(5, 0, body)
}

func text(t *testing.T, o protocol.Options, data []byte) string {
	t.Helper()
	n, m, err := mongodb.Spec(o).New().Next(&protocol.Chunk{Data: data})
	if n != len(data) || m == nil || err != nil || m.Unresolved || string(m.Attrs.Get(protocol.DBNamespace)) != "shop" {
		t.Fatalf("%d of %d bytes, %v, %v", n, len(data), m, err)
	}
	return string(m.Attrs.Get(protocol.DBQueryText))
}

// TestText: every type, without its value and with it.
func TestText(t *testing.T) {
	data := everything(t)
	const names = "double string document binary undefined objectid bool date null regex pointer code symbol scoped int32 timestamp int64 decimal " +
		"least greatest"
	want := `{"find":"läden"`
	for _, name := range strings.Fields(names) {
		value := "?"
		if name == "document" {
			value = `{"a":[?,{},?]}`
		}
		want += fmt.Sprintf(",%q:%s", name, value)
	}
	if got := text(t, protocol.Options{TextLimit: 4096}, data); got != want+"}" {
		t.Errorf("%s\nwant %s}", got, want)
	}
	const values = `{"find":"läden","double":1.5,"string":"grün \"\\\u000a","document":{"a":[1,{},"x"]},"binary":{"$binary":"AQID"},"undefined":null,` +
		`"objectid":{"$oid":"010000000000000000000000"},"bool":true,"date":{"$date":1000},"null":null,"regex":?,"pointer":?,"code":"f()",` +
		`"symbol":"s","scoped":?,"int32":-3,"timestamp":?,"int64":1099511627776,"decimal":?,"least":?,"greatest":?}`
	if got := text(t, protocol.Options{TextLimit: 4096, Values: true}, data); got != values {
		t.Errorf("%s\nwant %s", got, values)
	}
}

// TestTextLimit: a text that is cut is the beginning of the whole one, in whole characters.
func TestTextLimit(t *testing.T) {
	data := everything(t)
	for _, values := range []bool{false, true} {
		whole := text(t, protocol.Options{TextLimit: 4096, Values: values}, data)
		for limit := range len(whole) + 2 {
			got := text(t, protocol.Options{TextLimit: limit, Values: values}, data)
			if !strings.HasPrefix(whole, got) || !utf8.ValidString(got) || len(got) > limit || len(got) < min(limit, len(whole))-utf8.UTFMax {
				t.Errorf("limit %d: %q", limit, got)
			}
		}
	}
}

// TestCodes: codes of the server are kept as they are, others are none.
func TestCodes(t *testing.T) {
	for code, want := range map[int64]string{
		1: "1", 43: "43", 511: "511", 512: "512", 10107: "10107", 11000: "11000", 13435: "13435", 16500: "16500", 9_999_999: "9999999",
		0: mongodb.ErrorOther, -1: mongodb.ErrorOther, 10_000_000: mongodb.ErrorOther, 1 << 40: mongodb.ErrorOther,
	} {
		w := newTestWire(t)
		w.ask(`5/0 {"count": "c", "$db": "d"}`)
		w.answer(fmt.Sprintf(`9/5 {"ok": 0, "code": {"$numberLong": "%d"}}`, code))
		w.wants(map[string]int{"failed count c " + want: 1})
	}
}

// TestSecrets: what passwords are proved by is in no text, even where values are wanted.
func TestSecrets(t *testing.T) {
	for _, values := range []bool{false, true} {
		w := newWire(t, mongodb.Spec(protocol.Options{TextLimit: 4096, Values: values}))
		for i, line := range []string{
			`{"saslStart": 1, "payload": "hunter2", "$db": "admin"}`,
			`{"createUser": "u", "pwd": "hunter2", "roles": [{"role": "hunter2"}], "$db": "admin"}`,
			`{"hello": 1, "speculativeAuthenticate": {"payload": "hunter2"}, "$db": "admin"}`,
			`query=admin.$cmd {"$query": {"createUser": "u", "pwd": "hunter2"}, "$readPreference": {"mode": "primary"}}`,
			`{"setParameter": 1, "ldapQueryPassword": "hunter2", "$db": "admin"}`,
			`{"insert": "c", "$db": "d"} documents:[{"a": "hunter3", "b": [1, {"$oid": "0123456789abcdef01234567"}, true, null]}]`,
		} {
			w.ask(fmt.Sprintf("%d/0 ", 10+i) + line)
			w.answer(fmt.Sprintf(`9/%d {"ok": 1}`, 10+i))
			if strings.Contains(w.found.text, "hunter2") || strings.Contains(w.found.text, "hunter3") != (values && i == 5) {
				t.Errorf("values %v: %s", values, w.found.text)
			}
		}
		want := `{"insert":"c","documents":[{"a":?,"b":[?]}]}`
		if values {
			want = `{"insert":"c","documents":[{"a":"hunter3","b":[1,{"$oid":"0123456789abcdef01234567"},true,null]}]}`
		}
		if w.found.text != want {
			t.Errorf("%s\nwant %s", w.found.text, want)
		}
	}
}

// TestKeys: what an application has its documents keyed by is no name of a field.
func TestKeys(t *testing.T) {
	for key, shown := range map[string]bool{
		"a": true, "address.street2": true, "items.$[].price": true, "0": true, "straße": true, "_id": true, "createdAt": true,
		"": true, "max-age": true, "users.ann@example.com": false, "+4915112345678": false, "0123456789abcdef01234567": false,
		"sessions.5f4dcc3b5aa765d61d8327deb882cf99.ends": false, "two words": false, "\xff": false,
		"carts." + strings.Repeat("k", 60): false,
	} {
		for _, values := range []bool{false, true} {
			w := newWire(t, mongodb.Spec(protocol.Options{TextLimit: 4096, Values: values}))
			body := element(t, bson.D{{Key: "update", Value: "c"}}, "set", element(t, nil, key, nested(0), nil), bson.D{{Key: "$db", Value: "d"}})
			ask := opMsg(5, 0, body)
			w.send(event.Sent, ask, len(ask))
			w.answer(`6/5 {"ok": 1}`)
			want := `{"update":"c","set":{"?":{}}}`
			if shown || values {
				want = fmt.Sprintf(`{"update":"c","set":{%s:{}}}`, strings.ReplaceAll(strconv.Quote(key), `\xff`, "\ufffd"))
			}
			if w.found.text != want {
				t.Errorf("values %v: %s, want %s", values, w.found.text, want)
			}
		}
	}
}
