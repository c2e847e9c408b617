/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a file descriptor of the current task to its TCP socket, as a system call's tracepoint has to walk it. */
#ifndef TOPOSCOPE_DESCRIPTOR_H
#define TOPOSCOPE_DESCRIPTOR_H

static __always_inline const struct sock *socket_of(const struct task_struct *task, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	const struct socket *sock;
	const struct sock *sk;
	struct file **files;
	struct file *file = NULL;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	sock = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(sock, sk);
	return sk && is_tcp(sk) ? sk : NULL;
}

static __always_inline const struct sock *sock_of(u32 fd)
{
	return socket_of((const struct task_struct *)bpf_get_current_task(), fd);
}

#endif
