/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connections: found by their struct sock, made at first sight, announced before anything else is said of them. */
#ifndef TOPOSCOPE_CONN_H
#define TOPOSCOPE_CONN_H

#include "number.h"

static __always_inline bool is_tcp(const struct sock *sk)
{
	u16 family = read_field(sk, __sk_common.skc_family);

	if (family != AF_INET && family != AF_INET6)
		return false;
	return read_field(sk, sk_protocol) == IPPROTO_TCP;
}

/*
 * The TCP socket under a socket that was opened for MPTCP, as every listener of a Go program is (net.ListenConfig, Go 1.24). What
 * is accepted from one is plain TCP unless the client asked for more.
 */
static __always_inline const struct sock *tcp_under(const struct sock *sk)
{
	const struct mptcp_sock *mptcp = (const struct mptcp_sock *)sk;

	if (!sk || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_MPTCP || !bpf_core_field_exists(mptcp->first))
		return sk;
	return BPF_CORE_READ(mptcp, first);
}

static __always_inline u8 state_of(const struct sock *sk)
{
	return read_field(sk, __sk_common.skc_state);
}

static __always_inline u32 ports_of(const struct sock *sk)
{
	return (u32)read_field(sk, __sk_common.skc_num) << 16 | read_field(sk, __sk_common.skc_dport);
}

static __always_inline void set_v4(u64 *to, u32 address)
{
	to[0] = 0;
	((u32 *)to)[2] = bpf_htonl(0xffff);
	((u32 *)to)[3] = address;
}

