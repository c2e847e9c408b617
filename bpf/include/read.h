/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How the kernel's memory is read where it is read for every call. An object whose programs are all handed typed pointers (tp_btf,
 * fentry, fexit) defines TOPOSCOPE_TYPED: there a member is a load. The others get addresses, and each member is a call of
 * bpf_probe_read_kernel, some 30 ns. Offsets come from the running kernel's BTF either way. What is read once a connection need not
 * ask here: BPF_CORE_READ takes both.
 */
#ifndef TOPOSCOPE_READ_H
#define TOPOSCOPE_READ_H

#ifdef TOPOSCOPE_TYPED
#define read_field(pointer, field) ((pointer)->field)
#else
#define read_field(pointer, field) BPF_CORE_READ(pointer, field)
#endif

#ifdef TOPOSCOPE_SKB
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym; /* 6.2, and no call: the verifier only changes the type */
#endif

/* The socket of a connection as TCP has it, for read_field: the same address. NULL when it is another kind. */
static __always_inline const struct tcp_sock *tcp_of(const struct sock *sk)
{
#if defined(TOPOSCOPE_SKB)
	return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
#elif defined(TOPOSCOPE_TYPED)
	return bpf_skc_to_tcp_sock((void *)sk);
#else
	return (const struct tcp_sock *)sk;
#endif
}

#endif
