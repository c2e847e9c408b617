/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which processes are watched: decided here, before a byte is copied. */
#ifndef TOPOSCOPE_WATCH_H
#define TOPOSCOPE_WATCH_H

/* What happens to a process, which may not be the current one. */
static __always_inline u32 action_in(const struct settings *set, u32 pid, u64 cgroup)
{
	u8 *action;

	if (pid == set->self)
		return ACTION_EXCLUDE;
	if (!set->filtering)
		return ACTION_INCLUDE;
	action = bpf_map_lookup_elem(&watched_pids, &pid);
	if (action)
		return *action;
	action = bpf_map_lookup_elem(&watched_cgroups, &cgroup);
	if (action)
		return *action;
	return set->default_action;
}

static __always_inline u32 action_of(const struct settings *set, u32 pid)
{
	return action_in(set, pid, set->filtering ? bpf_get_current_cgroup_id() : 0);
}

static __always_inline bool judged(u32 action)
{
	if (action == ACTION_INCLUDE)
		return true;
	count(action == ACTION_PENDING ? COUNT_PENDING : COUNT_UNWATCHED, 1);
	return false;
}

/* watched says whether the current task's traffic is wanted, and counts it when it is not. */
static __always_inline bool watched(const struct settings *set)
{
	return set->enabled && judged(action_of(set, bpf_get_current_pid_tgid() >> 32));
}

static __always_inline void current_task(struct task_id *id)
{
	struct task_struct *task;
	u64 both;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) { /* 5.11: one call instead of four */
		task = bpf_get_current_task_btf();
		id->pid = task->tgid;
		id->tid = task->pid;
		id->start = task->group_leader->start_boottime;
		return;
	}
	task = (struct task_struct *)bpf_get_current_task();
	both = bpf_get_current_pid_tgid();
	id->pid = both >> 32;
	id->tid = both;
	id->start = BPF_CORE_READ(task, group_leader, start_boottime);
}

static __always_inline void task_of(struct task_id *id, struct task_struct *task)
{
	id->pid = BPF_CORE_READ(task, tgid);
	id->tid = BPF_CORE_READ(task, pid);
	id->start = BPF_CORE_READ(task, group_leader, start_boottime);
}

#endif
