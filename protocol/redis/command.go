package redis

import (
	"strconv"
	"strings"
)

// kind is what a command means to the parser.
type kind uint8

const (
	plain kind = iota
	subscribe
	unsubscribe
	exec
	sync    // SYNC and PSYNC: what follows is a replication stream
	acks    // REPLCONF, by which both ends of such a stream talk
	choose  // SELECT
	ping    // PING, which may be sent while subscribed
	reset   // RESET, too
	leave   // QUIT and SHUTDOWN
	replies // CLIENT REPLY
	read    // XREAD and XREADGROUP, which wait when told so
)

// trait is a bit of what is special about a command.
type trait uint8

const (
	// waits: it may wait for something to happen.
	waits trait = 1 << iota
	// upkeep: drivers send it of their own accord.
	upkeep
	// probes: drivers send it to servers that may not know it.
	probes
	// secret: its arguments are passwords, or may be.
	secret
	// shared: other line protocols have a command of that name, too, or it is a plain word.
	shared
	// lists: it may be answered with an array of strings.
	lists
	// divided: its first argument is a subcommand.
	divided
)

// command is one of Redis's.
type command struct {
	name   string
	arity  int // words, the name included; negative: at least as many
	kind   kind
	traits trait
}

func (c *command) is(t trait) bool { return c.traits&t != 0 }

// admits says whether a request of n words may be one of c.
func (c *command) admits(n int) bool {
	if c.arity < 0 {
		return n >= -c.arity
	}
	return n == c.arity
}

// maxName bounds the names of commands and of subcommands; the longest is GEORADIUSBYMEMBER_RO, of Sentinel's subcommands
// IS-MASTER-DOWN-BY-ADDR.
const maxName = 32

// table holds the commands by their names, a subcommand's after that of its command and a space.
type table map[string]*command

// newTable reads the lists of commands.
func newTable() table {
	t := table{"": {name: other}}
	for word := range strings.FieldsSeq(plainCommands) {
		t.add("", word)
	}
	for line := range strings.Lines(subcommands) {
		if container, rest, ok := strings.Cut(line, " "); ok {
			t[container].traits |= divided
			for word := range strings.FieldsSeq(rest) {
				t.add(container+" ", word)
			}
		}
	}
	for line := range strings.Lines(moduleCommands) {
		if module, rest, ok := strings.Cut(line, " "); ok {
			for word := range strings.FieldsSeq(rest) {
				t.add(module+".", word+":-1")
			}
		}
	}
	for k, names := range kinds {
		for name := range strings.SplitSeq(names, ", ") {
			t[name].kind = k
		}
	}
	for k, names := range traits {
		for name := range strings.SplitSeq(names, ", ") {
			t[name].traits |= k
		}
	}
	return t
}

// add adds a command that is written as its name, a colon and its arity.
func (t table) add(prefix, word string) {
	i := strings.LastIndexByte(word, ':')
	arity, err := strconv.Atoi(word[i+1:])
	if err != nil {
		panic(err) // the lists are constants
	}
	name := prefix + word[:i]
	t[name] = &command{name: name, arity: arity}
}

// unknown stands for commands that are in no list.
func (t table) unknown() *command { return t[""] }

