//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Accepts, but for the kprobe that goes with the others of its kind. What is accepted comes as an address, not typed. */
#include "prelude.h"
#include "arguments.h"
#include "descriptor.h"

const volatile u32 arguments_of_inet_csk_accept = 0; /* the loader's */

static __always_inline void accepted_as(s64 fd)
{
	const struct sock *sk = fd < 0 ? NULL : sock_of(fd);

	if (sk)
		accepted(sk);
}

/*
 * accept, accept4: for the ways that have no hook on inet_csk_accept. A tracepoint on any system call slows every system call of the
 * machine (about 50 ns on 6.18), so only these ways load it.
 */
SEC("tracepoint")
int was_accepted(struct trace_event_raw_sys_exit *ctx)
{
	accepted_as(ctx->ret);
	return 0;
}

SEC("fexit/inet_csk_accept")
int BPF_PROG(fexit_accept)
{
	u64 ret = RESULT_OF(inet_csk_accept);

	if (ret)
		accepted((const struct sock *)ret);
	return 0;
}
