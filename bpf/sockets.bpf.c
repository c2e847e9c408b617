//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The life of connections, whatever way their bytes are captured: opened, failed, closed; those older than capture; totals. */
#include "prelude.h"

/* types that only the ring carries: named here so that their BTF is kept and bpf2go can generate their Go twins */
const struct open_event *unused_open __attribute__((unused));
const struct accept_event *unused_accept __attribute__((unused));
const struct data_event *unused_data __attribute__((unused));
const struct close_event *unused_close __attribute__((unused));
const struct listen_event *unused_listen __attribute__((unused));
const struct connect_failed_event *unused_failed __attribute__((unused));
const struct exec_event *unused_exec __attribute__((unused));
const struct fork_event *unused_fork __attribute__((unused));
const struct exit_event *unused_exit __attribute__((unused));
const struct packet_event *unused_packet __attribute__((unused));
const struct listener_stats *unused_listener __attribute__((unused));
const enum event_type unused_type __attribute__((unused));
const enum event_flag unused_flag __attribute__((unused));
const enum role unused_role __attribute__((unused));
const enum direction unused_direction __attribute__((unused));
const enum counter unused_counter __attribute__((unused));
const enum action unused_action __attribute__((unused));

#define ETIMEDOUT 110

static __always_inline void emit_listen(const struct flow *flow, const struct task_id *task, u8 flags, const struct settings *set)
{
	struct listen_event *event;
	u32 shard = 0; /* listeners belong to no shard: the first one tells */
	void *ring = bpf_map_lookup_elem(&rings, &shard);

	if (!ring)
		return;
	event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
	if (!event) {
		count(COUNT_LOST_RING, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->header.type = EVENT_LISTEN;
	event->header.flags = flags;
	event->header.time = bpf_ktime_get_ns();
	event->header.task = *task;
	event->flow = *flow;
	bpf_ringbuf_submit(event, wakeup(ring, set));
}

static __always_inline void listening(const struct sock *sk, const struct task_id *task, u8 flags, const struct settings *set)
{
	struct flow flow = {};
	u64 key = (u64)sk;

	read_flow(&flow, sk);
	bpf_map_update_elem(&listeners, &key, &flow, BPF_ANY);
	emit_listen(&flow, task, flags | FLAG_LISTENING, set);
}

/* A port that was not bound by the program's own choice has been given back before the state changes: the map remembers it. */
static __always_inline void listened(const struct sock *sk, const struct settings *set)
{
	struct task_id task = {};
	u64 key = (u64)sk;
	struct flow *flow = bpf_map_lookup_elem(&listeners, &key);

	if (!flow)
		return;
	current_task(&task);
	emit_listen(flow, &task, 0, set);
	bpf_map_delete_elem(&listeners, &key);
}

static __always_inline void connecting(const struct sock *sk)
{
	struct conn *conn = make_conn(sk, ROLE_CLIENT);

	if (!conn)
		return;
	conn->connecting = bpf_ktime_get_ns();
	conn->accepted = 1;
	current_task(&conn->owner);
}

/* In soft interrupt context, more often than not: the current task is a stranger. */
static __always_inline void established(const struct sock *sk, int old, const struct settings *set)
{
	u64 key = (u64)sk;
	struct conn *conn = bpf_map_lookup_elem(&conns, &key);

	if (!conn || conn->established) {
		/* a passive open; or what is left of a socket that had this address before */
		conn = make_conn(sk, old == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER);
		if (!conn)
			return;
	}
	settle(conn, sk, set, bpf_ktime_get_ns());
	announce(conn, set);
}

static __always_inline void emit_connect_failed(struct conn *conn, const struct sock *sk, const struct settings *set)
{
	struct connect_failed_event *event;
	void *ring;

	read_flow(&conn->flow, sk);
	conn->shard = shard_of(hash_of(&conn->flow), set->shards);
	ring = ring_of(conn);
	if (!ring)
		return;
	event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
	if (!event) {
		count(COUNT_LOST_RING, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->header.type = EVENT_CONNECT_FAILED;
	event->header.error = BPF_CORE_READ(sk, sk_err);
	event->header.time = bpf_ktime_get_ns();
	event->header.conn = conn->id;
	event->header.task = conn->owner;
	event->flow = conn->flow;
	event->connecting = conn->connecting;
	bpf_ringbuf_submit(event, wakeup(ring, set));
}

static __always_inline u8 end_of(const struct sock *sk)
{
	u32 error = BPF_CORE_READ(sk, sk_err);

	return error == ETIMEDOUT ? FLAG_TIMEOUT : error ? FLAG_RESET : 0;
}

static __always_inline void fill_close(struct close_event *event, const struct conn *conn, const struct sock *sk)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->header.type = EVENT_CLOSE;
	event->header.flags = conn->ended;
	event->header.time = bpf_ktime_get_ns();
	event->header.conn = conn->id;
	event->header.task = conn->owner;
	event->seq = conn->seq;
	event->turn = conn->turn;
	event->off[SENT] = conn->off[SENT];
	event->off[RECEIVED] = conn->off[RECEIVED];
	read_totals(&event->stats, conn, sk);
}

static __always_inline void emit_close(struct conn *conn, const struct sock *sk, const struct settings *set)
{
	struct close_event event;
	void *ring = ring_of(conn);

	if (!ring || conn->closed)
		return;
	if (!conn->announced)
		announce(conn, set);
	conn->closed = 1;
	fill_close(&event, conn, sk);
	if (!bpf_ringbuf_output(ring, &event, sizeof(event), wakeup(ring, set)))
		return;
	count(COUNT_LOST_RING, 1);
	bpf_map_update_elem(&unsent_closes, &event.header.conn, &event, BPF_ANY);
}

static __always_inline void closed(const struct sock *sk, int old, const struct settings *set)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	u64 key = (u64)sk;
	struct conn *conn = bpf_map_lookup_elem(&conns, &key);

	if (!conn)
		return;
	if (!conn->established) {
		emit_connect_failed(conn, sk, set);
		bpf_map_delete_elem(&conns, &key);
		return;
	}
	conn->ended = end_of(sk); /* now: the owner's next call takes the error */
	/*
	 * After a reset the owner can still read what had arrived, and accept a connection that has none yet: then the end comes with
	 * the socket's own.
	 */
	if (!flagged(sk, bpf_core_enum_value(enum sock_flags, SOCK_DEAD)) &&
	    (!BPF_CORE_READ(sk, sk_socket) || BPF_CORE_READ(tp, rcv_nxt) != BPF_CORE_READ(tp, copied_seq)))
		return;
	emit_close(conn, sk, set);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int old, int new)
{
	struct settings *set = get_settings();
	struct task_id task = {};

	/* what opens while programs are still being attached is found as existing once they are */
	if (!set || !set->enabled || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (new == TCP_SYN_SENT) {
		connecting(sk);
	} else if (new == TCP_ESTABLISHED) {
		established(sk, old, set);
	} else if (new == TCP_LISTEN) {
		current_task(&task);
		listening(sk, &task, 0, set);
	} else if (new == TCP_CLOSE && old == TCP_LISTEN) {
		listened(sk, set);
	} else if (new == TCP_CLOSE) {
		closed(sk, old, set);
	}
	return 0;
}

/* The socket's memory goes away: the last word on its connection. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_destroyed, struct sock *sk)
{
	struct settings *set = get_settings();
	u64 key = (u64)sk;
	struct conn *conn = bpf_map_lookup_elem(&conns, &key);

	if (!set || !conn)
		return 0;
	if (conn->established)
		emit_close(conn, sk, set);
	bpf_map_delete_elem(&conns, &key);
	return 0;
}

/* Sockets older than capture, with a task that holds each, in every network namespace. */
SEC("iter/task_file")
int existing_sockets(struct bpf_iter__task_file *ctx)
{
	struct settings *set = get_settings();
	struct task_struct *holder = ctx->task;
	struct file *file = ctx->file;
	struct task_id task = {};
	const struct socket *sock;
	const struct sock *sk;
	struct conn *conn;

	if (!file || !holder || !set)
		return 0;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	sock = BPF_CORE_READ(file, private_data);
	sk = tcp_under(BPF_CORE_READ(sock, sk));
	if (!sk || !is_tcp(sk))
		return 0;
	task_of(&task, holder);
	if (state_of(sk) == TCP_LISTEN) {
		listening(sk, &task, FLAG_EXISTING, set);
		return 0;
	}
	conn = find_conn(sk, set, BLANK_EXISTING);
	if (!conn || !conn->established)
		return 0;
	if (!conn->owner.pid)
		conn->owner = task;
	if (!conn->announced)
		announce(conn, set);
	return 0;
}

/* Totals of every connection, as struct conn_stats, for whoever reads the iterator's file. */
SEC("iter/bpf_map_elem")
int conn_totals(struct bpf_iter__bpf_map_elem *ctx)
{
	struct settings *set = get_settings();
	u64 *key = ctx->key;
	struct conn *conn = ctx->value;
	struct conn_stats stats;

	if (!key || !conn || !set || !conn->established || conn->closed)
		return 0;
	if (!conn->announced) /* its ring was full */
		announce(conn, set);
	read_totals(&stats, conn, (const struct sock *)*key);
	bpf_seq_write(ctx->meta->seq, &stats, sizeof(stats));
	return 0;
}

/* Accept queues of every listener, as struct listener_stats. */
SEC("iter/bpf_map_elem")
int listener_queues(struct bpf_iter__bpf_map_elem *ctx)
{
	u64 *key = ctx->key;
	struct flow *flow = ctx->value;
	struct listener_stats stats = {};

	if (!key || !flow)
		return 0;
	stats.flow = *flow;
	stats.queue = BPF_CORE_READ((const struct sock *)*key, sk_ack_backlog);
	stats.limit = BPF_CORE_READ((const struct sock *)*key, sk_max_ack_backlog);
	bpf_seq_write(ctx->meta->seq, &stats, sizeof(stats));
	return 0;
}