// find returns the command of that name in any case, after prefix; nil for none.
func (t table) find(prefix string, name []byte) *command {
	var buf [2*maxName + 1]byte
	if len(name) > maxName || len(name) == 0 || len(prefix) > maxName {
		return nil
	}
	b := buf[:0]
	if prefix != "" {
		b = append(append(b, prefix...), ' ')
	}
	for _, c := range name {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	if c := t[string(b)]; c != nil && (prefix == "") == (strings.IndexByte(c.name, ' ') < 0) {
		return c
	}
	return nil
}

// kinds says which commands mean something to the parser.
var kinds = map[kind]string{
	subscribe:   "SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE",
	unsubscribe: "UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE",
	exec:        "EXEC",
	sync:        "SYNC, PSYNC",
	acks:        "REPLCONF",
	choose:      "SELECT",
	ping:        "PING",
	reset:       "RESET",
	leave:       "QUIT, SHUTDOWN",
	replies:     "CLIENT REPLY",
	read:        "XREAD, XREADGROUP",
}

// traits says what is special about commands. A PING is no upkeep: health checks send it, and what they find counts. The shared
// words are those of memcached, SMTP, POP3, IMAP, FTP, HTTP, RTSP, STOMP, NATS, beanstalkd, IRC, ClamAV, MPD and SQL, and such as any
// line may begin with.
var traits = map[trait]string{
	waits: "BLPOP, BRPOP, BLMOVE, BLMPOP, BZPOPMIN, BZPOPMAX, BZMPOP, BRPOPLPUSH, WAIT, WAITAOF, SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE, " +
		"UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE, MONITOR, SYNC, PSYNC",
	upkeep: "HELLO, AUTH, SELECT, READONLY, READWRITE, ASKING, QUIT, RESET, REPLCONF, COMMAND, COMMAND DOCS, CLUSTER SLOTS, " +
		"CLUSTER SHARDS, CLIENT SETINFO, CLIENT SETNAME, CLIENT ID, CLIENT TRACKING, CLIENT CACHING, CLIENT NO-EVICT, " +
		"CLIENT NO-TOUCH, CLIENT CAPA, CLIENT MAINT_NOTIFICATIONS, CLIENT REPLY",
	probes: "HELLO, COMMAND, COMMAND DOCS, CLUSTER SHARDS, CLIENT SETINFO, CLIENT NO-EVICT, CLIENT NO-TOUCH, CLIENT CAPA, " +
		"CLIENT MAINT_NOTIFICATIONS",
	// Those with subcommands stand for what nobody knows of them.
	secret: "HELLO, AUTH, ACL, CONFIG, SENTINEL, MODULE, ACL SETUSER, CONFIG SET, MIGRATE, SENTINEL SET, MODULE LOADEX, ACL DRYRUN",
	lists: "HGETALL, LRANGE, SMEMBERS, KEYS, MGET, HKEYS, HVALS, HMGET, ZRANGE, ZREVRANGE, ZRANGEBYSCORE, ZREVRANGEBYSCORE, " +
		"ZRANGEBYLEX, ZREVRANGEBYLEX, ZUNION, ZINTER, ZDIFF, ZPOPMIN, ZPOPMAX, ZRANDMEMBER, SORT, SORT_RO, SUNION, SDIFF, SINTER, SPOP, " +
		"SRANDMEMBER, HRANDFIELD, LPOP, RPOP, BLPOP, BRPOP, EVAL, EVALSHA, EVAL_RO, EVALSHA_RO, FCALL, FCALL_RO, CONFIG GET, GEOHASH, " +
		"GEORADIUS, GEORADIUS_RO, GEORADIUSBYMEMBER, GEORADIUSBYMEMBER_RO, GEOSEARCH, CLUSTER GETKEYSINSLOT, CLUSTER SLAVES, " +
		"CLUSTER REPLICAS, COMMAND GETKEYS, COMMAND LIST, PUBSUB CHANNELS, PUBSUB SHARDCHANNELS, ACL CAT, ACL LIST, ACL USERS, " +
		"HGETDEL, HGETEX, EXEC, FT._LIST, JSON.MGET",
	shared: "GET, SET, APPEND, TOUCH, INCR, DECR, TYPE, QUIT, AUTH, PING, SELECT, MOVE, COPY, INFO, TIME, WATCH, UNWATCH, SCAN, " +
		"SHUTDOWN, SAVE, RENAME, SUBSCRIBE, UNSUBSCRIBE, PUBLISH, MONITOR, ECHO, HELLO, ROLE, SORT, DEL, KEYS, WAIT, EXEC, MULTI, " +
		"DISCARD, RESET, SYNC, DUMP, RESTORE, DEBUG, COMMAND, DIGEST, EVAL, FAILOVER, PERSIST, MIGRATE, OBJECT, MEMORY, LATENCY, " +
		"MODULE, CLIENT, CLUSTER, CONFIG, FUNCTION, SCRIPT, ACL, SENTINEL, EXISTS, EXPIRE, UNLINK, ASKING, READONLY, READWRITE",
}
