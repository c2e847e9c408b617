package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/tally"
)

// keep is how long carts and sessions are kept.
const keep = 30 * time.Minute

// takeTimeout is how long Redis has a client wait for something in a queue; a second is the least that its client knows.
const takeTimeout = time.Second

// keys is the client of Redis.
func (d *databases) keys() *redis.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.redis == nil {
		redis.SetLogger(&logging.VoidLogger{}) // a server that is away is no news here, and there is only one logger for all
		d.redis = redis.NewClient(&redis.Options{
			Addr: d.address(queueServer), ClientName: d.name, Dialer: d.dial, DialerRetries: 1,
			MaxRetries: -1, ContextTimeoutEnabled: true, // a command is sent once: so the report is of what was wanted
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		d.redis.AddHook(commands{d})
	}
	return d.redis
}

// commands counts what Redis's client sends.
type commands struct{ d *databases }

// DialHook leaves dialling as it is.
func (c commands) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

// ProcessHook counts one command.
func (c commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		c.count(cmd, err)
		return err
	}
}

// ProcessPipelineHook counts the commands of a pipeline.
func (c commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			c.count(cmd, cmd.Err())
		}
		return err
	}
}

// count counts a command that ended with err.
func (c commands) count(cmd redis.Cmder, err error) {
	name := strings.ToUpper(cmd.Name())
	if slices.Contains([]string{"HELLO", "CLIENT", "AUTH", "SELECT", "PING"}, name) {
		return // what clients send for themselves
	}
	status := ""
	var wrong redis.Error
	switch {
	case err == nil || errors.Is(err, redis.Nil):
	case errors.As(err, &wrong):
		status, _, _ = strings.Cut(wrong.Error(), " ")
	case notSent(err) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed):
		return
	default:
		status = tally.Unanswered
	}
	c.d.count(queueServer, name, "", status)
}

// nilIsFine is err, but for a key that is not there.
func nilIsFine(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// session reads a customer's session, or begins one.
func session(ctx context.Context, d *databases, v *Visit) error {
	key := "session:" + v.Value("user")
	if v.dice.Chance(0.2) {
		return d.keys().Set(ctx, key, v.trace.String(), keep).Err()
	}
	return nilIsFine(d.keys().Get(ctx, key).Err())
}

func readCart(ctx context.Context, d *databases, v *Visit) error {
	key := "cart:" + v.Value("user")
	_, err := d.keys().Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HGetAll(ctx, key)
		p.Expire(ctx, key, keep)
		return nil
	})
	return err
}

func addToCart(ctx context.Context, d *databases, v *Visit) error {
	key := "cart:" + v.Value("user")
	_, err := d.keys().Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HIncrBy(ctx, key, v.Value("sku"), int64(1+v.dice.IntN(3)))
		p.Expire(ctx, key, keep)
		p.HLen(ctx, key)
		return nil
	})
	return err
}

func emptyCart(ctx context.Context, d *databases, v *Visit) error {
	return d.keys().Del(ctx, "cart:"+v.Value("user")).Err()
}

// order is what a queue holds.
type order struct {
	Number string `json:"number"`
	Trace  string `json:"traceparent"`
}

// ordersQueue is where orders wait for those who look after them.
const ordersQueue = "orders"

func enqueueOrder(ctx context.Context, d *databases, v *Visit) error {
	text, err := json.Marshal(order{orderNumber(v), v.trace.String()})
	if err != nil {
		return err
	}
	return d.keys().RPush(ctx, ordersQueue, text).Err()
}

// take takes something from queue. ok is false where there is nothing, for takeTimeout if it is to wait.
func (d *databases) take(ctx context.Context, queue string, wait bool) (t dice.Trace, ok bool, err error) {
	found := []string{queue, ""}
	if wait {
		found, err = d.keys().BLPop(ctx, takeTimeout, queue).Result()
	} else {
		found[1], err = d.keys().LPop(ctx, queue).Result()
	}
	if err != nil {
		return t, false, nilIsFine(err)
	}
	var o order
	if len(found) != 2 {
		return t, false, errors.New("an answer that is not of BLPOP")
	}
	if err := json.Unmarshal([]byte(found[1]), &o); err != nil {
		return t, false, fmt.Errorf("reading an order: %w", err)
	}
	return dice.ParseTrace(o.Trace), true, nil
}
