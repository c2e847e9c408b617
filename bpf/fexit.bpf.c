//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The way in by BPF trampolines: entry and exit of the socket functions. */
#define TOPOSCOPE_TYPED
#include "prelude.h"

SEC("fentry/tcp_sendmsg")
int BPF_PROG(fentry_send, struct sock *sk, struct msghdr *msg, size_t size)
{
	struct buffer buffer;

	buffer_of(&buffer, &msg->msg_iter);
	send_begins(sk, &buffer, size);
	return 0;
}

/* The result by its own helper: the number of arguments has changed between kernels. */
SEC("fexit/tcp_sendmsg")
int BPF_PROG(fexit_send, struct sock *sk)
{
	u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	send_exit(sk, (s64)(s32)ret, SCRATCH_SEND);
	return 0;
}

/* sendfile and splice before 6.5 (dc97391e6610): pages, the length is known */
SEC("fentry/tcp_sendpage")
int BPF_PROG(fentry_sendpage, struct sock *sk, void *page, int offset, size_t size)
{
	struct buffer buffer = {};

	send_begins(sk, &buffer, size);
	return 0;
}

SEC("fexit/tcp_sendpage")
int BPF_PROG(fexit_sendpage, struct sock *sk)
{
	u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	send_exit(sk, (s64)(s32)ret, SCRATCH_SEND);
	return 0;
}

SEC("fentry/tcp_recvmsg")
int BPF_PROG(fentry_receive, struct sock *sk, struct msghdr *msg, size_t size, int flags_or_nonblock, int flags)
{
	struct buffer buffer;

	buffer_of(&buffer, &msg->msg_iter);
	receive_enter(sk, &buffer, msg->msg_flags | flags_or_nonblock);
	return 0;
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(fexit_receive, struct sock *sk)
{
	u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	receive_exit(sk, (s64)(s32)ret, SCRATCH_RECEIVE);
	return 0;
}

SEC("fentry/tcp_splice_read")
int BPF_PROG(fentry_splice, struct socket *sock)
{
	const struct sock *sk = sock->sk;
	struct buffer buffer = {};

	if (sk)
		receive_enter(sk, &buffer, 0);
	return 0;
}

SEC("fexit/tcp_splice_read")
int BPF_PROG(fexit_splice, struct socket *sock)
{
	const struct sock *sk = sock->sk;
	u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	if (sk)
		receive_exit(sk, (s64)ret, SCRATCH_RECEIVE);
	return 0;
}
