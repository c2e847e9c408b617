/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A send or a receive from its entry to its return: the body that the four ways in share. */
#ifndef TOPOSCOPE_CALLS_H
#define TOPOSCOPE_CALLS_H

static __always_inline bool refused(const struct conn *conn)
{
	struct verdict *verdict = verdict_of(conn);

	if (!verdict || !verdict->refused)
		return false;
	count(COUNT_REFUSED, 1);
	return true;
}

/* The turn that a run of this direction belongs to; a new one has its whole allowance of bytes. */
static __always_inline u32 turn_of(struct conn *conn, u32 direction)
{
	if (conn->last_direction != direction) {
		conn->last_direction = direction;
		conn->used[direction] = 0;
		conn->turn++;
	}
	return conn->turn;
}

/* Nothing was sent after all: no turn has begun. */
static __always_inline void take_back_turn(struct conn *conn)
{
	conn->last_direction = RECEIVED;
	conn->turn--;
}

#define CALL_TURNS 1 /* in call.flags of a send: it began a turn */

/*
 * A send begins. Its number is taken now, because its answer may be read by another thread before the call returns. The
 * stream offset is the kernel's own write position.
 */
static __always_inline void send_enter(const struct sock *sk, const struct buffer *buffer, u64 left)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	struct settings *set = get_settings();
	u64 id = bpf_get_current_pid_tgid();
	struct call call = {};
	struct conn *conn;

	if (!set || !watched(set))
		return;
	conn = find_conn(sk, set, BLANK_SEND);
	if (!conn || refused(conn))
		return;
	call.sk = (u64)sk;
	call.time = bpf_ktime_get_ns();
	call.seq = next_seq(conn);
	call.flags = conn->last_direction != SENT ? CALL_TURNS : 0;
	call.turn = turn_of(conn, SENT);
	call.at = BPF_CORE_READ(tp, write_seq);
	call.off = offset_of(conn, SENT, call.at);
	call.end = call.off + left;
	call.buffer = *buffer;
	if (bpf_map_update_elem(&sends, &id, &call, BPF_ANY))
		count(COUNT_LOST_STASH, 1); /* the number stays unused: a gap that user space sees */
}

static __always_inline void send_run(struct conn *conn, const struct settings *set, const struct call *call, u64 size,
				     u32 slot)
{
	struct run run = {};

	run.slot = slot;
	run.time = call->time;
	run.seq = call->seq;
	run.turn = call->turn;
	run.off = call->off;
	run.size = size;
	run.direction = SENT;
	run.buffer = call->buffer;
	conn->off[SENT] = call->off + size;
	emit(conn, set, &run);
}

/* The send returned: ret bytes were taken, or an error. */
static __always_inline void send_exit(const struct sock *sk, s64 ret, u32 slot)
{
	u64 id = bpf_get_current_pid_tgid(), key;
	struct settings *set = get_settings();
	struct conn *conn;
	struct call *call;

	call = bpf_map_lookup_elem(&sends, &id);
	if (!call)
		return;
	if (!set || (sk && call->sk != (u64)sk))
		goto out;
	key = call->sk;
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn)
		goto out;
	if (ret > 0)
		send_run(conn, set, call, ret, slot);
	else if (!take_back_seq(conn, call->seq))
		send_run(conn, set, call, 0, slot); /* a later number is out already: this one must not be missing */
	else if (call->flags & CALL_TURNS)
		take_back_turn(conn);
out:
	bpf_map_delete_elem(&sends, &id);
}

/*
 * Bytes were received: size of them, the first at TCP sequence number at. What a MSG_PEEK showed before is not sent twice, and
 * what was consumed without a copy in between shows as a jump of the offset.
 */
static __always_inline void receive_run(struct conn *conn, const struct settings *set, struct run *run, u32 at, u64 size)
{
	u64 off = offset_of(conn, RECEIVED, at), end = off + size, next = conn->off[RECEIVED];

	if (end <= next)
		return;
	if (off < next) {
		run->buffer.skip += next - off;
		if (run->buffer.kind == BUFFER_ONE)
			run->buffer.base += next - off;
		run->skb_offset += next - off;
		size = end - next;
		off = next;
	}
	run->time = bpf_ktime_get_ns();
	run->seq = next_seq(conn);
	run->turn = turn_of(conn, RECEIVED);
	run->off = off;
	run->size = size;
	run->direction = RECEIVED;
	conn->off[RECEIVED] = end;
	emit(conn, set, run);
}

static __always_inline void receive_enter(const struct sock *sk, const struct buffer *buffer, u32 flags)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	struct settings *set = get_settings();
	u64 id = bpf_get_current_pid_tgid();
	struct call call = {};
	struct conn *conn;

	if (!set || !watched(set))
		return;
	conn = find_conn(sk, set, BLANK_RECEIVE);
	if (!conn || refused(conn))
		return;
	if ((flags & (MSG_PEEK | MSG_TRUNC)) == (MSG_PEEK | MSG_TRUNC))
		return; /* asks for a length: nothing is copied, and a later call reads the bytes */
	call.sk = (u64)sk;
	call.at = BPF_CORE_READ(tp, copied_seq);
	call.flags = flags;
	call.buffer = *buffer;
	if (flags & MSG_TRUNC)
		call.buffer.kind = BUFFER_NONE; /* consumed, not copied */
	if (bpf_map_update_elem(&receives, &id, &call, BPF_ANY))
		count(COUNT_LOST_STASH, 1);
}

/*
 * Where the bytes that a receive returned began. Another reader may have moved the position while this one waited; a FIN that
 * was read along counts one.
 */
static __always_inline u32 receive_start(const struct call *call, const struct sock *sk, u32 size)
{
	u32 now = BPF_CORE_READ((const struct tcp_sock *)sk, copied_seq), moved = now - call->at;

	if (call->flags & MSG_PEEK)
		return now;
	if (moved == size || moved == size + 1)
		return call->at;
	return now - size;
}

static __always_inline void receive_exit(s64 ret, u32 slot)
{
	u64 id = bpf_get_current_pid_tgid(), key;
	struct settings *set = get_settings();
	struct run run = {};
	struct conn *conn;
	struct call *call;

	call = bpf_map_lookup_elem(&receives, &id);
	if (!call)
		return;
	key = call->sk;
	conn = bpf_map_lookup_elem(&conns, &key);
	if (set && conn && ret > 0) {
		run.buffer = call->buffer;
		run.slot = slot;
		receive_run(conn, set, &run, receive_start(call, (const struct sock *)key, ret), ret);
	}
	bpf_map_delete_elem(&receives, &id);
}

/* A task took an established connection off its listener's queue. */
static __always_inline void accepted(const struct sock *sk)
{
	struct settings *set = get_settings();
	struct accept_event *event;
	struct conn *conn;
	void *ring;

	if (!set || !is_tcp(sk) || !watched(set))
		return;
	conn = find_conn(sk, set, BLANK_ACCEPT);
	if (!conn || conn->accepted || conn->closed)
		return;
	if (!conn->announced)
		announce(conn, set);
	ring = ring_of(conn);
	if (!ring)
		return;
	event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
	if (!event) {
		count(COUNT_LOST_RING, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	conn->accepted = 1;
	event->header.type = EVENT_ACCEPT;
	event->header.time = bpf_ktime_get_ns();
	event->header.conn = conn->id;
	current_task(&event->header.task);
	conn->owner = event->header.task;
	event->waited = conn->existing ? ~0ULL : event->header.time - conn->opened; /* when it began to wait is not known */
	bpf_ringbuf_submit(event, wakeup(ring, set));
}

#endif
