package db

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisConnect is what go-redis does with each new connection; Redis 7.0 does not know the names of clients yet.
var redisConnect = []Operation{
	{Name: "HELLO", Upkeep: true}, {Name: "CLIENT SETINFO", Code: "ERR", Rejected: true, Upkeep: true, Count: 2},
}

// redisDials counts the connections that go-redis opens, as many as it likes.
type redisDials struct{ *tally }

// DialHook is called by go-redis for its dialer.
func (h redisDials) DialHook(dial redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			h.add(redisConnect...)
		}
		return conn, err
	}
}

// ProcessHook changes nothing.
func (h redisDials) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (h redisDials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// redisCommands sends commands one by one, in pipelines and in transactions, and listens on a second connection.
func redisCommands(ctx context.Context, target string, w worker, s *session) error {
	client := redis.NewClient(&redis.Options{
		Addr: target, PoolSize: 2, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	client.AddHook(redisDials{s.tally})
	if err := client.Ping(ctx).Err(); err != nil {
		return err
	}
	s.add(Operation{Name: "PING"})
	heard := client.Subscribe(ctx, "news")
	if _, err := heard.Receive(ctx); err != nil {
		return err
	}
	s.add(Operation{Name: "SUBSCRIBE", Waiting: true})
	s.close = func(context.Context) error { return errors.Join(heard.Close(), client.Close()) }
	key := func(name string) string { return fmt.Sprintf("%s:%d", name, w) }
	for _, c := range []struct {
		args []any
		made Operation
	}{
		{[]any{"SET", key("name"), s.value}, Operation{}},
		{[]any{"SET", key(s.value), "a value"}, Operation{}},
		{[]any{"GET", key("name")}, Operation{}},
		{[]any{"GET", "nothing"}, Operation{}},
		{[]any{"SET", key("large"), strings.Repeat("x", 100_000)}, Operation{}},
		{[]any{"GET", key("large")}, Operation{}},
		{[]any{"SET", key("quoted"), "SELECT * FROM users; *3\r\n$3\r\nSET\r\n"}, Operation{}},
		{[]any{"mget", key("name"), "nothing", key("quoted")}, Operation{}},
		{[]any{"INCR", key("number")}, Operation{}},
		{[]any{"HSET", key("hash"), "a", 1, s.value, 2}, Operation{}},
		{[]any{"HGETALL", key("hash")}, Operation{}},
		{[]any{"ZADD", key("sorted"), "1.5", "one"}, Operation{}},
		{[]any{"ZRANGE", key("sorted"), 0, -1, "WITHSCORES"}, Operation{}},
		{[]any{"LPUSH", key("name"), "a"}, Operation{Code: "WRONGTYPE"}},
		{[]any{"NONSENSE", "a"}, Operation{Name: "other", Code: "ERR"}},
		{[]any{"LPUSH", key("list"), "a", "b"}, Operation{}},
		{[]any{"BLPOP", key("list"), "1"}, Operation{Waiting: true}},
		{[]any{"BRPOP", key("list"), "1"}, Operation{Waiting: true}},
		{[]any{"BLPOP", "nothing", "0.02"}, Operation{Waiting: true}},
		{[]any{"XADD", key("stream"), "MAXLEN", "10", "*", "a", "b"}, Operation{}},
		{[]any{"XREAD", "BLOCK", "20", "STREAMS", key("stream"), "0"}, Operation{Waiting: true}},
		{[]any{"EVAL", "return #ARGV -- " + s.value, "1", key("name"), s.value}, Operation{}},
		{[]any{"EVALSHA", strings.Repeat("0", 40), "0"}, Operation{Code: "NOSCRIPT", Rejected: true}},
		{[]any{"PUBLISH", "news", s.value}, Operation{}},
	} {
		if c.made.Name == "" {
			c.made.Name = strings.ToUpper(c.args[0].(string))
		}
		s.steps = append(s.steps, step{fmt.Sprintf("%.40v", c.args), func(ctx context.Context) error {
			return redisCode(client.Do(ctx, c.args...).Err(), c.made.Code)
		}, []Operation{c.made}})
	}
	s.steps = append(s.steps, redisGroups(client, key)...)
	return nil
}

// redisGroups are commands that are sent together.
func redisGroups(client *redis.Client, key func(name string) string) []step {
	several := func(p redis.Pipeliner) error {
		for range 10 {
			p.Incr(context.Background(), key("number"))
		}
		p.LPush(context.Background(), key("name"), "a")
		p.Set(context.Background(), key("name"), "again", time.Hour)
		return nil
	}
	made := []Operation{{Name: "INCR", Count: 10}, {Name: "LPUSH", Code: "WRONGTYPE"}, {Name: "SET"}}
	queued := []Operation{{Name: "MULTI"}, {Name: "INCR", Count: 10}, {Name: "LPUSH"}, {Name: "SET"}, {Name: "EXEC", Code: "WRONGTYPE"}}
	return []step{
		{"pipeline", func(ctx context.Context) error {
			_, err := client.Pipelined(ctx, several)
			return redisCode(err, "WRONGTYPE")
		}, made},
		{"transaction", func(ctx context.Context) error {
			_, err := client.TxPipelined(ctx, several)
			return redisCode(err, "WRONGTYPE") // which is within EXEC's answer
		}, queued},
	}
}

// redisCode fails unless err is that of code, which is the first word of an error.
func redisCode(err error, code string) error {
	var failed redis.Error
	got := ""
	if errors.As(err, &failed) && !errors.Is(err, redis.Nil) {
		got, _, _ = strings.Cut(failed.Error(), " ")
	} else if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return sameCode(got, code)
}
