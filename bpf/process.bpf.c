//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Processes: what they become, whose children they are, when they end; so that a process that is gone still has a name. */
#include "prelude.h"

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct exec_event *event = bpf_ringbuf_reserve(&process_ring, sizeof(*event), 0);
	u64 start, length;

	if (!event) {
		count(COUNT_LOST_PROCESS, 1);
		return 0;
	}
	__builtin_memset(&event->header, 0, sizeof(event->header));
	event->args_len = 0;
	event->header.type = EVENT_EXEC;
	event->header.time = bpf_ktime_get_ns();
	current_task(&event->header.task);
	event->parent = BPF_CORE_READ(task, real_parent, tgid);
	event->cgroup = bpf_get_current_cgroup_id();
	BPF_CORE_READ_STR_INTO(&event->comm, task, comm);
	bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), BPF_CORE_READ(bprm, filename));
	start = BPF_CORE_READ(task, mm, arg_start);
	length = BPF_CORE_READ(task, mm, arg_end) - start;
	if (length > sizeof(event->args) - 1)
		length = sizeof(event->args) - 1;
	if (!bpf_probe_read_user(event->args, length, (void *)start))
		event->args_len = length;
	bpf_ringbuf_submit(event, 0);
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

/* The last thread of a process: its leader may be long gone. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct exit_event *event;
	u32 pid;

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
