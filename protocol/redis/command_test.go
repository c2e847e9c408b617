package redis_test

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/redis"
)

// TestCommands: every command and subcommand that a real server has is known by its name, with as many words as the server wants.
func TestCommands(t *testing.T) {
	rdb := goredis.NewClient(&goredis.Options{Addr: startServer(t), Protocol: 2, ReadTimeout: 10 * time.Second})
	defer rdb.Close() //nolint:errcheck // its work is done
	list, err := rdb.Do(t.Context(), "COMMAND").Slice()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	var check func(entry any)
	check = func(entry any) {
		const name, arity, subcommands = 0, 1, 9
		fields, ok := entry.([]any)
		if !ok || len(fields) <= arity {
			t.Fatalf("%v", entry)
		}
		var subs []any
		if len(fields) > subcommands {
			subs, _ = fields[subcommands].([]any)
		}
		for _, s := range subs {
			check(s)
		}
		checked++
		named(t, strings.ReplaceAll(fields[name].(string), "|", " "), int(fields[arity].(int64)))
	}
	for _, entry := range list {
		check(entry)
	}
	t.Logf("%d commands and subcommands", checked)
}

func named(t *testing.T, name string, arity int) {
	t.Helper()
	spec := redis.Spec(protocol.Options{})
	words := strings.Fields(name)
	for len(words) < max(arity, -arity) {
		words = append(words, "1")
	}
	data := array(words...)
	if spec.Sniff(event.Sent, data) != protocol.Yes {
		t.Errorf("%s is not known, or not with %d words", name, len(words))
		return
	}
	// The number of words of a subcommand is not looked at: that of its command is.
	exact := arity > 0 && !strings.Contains(name, " ")
	if more := array(append(words, "1")...); exact && spec.Sniff(event.Sent, more) == protocol.Yes {
		t.Errorf("%s is known with %d words", name, len(words)+1)
	}
	if name == "replconf" {
		return
	}
	_, m, err := spec.New().Next(&protocol.Chunk{Data: data, Turn: true, Call: true})
	if err != nil || m == nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got := string(m.Attrs.Get(protocol.DBOperation)); got != strings.ToUpper(name) {
		t.Errorf("%s is shown as %s", name, got)
	}
}
