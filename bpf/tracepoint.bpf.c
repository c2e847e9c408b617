//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The way in by socket tracepoints (kernel 6.16 and later): no trampoline, no kprobe, and blind to nothing. */
#define TOPOSCOPE_TYPED
#define TOPOSCOPE_SKB
#include "prelude.h"

/*
 * Fires under the socket's lock once for every buffer that a send fills, before the copy: the first time is the send's entry.
 * write_seq plus what is left to copy stays the same through one call.
 */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tracepoint_send, const struct sock *sk, const struct msghdr *msg)
{
	struct settings *set = get_settings();
	struct call *call = NULL;
	struct buffer buffer;
	struct conn *conn;
	u64 left;

	if (!set || !watched(set))
		return 0;
	left = msg->msg_iter.count;
	conn = look_up(sk);
	if (conn)
		call = call_on(conn, sk, SENT, bpf_get_current_pid_tgid());
	if (call && (u32)(call->at + (u32)(call->end - call->off)) == tcp_of(sk)->write_seq + (u32)left)
		return 0;
	buffer_of(&buffer, &msg->msg_iter);
	send_enter(sk, conn, set, &buffer, left);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(tracepoint_sent, struct sock *sk, int ret)
{
	if (is_tcp(sk))
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
	at = tcp_of(sk)->copied_seq;
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
	const struct tcp_sock *tp = tcp_of(sk);
	u32 at = tp->copied_seq;

	if (flagged(sk, bpf_core_enum_value(enum sock_flags, SOCK_DONE)) && at == tp->rcv_nxt)
		at--;
	return at;
}

/* Fires after the position moved, also when nothing was copied (splice, MSG_TRUNC): then only the length is known. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tracepoint_consumed, struct sock *sk)
{
	struct settings *set = get_settings();
	struct conn *conn = look_up(sk);
	struct run run = { .slot = SCRATCH_RECEIVE };
	u64 off, next;

	if (!set || !conn || !conn->established)
		return 0;
	next = conn->off[RECEIVED];
	if (offset_of(conn, RECEIVED, tcp_of(sk)->copied_seq) <= next)
		return 0; /* nearly always */
	off = offset_of(conn, RECEIVED, position(sk));
	if (off <= next || refused(conn) || !watched(set))
		return 0;
	receive_run(conn, set, &run, conn->at[RECEIVED] + (u32)next, off - next);
	return 0;
}
