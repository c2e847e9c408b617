//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The way in by BPF trampolines: entry and exit of the socket functions. */
#ifndef TOPOSCOPE_V2
#define TOPOSCOPE_TYPED
#endif
#include "prelude.h"
#include "arguments.h"

/* the loader's */
const volatile u32 arguments_of_tcp_sendmsg = 0;
const volatile u32 arguments_of_tcp_sendpage = 0;
const volatile u32 arguments_of_tcp_splice_read = 0;

SEC("fentry/tcp_sendmsg")
int BPF_PROG(fentry_send, struct sock *sk, struct msghdr *msg, size_t size)
{
	struct buffer buffer;

	buffer_of(&buffer, &msg->msg_iter);
	send_begins(sk, &buffer, size);
	return 0;
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(fexit_send, struct sock *sk)
{
	send_exit(sk, (s32)RESULT_OF(tcp_sendmsg), SCRATCH_SEND);
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
	send_exit(sk, (s32)RESULT_OF(tcp_sendpage), SCRATCH_SEND);
	return 0;
}

SEC("fentry/tcp_recvmsg")
int BPF_PROG(fentry_receive, struct sock *sk, struct msghdr *msg)
{
	struct buffer buffer;

	buffer_of(&buffer, &msg->msg_iter);
	receive_enter(sk, &buffer, read_field(msg, msg_flags) | handed(ctx, FLAGS_OF_RECEIVE));
	return 0;
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(fexit_receive, struct sock *sk)
{
	receive_exit(sk, (s32)RESULT_OF(tcp_recvmsg), SCRATCH_RECEIVE);
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
	const struct sock *sk = read_field(sock, sk);

	if (sk)
		receive_exit(sk, (s64)RESULT_OF(tcp_splice_read), SCRATCH_RECEIVE);
	return 0;
}
