//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The way in by socket tracepoints (kernel 6.16 and later): no trampoline, no kprobe, and blind to nothing. */
#define TOPOSCOPE_SKB
#include "prelude.h"

/*
 * Fires under the socket's lock once for every buffer that a send fills, before the copy: the first time is the send's entry.
 * write_seq plus what is left to copy stays the same through one call.
 */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tracepoint_send, const struct sock *sk, const struct msghdr *msg)
{
	u64 id = bpf_get_current_pid_tgid(), left = BPF_CORE_READ(msg, msg_iter.count);
	struct call *call = bpf_map_lookup_elem(&sends, &id);
	struct buffer buffer;

	if (call && call->sk == (u64)sk &&
	    (u32)(call->at + (u32)(call->end - call->off)) == BPF_CORE_READ((const struct tcp_sock *)sk, write_seq) + (u32)left)
		return 0;
	buffer_of(&buffer, &msg->msg_iter);
	send_enter(sk, &buffer, left);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(tracepoint_sent, struct sock *sk, int ret)
{
	send_exit(sk, ret, SCRATCH_SEND);
	return 0;
}

/* Fires under the socket's lock before each buffer is copied to the reader. */
SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(tracepoint_receive, const struct sk_buff *skb, int len)
{
	const struct sock *sk = skb->sk;
	struct settings *set = get_settings();
	struct run run = { .slot = SCRATCH_RECEIVE };
	struct conn *conn;
	u32 at, first;

	if (!set || !sk || len <= 0 || !is_tcp(sk) || !watched(set))
		return 0;
	conn = find_conn(sk, set, BLANK_RECEIVE);
	if (!conn || refused(conn))
		return 0;
	first = *(const u32 *)skb->cb; /* TCP_SKB_CB(skb)->seq */
	at = BPF_CORE_READ((const struct tcp_sock *)sk, copied_seq);
	if ((s32)(first - at) > 0)
		at = first; /* a MSG_PEEK that has come to its second buffer */
	run.skb = skb;
	run.skb_offset = at - first;
	receive_run(conn, set, &run, at, len);
	return 0;
}

/* Where reading has come to. A FIN that was read along, as splice does, counts one in the kernel. */
static __always_inline u32 position(const struct sock *sk)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	u32 at = BPF_CORE_READ(tp, copied_seq);

	if (flagged(sk, bpf_core_enum_value(enum sock_flags, SOCK_DONE)) && at == BPF_CORE_READ(tp, rcv_nxt))
		at--;
	return at;
}

/* Fires after the position moved, also when nothing was copied (splice, MSG_TRUNC): then only the length is known. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tracepoint_consumed, struct sock *sk)
{
	struct settings *set = get_settings();
	u64 key = (u64)sk, off, next;
	struct run run = { .slot = SCRATCH_RECEIVE };
	struct conn *conn;

	conn = bpf_map_lookup_elem(&conns, &key);
	if (!set || !conn || !conn->established)
		return 0;
	next = conn->off[RECEIVED];
	if (offset_of(conn, RECEIVED, BPF_CORE_READ((const struct tcp_sock *)sk, copied_seq)) <= next)
		return 0; /* nearly always */
	off = offset_of(conn, RECEIVED, position(sk));
	if (off <= next || refused(conn) || !watched(set))
		return 0;
	receive_run(conn, set, &run, conn->at[RECEIVED] + (u32)next, off - next);
	return 0;
}
