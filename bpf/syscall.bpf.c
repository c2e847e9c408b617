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
		send_begins(sk, buffer, 0);
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
	receive_exit(NULL, ctx->ret, SCRATCH_RECEIVE);
	return 0;
}

/* splice: one of the two descriptors is a pipe, the other may be a socket */
ENTER(splice_pages)
{
	struct buffer buffer = {};
	const struct sock *to = sock_of(ctx->args[2]);

	if (to)
		send_begins(to, &buffer, 0);
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
	struct settings *set = get_settings();
	struct user_mmsghdr message;
	struct conn *conn = NULL;
	struct call *call;
	int i;

	call = call_under_way(NULL, SENT, id, &conn);
	if (!call || !set)
		return 0;
	base = call->buffer.base;
	if (!conn || ctx->ret <= 0) {
		send_exit(NULL, ctx->ret, SCRATCH_SEND);
		return 0;
	}
	for (i = 0; i < MESSAGES_MAX && i < ctx->ret; i++) {
		if (bpf_probe_read_user(&message, sizeof(message), (struct user_mmsghdr *)base + i))
			break;
		if (i > 0)
			call->seq = next_seq(conn);
		vector(&call->buffer, (u64)message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen);
		send_run(conn, set, call, message.msg_len, SCRATCH_SEND);
		call->off += message.msg_len;
		call->at += message.msg_len;
	}
	forget_call(conn, call, SENT, id);
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
	struct settings *set = get_settings();
	struct user_mmsghdr message;
	struct conn *conn = NULL;
	struct call *call;
	u32 at;
	int i;

	call = call_under_way(NULL, RECEIVED, id, &conn);
	if (!call || !set)
		return 0;
	base = call->buffer.base;
	at = call->at;
	for (i = 0; conn && i < MESSAGES_MAX && i < ctx->ret; i++) {
		struct run run = { .slot = SCRATCH_RECEIVE };

		if (bpf_probe_read_user(&message, sizeof(message), (struct user_mmsghdr *)base + i))
			break;
		vector(&run.buffer, (u64)message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen);
		receive_run(conn, set, &run, at, message.msg_len);
		at += message.msg_len;
	}
	forget_call(conn, call, RECEIVED, id);
	return 0;
}

/* the arguments of the system call that a task is in */
struct arguments {
	s64 number;
	u64 first, second, third, fourth;
};

#if defined(__TARGET_ARCH_x86)
#define NR_READ 0
#define NR_RECVFROM 45
static __always_inline void arguments_of(struct arguments *args, const struct pt_regs *regs)
{
	args->number = BPF_CORE_READ(regs, orig_ax);
	args->first = BPF_CORE_READ(regs, di);
	args->second = BPF_CORE_READ(regs, si);
	args->third = BPF_CORE_READ(regs, dx);
	args->fourth = BPF_CORE_READ(regs, r10);
}

static __always_inline bool from_program(const struct pt_regs *regs)
{
	return (BPF_CORE_READ(regs, cs) & 3) == 3; /* the ring it came from */
}
#elif defined(__TARGET_ARCH_arm64)
#define NR_READ 63
#define NR_RECVFROM 207
static __always_inline void arguments_of(struct arguments *args, const struct pt_regs *regs)
{
	args->number = BPF_CORE_READ(regs, syscallno);
	args->first = BPF_CORE_READ(regs, orig_x0);
	args->second = BPF_CORE_READ(regs, user_regs.regs[1]);
	args->third = BPF_CORE_READ(regs, user_regs.regs[2]);
	args->fourth = BPF_CORE_READ(regs, user_regs.regs[3]);
}

static __always_inline bool from_program(const struct pt_regs *regs)
{
	return (BPF_CORE_READ(regs, user_regs.pstate) & 15) == 0; /* the exception level it came from */
}
#endif

/*
 * What a task entered the kernel with. Before 5.15 no helper tells: it is at the end of the task's stack, whose size BTF does not have
 * (THREAD_SIZE; of kernels with pages of 4 KiB and without KASAN). NULL when what is there did not come from a program.
 */
#define STACK_SIZE 16384

static __always_inline const struct pt_regs *registers_of(struct task_struct *task)
{
	const struct pt_regs *registers;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (const struct pt_regs *)bpf_task_pt_regs(task);
	registers = BPF_CORE_READ(task, stack) + STACK_SIZE - bpf_core_type_size(struct pt_regs);
	return from_program(registers) ? registers : NULL;
}

/*
 * Threads that were waiting in a receive when capture began: its return is traced, its entry was not. Nothing has moved since, so
 * what the entry would have remembered can be had now.
 */
SEC("iter/task")
int waiting_receives(struct bpf_iter__task *ctx)
{
	struct settings *set = get_settings();
	struct task_struct *task = ctx->task;
	struct arguments args = {};
	const struct pt_regs *registers;
	struct call call = {};
	const struct sock *sk;
	struct conn *conn;
	u32 pid;
	u64 id;

	if (!task || !set)
		return 0;
	registers = registers_of(task);
	if (!registers)
		return 0;
	arguments_of(&args, registers);
	if (args.number != NR_READ && args.number != NR_RECVFROM)
		return 0;
	sk = socket_of(task, args.first);
	pid = BPF_CORE_READ(task, tgid);
	if (!sk || action_of(set, pid) != ACTION_INCLUDE)
		return 0;
	conn = find_conn(sk, set, BLANK_EXISTING);
	if (!conn)
		return 0;
	call.sk = (u64)sk;
	call.at = BPF_CORE_READ((const struct tcp_sock *)sk, copied_seq);
	call.flags = args.number == NR_RECVFROM ? args.fourth : 0;
	one(&call.buffer, args.second, args.third);
	id = (u64)pid << 32 | (u32)BPF_CORE_READ(task, pid);
	bpf_map_update_elem(&receives, &id, &call, BPF_NOEXIST);
	return 0;
}
