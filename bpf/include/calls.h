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

/*
 * Calls under way. Where the return of a call knows its socket (TOPOSCOPE_TYPED), a call is kept with its connection, which has a
 * place for one thread in each direction: nearly always there is no other. A thread that finds the place taken uses a map. A place
 * whose call never returned, as far as is seen here, is taken over by the thread that holds it, and until then costs the others the
 * way by the map.
 *
 * In the other ways a return knows nothing but its thread: all calls are in the maps. An entry is put there by a thread's first call
 * and stays until the thread ends (process_exit), without a socket between two calls: to put in and take out costs more than the rest.
 */
static __always_inline void *stash_of(u32 direction)
{
	return direction == SENT ? (void *)&sends : (void *)&receives;
}

/* Where there is no room for a call, its number stays unused: a gap that user space sees. */
static __always_inline bool stash_in_map(u32 direction, u64 id, const struct call *call)
{
	if (!bpf_map_update_elem(stash_of(direction), &id, call, BPF_ANY))
		return true;
	count(COUNT_LOST_STASH, 1);
	return false;
}

#ifdef TOPOSCOPE_TYPED
/* Note a call of the thread id. */
static __always_inline void stash(struct conn *conn, u32 direction, u64 id, const struct call *call)
{
	if (conn->caller[direction] == id || !__sync_val_compare_and_swap(&conn->caller[direction], 0, id))
		conn->calls[direction] = *call;
	else if (stash_in_map(direction, id, call))
		__sync_fetch_and_add(&conn->stashed[direction], 1);
}

/* This thread's call under way on a connection, NULL when none is noted. */
static __always_inline struct call *call_on(struct conn *conn, const struct sock *sk, u32 direction, u64 id)
{
	struct call *call;

	if (conn->caller[direction] == id)
		return &conn->calls[direction];
	if (!conn->stashed[direction])
		return NULL;
	call = bpf_map_lookup_elem(stash_of(direction), &id);
	return call && call->sk == (u64)sk ? call : NULL;
}

/* The same when a call returns, with its connection. */
static __always_inline struct call *call_under_way(const struct sock *sk, u32 direction, u64 id, struct conn **conn)
{
	*conn = look_up(sk);
	return *conn ? call_on(*conn, sk, direction, id) : NULL;
}

/* The call has returned: call_under_way found it. An exchange, so that the place is not free before what it held has been read. */
static __always_inline void forget_call(struct conn *conn, struct call *call, u32 direction, u64 id)
{
	if (conn->caller[direction] == id) {
		__sync_lock_test_and_set(&conn->caller[direction], 0);
		return;
	}
	__sync_fetch_and_add(&conn->stashed[direction], -1);
	bpf_map_delete_elem(stash_of(direction), &id);
}
#else
static __always_inline void stash(struct conn *conn, u32 direction, u64 id, const struct call *call)
{
	struct call *kept = bpf_map_lookup_elem(stash_of(direction), &id);

	if (kept)
		*kept = *call;
	else
		stash_in_map(direction, id, call);
}

static __always_inline struct call *call_under_way(const struct sock *sk, u32 direction, u64 id, struct conn **conn)
{
	struct call *call = bpf_map_lookup_elem(stash_of(direction), &id);

	if (!call || !call->sk)
		return NULL;
	*conn = look_up((const struct sock *)call->sk);
	return call;
}

static __always_inline void forget_call(struct conn *conn, struct call *call, u32 direction, u64 id)
{
	call->sk = 0;
}
#endif

/*
 * Whatever this thread did before is over, also where its return was missed (a kretprobe has room for so many): else a call that is not
 * noted would return as the one before.
 */
static __always_inline void forget_last(u32 direction)
{
#ifndef TOPOSCOPE_TYPED
	u64 id = bpf_get_current_pid_tgid();
	struct call *kept = bpf_map_lookup_elem(stash_of(direction), &id);

	if (kept)
		kept->sk = 0;
#endif
}

#define CALL_TURNS 1 /* in call.flags of a send: it began a turn */

/*
 * A send begins. Its number is taken now, because its answer may be read by another thread before the call returns. The
 * stream offset is the kernel's own write position. known is what look_up found.
 */
