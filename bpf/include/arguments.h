/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Arguments and results of functions that have other arguments in other kernels. The loader takes their number from the running
 * kernel's BTF and sets arguments_of_<function>; the result lies after them. bpf_get_func_ret is not to be had before 5.17.
 */
#ifndef TOPOSCOPE_ARGUMENTS_H
#define TOPOSCOPE_ARGUMENTS_H

const volatile u32 arguments_of_tcp_recvmsg = 0;

/* Before 5.19 (ec095263a965) whether to wait was an argument of its own, and the flags came after it. */
#define FLAGS_OF_RECEIVE (arguments_of_tcp_recvmsg == 6 ? 4 : 3)

/* each load by itself, at a constant place, as the verifier wants them; in C they would become one load at a computed place */
#define handed_at(n, value, ctx) \
	case n: \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(value) : "r"(ctx), "i"(8 * (n))); \
		break

/*
 * What a program on a trampoline is handed at a place, from 0. The verifier knows the loader's constants and looks at one case alone;
 * the loader refuses functions with more arguments than are listed.
 */
static __always_inline u64 handed(const unsigned long long *ctx, u32 place)
{
	u64 value = 0;

	switch (place) {
	handed_at(1, value, ctx);
	handed_at(2, value, ctx);
	handed_at(3, value, ctx);
	handed_at(4, value, ctx);
	handed_at(5, value, ctx);
	handed_at(6, value, ctx);
	}
	return value;
}

#define RESULT_OF(function) handed(ctx, arguments_of_##function)

#endif
