/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Numbers that are given to one taker each: of connections, and of the calls on one.
 *
 * An addition that tells its result takes Linux 5.12 (on arm64 5.18). TOPOSCOPE_V2 is defined where objects are compiled once more,
 * for kernels before that and by -mcpu=v2, which makes one that slips in an error of the compiler.
 */
#ifndef TOPOSCOPE_NUMBER_H
#define TOPOSCOPE_NUMBER_H

#ifndef TOPOSCOPE_V2

static __always_inline u64 next_id(u64 *last)
{
	return __sync_fetch_and_add(last, 1) + 1;
}

static __always_inline u64 next_seq(struct conn *conn)
{
	return __sync_fetch_and_add(&conn->seq, 1);
}

/* False when a later number is out already. */
static __always_inline bool take_back_seq(struct conn *conn, u64 seq)
{
	return __sync_val_compare_and_swap(&conn->seq, seq + 1, seq) == seq + 1;
}

#else

#define NUMBERING_TRIES 64

/*
 * Who is giving out numbers now, by connection; 0: numbers of connections. That an entry may be made only once is what these kernels
 * have of an atomic exchange that tells its result. Programs of kinds other than fexit may not use a bpf_spin_lock.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096); /* more than one a CPU */
	__type(key, u64);
	__type(value, u8);
} numbering SEC(".maps");

static __always_inline bool begin_numbering(u64 of)
{
	u8 busy = 1;
	int i;

	for (i = 0; i < NUMBERING_TRIES; i++)
		if (!bpf_map_update_elem(&numbering, &of, &busy, BPF_NOEXIST))
			return true;
	return false;
}

/*
 * 0 when another holds on to the numbers for too long: a program of this CPU that was interrupted. The connection is then found by its
 * first bytes.
 */
static __always_inline u64 next_id(u64 *last)
{
	u64 of = 0, id;

	if (!begin_numbering(of))
		return 0;
	id = *(volatile u64 *)last + 1;
	*(volatile u64 *)last = id;
	bpf_map_delete_elem(&numbering, &of);
	return id;
}

/*
 * Whoever does not get his turn takes a number all the same. Then two may have one, and the next is nobody's: user space keeps one of
 * the two, and counts the gap.
 */
static __always_inline u64 next_seq(struct conn *conn)
{
	u64 of = conn->id, seq;
	bool alone = begin_numbering(of);

	__sync_fetch_and_add(&conn->seq, 1);
	seq = *(volatile u64 *)&conn->seq - 1;
	if (alone)
		bpf_map_delete_elem(&numbering, &of);
	return seq;
}

static __always_inline bool take_back_seq(struct conn *conn, u64 seq)
{
	u64 of = conn->id;
	bool last;

	if (!begin_numbering(of))
		return false;
	last = *(volatile u64 *)&conn->seq == seq + 1;
	if (last)
		*(volatile u64 *)&conn->seq = seq;
	bpf_map_delete_elem(&numbering, &of);
	return last;
}

#endif
#endif