static __always_inline void read_flow(struct flow *flow, const struct sock *sk)
{
	flow->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	flow->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	flow->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		set_v4(flow->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		set_v4(flow->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
		return;
	}
	BPF_CORE_READ_INTO(&flow->local, sk, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&flow->remote, sk, __sk_common.skc_v6_daddr);
}

static __always_inline u64 mix(u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	return x;
}

/* The same for both ends of a connection, so that they meet in one shard and are shed together. */
static __always_inline u64 hash_of(const struct flow *flow)
{
	u64 local = mix(flow->local[0] ^ mix(flow->local[1] + flow->local_port));
	u64 remote = mix(flow->remote[0] ^ mix(flow->remote[1] + flow->remote_port));

	return local + remote;
}

static __always_inline u8 shard_of(u64 hash, u32 shards)
{
	return shards ? (u8)((u32)(hash >> 32) % shards) : 0;
}

/* The lot by which it is decided what is shed: of other bits than the shard. */
static __always_inline u8 lot_of(u64 hash)
{
	return hash >> 24;
}

static __always_inline bool is_shed(const struct settings *set, u8 lot)
{
	return (u8)(lot - set->shed_from) < set->shed_lots;
}

static __always_inline void *ring_of(const struct conn *conn)
{
	u32 shard = conn->shard;

	return bpf_map_lookup_elem(&rings, &shard);
}

static __always_inline bool flagged(const struct sock *sk, u64 flag)
{
	return read_field(sk, __sk_common.skc_flags) >> flag & 1;
}

/* Readers wake when the ring holds a watermark's worth, or by their own timer: a wake-up costs more than the copy. */
static __always_inline u64 wakeup(void *ring, const struct settings *set)
{
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= set->watermark ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* The kernel counts a received FIN as a byte; tcp_fin() leaves SOCK_DONE behind. */
static __always_inline u64 bytes_received(const struct sock *sk)
{
	return BPF_CORE_READ((const struct tcp_sock *)sk, bytes_received) - flagged(sk, bpf_core_enum_value(enum sock_flags, SOCK_DONE));
}

static __always_inline void read_totals(struct conn_stats *stats, const struct conn *conn, const struct sock *sk)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;

	stats->conn = conn->id;
	stats->shard = conn->shard;
	stats->sent = BPF_CORE_READ(tp, bytes_sent) - BPF_CORE_READ(tp, bytes_retrans) - conn->base_sent;
	stats->received = bytes_received(sk) - conn->base_received;
	stats->retransmits = BPF_CORE_READ(tp, total_retrans) - conn->base_retransmits;
	stats->rtt = (u64)(BPF_CORE_READ(tp, srtt_us) >> 3) * 1000;
}

static __always_inline void announce(struct conn *conn, const struct settings *set)
{
	void *ring = ring_of(conn);
	struct open_event *event;

	if (!ring)
		return;
	event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
	if (!event) {
		count(COUNT_LOST_RING, 1); /* tried again with the next event of this connection */
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->header.type = EVENT_OPEN;
	event->header.role = conn->role;
	event->header.flags = conn->existing ? FLAG_EXISTING : 0;
	event->header.time = conn->opened;
	event->header.conn = conn->id;
	event->header.task = conn->owner;
	event->flow = conn->flow;
	event->connecting = conn->connecting;
	event->active = conn->active;
	conn->announced = 1;
	bpf_ringbuf_submit(event, wakeup(ring, set));
}

/* Take the tuple and the stream positions from the socket: its connection is established. */
static __always_inline void settle(struct conn *conn, const struct sock *sk, const struct settings *set, u64 now)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	u64 hash;

	read_flow(&conn->flow, sk);
	conn->ports = ports_of(sk);
	hash = hash_of(&conn->flow);
	conn->shard = shard_of(hash, set->shards);
	conn->lot = lot_of(hash);
	conn->at[SENT] = BPF_CORE_READ(tp, write_seq);
	conn->at[RECEIVED] = BPF_CORE_READ(tp, copied_seq);
	conn->opened = now;
	conn->established = 1;
}

/* An empty connection of this CPU's, with a number of its own, for add_conn. */
static __always_inline struct conn *blank(u32 slot, u8 role)
{
	struct conn *conn = bpf_map_lookup_elem(&blank_conn, &slot);
	u32 zero = 0;
	u64 *last = bpf_map_lookup_elem(&last_conn, &zero);

	if (!conn || !last)
		return NULL;
	__builtin_memset(conn, 0, sizeof(*conn));
	conn->id = next_id(last);
	conn->role = role;
	if (!conn->id) {
		count(COUNT_LOST_CONNS, 1);
		return NULL;
	}
	return conn;
}

static __always_inline struct conn *make_conn(const struct sock *sk, u8 role)
{
	struct conn *conn = blank(BLANK_STATE, role);
	u64 key = (u64)sk;

	if (!conn)
		return NULL;
	if (bpf_map_update_elem(&conns, &key, conn, BPF_ANY)) {
		count(COUNT_LOST_CONNS, 1);
		return NULL;
	}
	return bpf_map_lookup_elem(&conns, &key);
}

/* Still that connection: a closed socket has given its port back, and what it received can still be read. */
static __always_inline bool same_conn(const struct conn *conn, const struct sock *sk)
{
	return conn->established && (conn->ports == ports_of(sk) || state_of(sk) == TCP_CLOSE);
}

/*
 * A connection whose beginning was not seen. A socket that came from a listener has inherited the listener's backlog limit
 * (sk_clone_lock copies it), one that connected never had any. It enters the map complete and only once: a reader and a writer
 * may come at the same time.
 */
static __always_inline struct conn *adopt_conn(const struct sock *sk, const struct settings *set, u32 slot)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	u8 state = state_of(sk);
	u64 key = (u64)sk;
	struct conn *conn;

	if (state == TCP_CLOSE || state == TCP_LISTEN || state == TCP_SYN_SENT || state == TCP_SYN_RECV || state == TCP_NEW_SYN_RECV ||
	    state == TCP_TIME_WAIT)
		return NULL;
	conn = bpf_map_lookup_elem(&conns, &key);
	if (conn && same_conn(conn, sk))
		return conn;
	if (conn)
		bpf_map_delete_elem(&conns, &key); /* of a socket that had this address before, or its handshake's end was missed */
	conn = blank(slot, BPF_CORE_READ(sk, sk_max_ack_backlog) ? ROLE_SERVER : ROLE_CLIENT);
	if (!conn)
		return NULL;
	conn->existing = 1;
	conn->accepted = BPF_CORE_READ(sk, sk_socket) != NULL;
	conn->active = BPF_CORE_READ(tp, tcp_mstamp) * 1000;
	conn->base_sent = BPF_CORE_READ(tp, bytes_sent) - BPF_CORE_READ(tp, bytes_retrans);
	conn->base_received = bytes_received(sk);
	conn->base_retransmits = BPF_CORE_READ(tp, total_retrans);
	settle(conn, sk, set, bpf_ktime_get_ns());
	bpf_map_update_elem(&conns, &key, conn, BPF_NOEXIST);
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn)
		count(COUNT_LOST_CONNS, 1);
	return conn && same_conn(conn, sk) ? conn : NULL;
}

/* What is known under this socket's address; it may be of another that had it before. */
static __always_inline struct conn *look_up(const struct sock *sk)
{
	u64 key = (u64)sk;

	return bpf_map_lookup_elem(&conns, &key);
}

/* The socket's connection, given what look_up found. */
static __always_inline struct conn *conn_of(struct conn *conn, const struct sock *sk, const struct settings *set, u32 slot)
{
	if (conn && same_conn(conn, sk))
		return conn;
	return adopt_conn(sk, set, slot);
}

static __always_inline struct conn *find_conn(const struct sock *sk, const struct settings *set, u32 slot)
{
	return conn_of(look_up(sk), sk, set, slot);
}

static __always_inline struct verdict *verdict_of(const struct conn *conn)
{
	u32 slot = conn->id % VERDICT_SLOTS;
	struct verdict *verdict = bpf_map_lookup_elem(&verdicts, &slot);

	return verdict && verdict->conn == conn->id ? verdict : NULL;
}

/* Stream offset of a TCP sequence number that lies within 2 GiB of the last one seen. */
static __always_inline u64 offset_of(const struct conn *conn, u32 direction, u32 at)
{
	u64 off = *(volatile const u64 *)&conn->off[direction];

	return off + (s64)(s32)(at - (conn->at[direction] + (u32)off));
}

#endif
