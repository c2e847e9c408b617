//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Processes: what they become, whose children they are, when they end; so that a process that is gone still has a name. */
#include "prelude.h"

/* too large for the stack; by CPU, tracepoints are not preempted */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct exec_event);
} exec_scratch SEC(".maps");

/* At most limit bytes, a constant, of the new program's memory. */
static __always_inline u32 copy_range(char *to, u64 limit, unsigned long start, unsigned long end)
{
	u64 length = end - start;

	if (length > limit)
		length = limit;
	hide(length);
	if (length == 0 || length > limit || bpf_probe_read_user(to, length, (void *)start))
		return 0;
	return length;
}

/*
 * Another program may fall under another rule: nothing of it is copied until user space has said which, so user space is woken.
 * Where nothing is filtered the record waits until somebody reads the ring.
 */
static __always_inline u64 judge_anew(u32 pid)
{
	struct settings *set = get_settings();
	u8 pending = ACTION_PENDING;

	if (!set || !set->filtering)
		return BPF_RB_NO_WAKEUP;
	bpf_map_update_elem(&watched_pids, &pid, &pending, BPF_ANY);
	return BPF_RB_FORCE_WAKEUP;
}

/* Where a thread kept its calls. */
static __always_inline void forget_thread(u64 id)
{
	bpf_map_delete_elem(&sends, &id);
	bpf_map_delete_elem(&receives, &id);
}

/*
 * Arguments and environment are copied here, because a program may have ended by the time that /proc is read. The kernel has just
 * written them, so they are in memory.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	u32 zero = 0;
	struct exec_event *event = bpf_map_lookup_elem(&exec_scratch, &zero);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	u64 id = bpf_get_current_pid_tgid(), length, wake;

	if ((u32)id != (u32)old_pid) /* a thread that was not the leader has taken its place: its own number ends without an exit */
		forget_thread((id >> 32 << 32) | (u32)old_pid);
	if (!event)
		return 0;
	wake = judge_anew(id >> 32);
	__builtin_memset(&event->header, 0, sizeof(event->header));
	event->header.type = EVENT_EXEC;
	event->header.time = bpf_ktime_get_ns();
	current_task(&event->header.task);
	event->parent = BPF_CORE_READ(task, real_parent, tgid);
	event->cgroup = bpf_get_current_cgroup_id();
	BPF_CORE_READ_STR_INTO(&event->comm, task, comm);
	bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), BPF_CORE_READ(bprm, filename));
	event->args_len = copy_range(event->args, sizeof(event->args), BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end));
	event->environ_len = copy_range(event->environ, sizeof(event->environ), BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
	length = __builtin_offsetof(struct exec_event, environ) + event->environ_len;
	hide(length);
	if (length > sizeof(*event))
		return 0;
	if (bpf_ringbuf_output(&process_ring, event, length, wake))
		count(COUNT_LOST_PROCESS, 1);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 pid = BPF_CORE_READ(child, tgid), from = BPF_CORE_READ(parent, tgid);
	struct fork_event *event;
	u8 *action;

	if (pid != BPF_CORE_READ(child, pid))
		return 0; /* a thread */
	action = bpf_map_lookup_elem(&watched_pids, &from);
	if (action)
		bpf_map_update_elem(&watched_pids, &pid, action, BPF_ANY);
	else
		bpf_map_delete_elem(&watched_pids, &pid); /* user space may have judged one of this number after its end */
	event = bpf_ringbuf_reserve(&process_ring, sizeof(*event), 0);
	if (!event) {
		count(COUNT_LOST_PROCESS, 1);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->header.type = EVENT_FORK;
	event->header.time = bpf_ktime_get_ns();
	task_of(&event->header.task, child);
	task_of(&event->parent, parent);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* A thread; the last one of a process is its end: the leader may be long gone. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct exit_event *event;
	u32 pid;

	forget_thread(bpf_get_current_pid_tgid());
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	pid = BPF_CORE_READ(task, tgid);
	bpf_map_delete_elem(&watched_pids, &pid);
	event = bpf_ringbuf_reserve(&process_ring, sizeof(*event), 0);
	if (!event) {
		count(COUNT_LOST_PROCESS, 1);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->header.type = EVENT_EXIT;
	event->header.time = bpf_ktime_get_ns();
	task_of(&event->header.task, task);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}
