//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The way in by system call tracepoints, which works where all else is refused. It is blind to io_uring, and each call finds
 * its socket by the descriptor.
 */
#include "prelude.h"
#include "descriptor.h"

#define MESSAGES_MAX 4

static __always_inline void one(struct buffer *buffer, u64 base, u64 size)
{
	buffer->kind = BUFFER_ONE;
	buffer->base = base;
	buffer->segments = size;
}

static __always_inline void vector(struct buffer *buffer, u64 base, u64 segments)
{
	buffer->kind = BUFFER_USER_IOV;
	buffer->base = base;
	buffer->segments = segments;
}

static __always_inline void message(struct buffer *buffer, u64 address)
{
	struct user_msghdr header;

	if (!bpf_probe_read_user(&header, sizeof(header), (void *)address))
		vector(buffer, (u64)header.msg_iov, header.msg_iovlen);
}

static __always_inline void send_by(u64 fd, const struct buffer *buffer)
{
	const struct sock *sk = sock_of(fd);

	if (sk)
		send_enter(sk, buffer, 0);
}

static __always_inline void receive_by(u64 fd, const struct buffer *buffer, u32 flags)
{
	const struct sock *sk = sock_of(fd);

	if (sk)
		receive_enter(sk, buffer, flags);
}

/* A program serves every system call with the same arguments; the loader knows which. */
#define ENTER(name) SEC("tracepoint") int name(struct trace_event_raw_sys_enter *ctx)
#define EXIT(name) SEC("tracepoint") int name(struct trace_event_raw_sys_exit *ctx)

/* write, sendto */
ENTER(send_buffer)
{
	struct buffer buffer = {};

	one(&buffer, ctx->args[1], ctx->args[2]);
	send_by(ctx->args[0], &buffer);
	return 0;
}

/* writev */
ENTER(send_vector)
{
	struct buffer buffer = {};

	vector(&buffer, ctx->args[1], ctx->args[2]);
	send_by(ctx->args[0], &buffer);
	return 0;
}

/* sendmsg */
ENTER(send_message)
{
	struct buffer buffer = {};

	message(&buffer, ctx->args[1]);
	send_by(ctx->args[0], &buffer);
	return 0;
}

/* sendfile: pages from a file or a pipe; the length is known */
ENTER(send_pages)
{
	struct buffer buffer = {};

	send_by(ctx->args[0], &buffer);
	return 0;
}

EXIT(sent)
{
	send_exit(NULL, ctx->ret, SCRATCH_SEND);
	return 0;
}

/* read, recvfrom: the fourth argument of read is whatever the register held, so recvfrom has a program of its own */
ENTER(receive_buffer)
{
	struct buffer buffer = {};

	one(&buffer, ctx->args[1], ctx->args[2]);
	receive_by(ctx->args[0], &buffer, 0);
	return 0;
}

ENTER(receive_flags)
{
	struct buffer buffer = {};

	one(&buffer, ctx->args[1], ctx->args[2]);
	receive_by(ctx->args[0], &buffer, ctx->args[3]);
	return 0;
}

/* readv */
ENTER(receive_vector)
{
	struct buffer buffer = {};

	vector(&buffer, ctx->args[1], ctx->args[2]);
	receive_by(ctx->args[0], &buffer, 0);
	return 0;
}

/* recvmsg */
ENTER(receive_message)
{
	struct buffer buffer = {};

	message(&buffer, ctx->args[1]);
	receive_by(ctx->args[0], &buffer, ctx->args[2]);
	return 0;
}

EXIT(received)
{
	receive_exit(ctx->ret, SCRATCH_RECEIVE);
	return 0;
}

/* splice: one of the two descriptors is a pipe, the other may be a socket */
ENTER(splice_pages)
{
	struct buffer buffer = {};
	const struct sock *to = sock_of(ctx->args[2]);

	if (to)
		send_enter(to, &buffer, 0);
	else
		receive_by(ctx->args[0], &buffer, 0);
	return 0;
}

/* sendmmsg and recvmmsg return messages, not bytes: each message's length is in the caller's array afterwards */
ENTER(send_messages)
{
	struct buffer buffer = {};

	buffer.base = ctx->args[1];
	send_by(ctx->args[0], &buffer);
	return 0;
}

EXIT(sent_messages)
{
	u64 id = bpf_get_current_pid_tgid(), base;
	struct call *call = bpf_map_lookup_elem(&sends, &id);
	struct settings *set = get_settings();
	struct user_mmsghdr message;
	struct conn *conn;
	u64 key;
	int i;

	if (!call || !set)
		return 0;
	base = call->buffer.base;
	key = call->sk;
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn || ctx->ret <= 0) {
		send_exit(NULL, ctx->ret, SCRATCH_SEND);
		return 0;
	}
	for (i = 0; i < MESSAGES_MAX && i < ctx->ret; i++) {
		if (bpf_probe_read_user(&message, sizeof(message), (struct user_mmsghdr *)base + i))
			break;
		if (i > 0)
			call->seq = __sync_fetch_and_add(&conn->seq, 1);
		vector(&call->buffer, (u64)message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen);
		send_run(conn, set, call, message.msg_len, SCRATCH_SEND);
		call->off += message.msg_len;
		call->at += message.msg_len;
	}
	bpf_map_delete_elem(&sends, &id);
	return 0; /* messages beyond the limit show as a jump of the offset */
}

ENTER(receive_messages)
{
	struct buffer buffer = {};

	buffer.base = ctx->args[1];
	receive_by(ctx->args[0], &buffer, ctx->args[3]);
	return 0;
}

EXIT(received_messages)
{
	u64 id = bpf_get_current_pid_tgid(), base;
	struct call *call = bpf_map_lookup_elem(&receives, &id);
	struct settings *set = get_settings();
	struct user_mmsghdr message;
	struct conn *conn;
	u64 key;
	u32 at;
	int i;

	if (!call || !set)
		return 0;
	base = call->buffer.base;
	at = call->at;
	key = call->sk;
	conn = bpf_map_lookup_elem(&conns, &key);
	for (i = 0; conn && i < MESSAGES_MAX && i < ctx->ret; i++) {
		struct run run = { .slot = SCRATCH_RECEIVE };

		if (bpf_probe_read_user(&message, sizeof(message), (struct user_mmsghdr *)base + i))
			break;
		vector(&run.buffer, (u64)message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen);
		receive_run(conn, set, &run, at, message.msg_len);
		at += message.msg_len;
	}
	bpf_map_delete_elem(&receives, &id);
	return 0;
}
