//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The way in by kprobes on the socket functions, where trampolines may not be loaded. */
#include "prelude.h"
#include "arguments.h"

SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(kprobe_send, struct sock *sk, struct msghdr *msg, size_t size)
{
	struct buffer buffer;

	buffer_of(&buffer, &msg->msg_iter);
	send_begins(sk, &buffer, size);
	return 0;
}

SEC("kretprobe/tcp_sendmsg")
int BPF_KRETPROBE(kretprobe_send, int ret)
{
	send_exit(NULL, ret, SCRATCH_SEND);
	return 0;
}

/* sendfile and splice before 6.5 (dc97391e6610): pages, the length is known */
SEC("kprobe/tcp_sendpage")
int BPF_KPROBE(kprobe_sendpage, struct sock *sk, void *page, int offset, size_t size)
{
	struct buffer buffer = {};

	send_begins(sk, &buffer, size);
	return 0;
}

SEC("kretprobe/tcp_sendpage")
int BPF_KRETPROBE(kretprobe_sendpage, int ret)
{
	send_exit(NULL, ret, SCRATCH_SEND);
	return 0;
}

SEC("kprobe/tcp_recvmsg")
int BPF_KPROBE(kprobe_receive, struct sock *sk, struct msghdr *msg, size_t size, int fourth, int fifth)
{
	struct buffer buffer;

	buffer_of(&buffer, &msg->msg_iter);
	receive_enter(sk, &buffer, BPF_CORE_READ(msg, msg_flags) | (FLAGS_OF_RECEIVE == 4 ? fifth : fourth));
	return 0;
}

SEC("kretprobe/tcp_recvmsg")
int BPF_KRETPROBE(kretprobe_receive, int ret)
{
	receive_exit(NULL, ret, SCRATCH_RECEIVE);
	return 0;
}

SEC("kprobe/tcp_splice_read")
int BPF_KPROBE(kprobe_splice, struct socket *sock)
{
	struct buffer buffer = {};

	receive_enter(BPF_CORE_READ(sock, sk), &buffer, 0);
	return 0;
}

SEC("kretprobe/tcp_splice_read")
int BPF_KRETPROBE(kretprobe_splice, long ret)
{
	receive_exit(NULL, ret, SCRATCH_RECEIVE);
	return 0;
}

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(kretprobe_accept, struct sock *sk)
{
	if (sk)
		accepted(sk);
	return 0;
}