static __always_inline void send_enter(const struct sock *sk, struct conn *known, const struct settings *set, const struct buffer *buffer,
				       u64 left)
{
	const struct tcp_sock *tp = tcp_of(sk);
	struct call call = {};
	struct conn *conn;

	forget_last(SENT);
	conn = conn_of(known, sk, set, BLANK_SEND);
	if (!conn || !tp || refused(conn))
		return;
	call.sk = (u64)sk;
	call.time = bpf_ktime_get_ns();
	call.seq = next_seq(conn);
	call.flags = conn->last_direction != SENT ? CALL_TURNS : 0;
	call.turn = turn_of(conn, SENT);
	call.at = read_field(tp, write_seq);
	call.off = offset_of(conn, SENT, call.at);
	call.end = call.off + left;
	call.buffer = *buffer;
	stash(conn, SENT, bpf_get_current_pid_tgid(), &call);
}

/* A send begins, where nothing is known yet. left is what the caller wants to send, if that matters. */
static __always_inline void send_begins(const struct sock *sk, const struct buffer *buffer, u64 left)
{
	struct settings *set = get_settings();

	if (set && watched(set))
		send_enter(sk, look_up(sk), set, buffer, left);
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

/* The send returned: ret bytes were taken, or an error. sk is NULL where the return does not tell. */
static __always_inline void send_exit(const struct sock *sk, s64 ret, u32 slot)
{
	struct settings *set = get_settings();
	u64 id = bpf_get_current_pid_tgid();
	struct conn *conn = NULL;
	struct call *call;

	call = call_under_way(sk, SENT, id, &conn);
	if (!call)
		return;
	if (!set || !conn)
		goto out;
	if (ret > 0)
		send_run(conn, set, call, ret, slot);
	else if (!take_back_seq(conn, call->seq))
		send_run(conn, set, call, 0, slot); /* a later number is out already: this one must not be missing */
	else if (call->flags & CALL_TURNS)
		take_back_turn(conn);
out:
	forget_call(conn, call, SENT, id);
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
	const struct tcp_sock *tp = tcp_of(sk);
	struct settings *set = get_settings();
	struct call call = {};
	struct conn *conn;

	if (!set || !tp || !watched(set))
		return;
	forget_last(RECEIVED);
	conn = find_conn(sk, set, BLANK_RECEIVE);
	if (!conn || refused(conn))
		return;
	if ((flags & (MSG_PEEK | MSG_TRUNC)) == (MSG_PEEK | MSG_TRUNC))
		return; /* asks for a length: nothing is copied, and a later call reads the bytes */
	call.sk = (u64)sk;
	call.at = read_field(tp, copied_seq);
	call.flags = flags;
	call.buffer = *buffer;
	if (flags & MSG_TRUNC)
		call.buffer.kind = BUFFER_NONE; /* consumed, not copied */
	stash(conn, RECEIVED, bpf_get_current_pid_tgid(), &call);
}

/*
 * Where the bytes that a receive returned began. Another reader may have moved the position while this one waited; a FIN that
 * was read along counts one.
 */
static __always_inline u32 receive_start(const struct call *call, const struct tcp_sock *tp, u32 size)
{
	u32 now = read_field(tp, copied_seq), moved = now - call->at;

	if (call->flags & MSG_PEEK)
		return now;
	if (moved == size || moved == size + 1)
		return call->at;
	return now - size;
}

/* The receive returned; sk is NULL where the return does not tell. */
static __always_inline void receive_exit(const struct sock *sk, s64 ret, u32 slot)
{
	struct settings *set = get_settings();
	u64 id = bpf_get_current_pid_tgid();
	const struct tcp_sock *tp;
	struct conn *conn = NULL;
	struct run run = {};
	struct call *call;

	call = call_under_way(sk, RECEIVED, id, &conn);
	if (!call)
		return;
#ifndef TOPOSCOPE_TYPED
	sk = (const struct sock *)call->sk;
#endif
	tp = tcp_of(sk);
	if (set && conn && tp && ret > 0) {
		run.buffer = call->buffer;
		run.slot = slot;
		receive_run(conn, set, &run, receive_start(call, tp, ret), ret);
	}
	forget_call(conn, call, RECEIVED, id);
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
