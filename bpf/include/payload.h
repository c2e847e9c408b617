/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Bytes: where a call keeps them, how many of them are wanted, and their copy into the ring. One body for every way in.
 *
 * A record is put together in a scratch area and copied to the ring at its true length. What the copying loop remembers is kept
 * in memory, where the verifier does not follow it: it then looks at one turn of the loop instead of every combination.
 */
#ifndef TOPOSCOPE_PAYLOAD_H
#define TOPOSCOPE_PAYLOAD_H

#define SEGMENTS_MAX 16

/* keeps the compiler from proving a bound itself and dropping the check that the verifier needs to see */
#define hide(x) asm volatile("" : "+r"(x))

/* what to copy of a run, decided before room is reserved */
struct portion {
	u32 head;
	u32 tail;
};

/* a run of bytes of one call */
struct run {
	u64 time;
	u64 seq;
	u64 off;
	u64 size;
	u32 direction;
	u32 skb_offset;
	u32 slot; /* enum scratch_slot */
	u32 turn;
	const struct sk_buff *skb; /* else buffer */
	struct buffer buffer;
};

static __always_inline void buffer_of(struct buffer *buffer, const struct iov_iter *iter)
{
	u32 type, iovec = bpf_core_enum_value(enum iter_type, ITER_IOVEC);

	__builtin_memset(buffer, 0, sizeof(*buffer));
	if (bpf_core_field_exists(iter->iter_type))
		type = BPF_CORE_READ(iter, iter_type);
	else
		type = BPF_CORE_READ((const struct iov_iter___type *)iter, type) & ~1U;
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) && type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		buffer->kind = BUFFER_ONE;
		buffer->base = (u64)BPF_CORE_READ(iter, ubuf) + BPF_CORE_READ(iter, iov_offset);
		buffer->segments = BPF_CORE_READ(iter, count);
	} else if (type == iovec) {
		buffer->kind = BUFFER_KERNEL_IOV;
		if (bpf_core_field_exists(iter->__iov))
			buffer->base = (u64)BPF_CORE_READ(iter, __iov);
		else
			buffer->base = (u64)BPF_CORE_READ((const struct iov_iter___iov *)iter, iov);
		buffer->segments = BPF_CORE_READ(iter, nr_segs);
		buffer->skip = BPF_CORE_READ(iter, iov_offset);
	} /* bvec, kvec, pipe: pages without a user's address; the length is known, the bytes are not */
}

/*
 * The first call of a turn has the whole allowance; what a turn has used is told by the bytes of its direction. The first bytes
 * of every call are copied nevertheless: a message need not begin with a turn, as when an answer was sent before all of a body
 * was read.
 */
static __always_inline void portion_of(struct portion *part, struct conn *conn, const struct settings *set, u32 direction, u64 size)
{
	struct verdict *verdict = verdict_of(conn);
	u32 head = verdict ? verdict->head : set->undecided_head;
	u32 tail = verdict ? verdict->tail : 0;
	u32 used = conn->used[direction];

	head = head > used + HEAD_MIN ? head - used : HEAD_MIN;
	if (head > HEAD_MAX)
		head = HEAD_MAX;
	if (head > size)
		head = size;
	if (tail > size - head)
		tail = size - head;
	if (tail > TAIL_MAX)
		tail = TAIL_MAX;
	part->head = head;
	part->tail = tail;
	conn->used[direction] = used + head;
}

/* Copy want bytes, from bytes into the buffer, to scratch->data + at. scratch->done says how many it were. */
static __always_inline void copy_iov(struct scratch *scratch, u64 at, const struct buffer *buffer, u64 from, u64 want)
{
	u64 n, done;
	int i;

	scratch->done = 0;
	scratch->want = want;
	scratch->skip = buffer->skip + from;
	scratch->base = buffer->base;
	scratch->segments = buffer->segments;
	scratch->user = buffer->kind == BUFFER_USER_IOV;
	for (i = 0; i < SEGMENTS_MAX; i++) {
		const struct iovec *segment = (const struct iovec *)scratch->base + i;

		done = scratch->done;
		if (i >= scratch->segments || done >= scratch->want || done >= HEAD_MAX)
			break;
		if (scratch->user ? bpf_probe_read_user(scratch->segment, sizeof(scratch->segment), segment) :
				    bpf_probe_read_kernel(scratch->segment, sizeof(scratch->segment), segment))
			break;
		if (scratch->skip >= scratch->segment[1]) {
			scratch->skip -= scratch->segment[1];
			continue;
		}
		n = scratch->segment[1] - scratch->skip;
		if (n > scratch->want - done)
			n = scratch->want - done;
		hide(n);
		if (n == 0 || n > HEAD_MAX)
			break;
		if (bpf_probe_read_user(scratch->data + at + done, n, (void *)(scratch->segment[0] + scratch->skip)))
			break;
		scratch->done = done + n;
		scratch->skip = 0;
	}
}

#ifdef TOPOSCOPE_SKB
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;

static __always_inline void copy_skb(struct scratch *scratch, u64 at, const struct run *run, u64 from, u64 want)
{
	struct bpf_dynptr ptr;

	scratch->done = 0;
	if (bpf_dynptr_from_skb((struct __sk_buff *)run->skb, 0, &ptr))
		return;
	if (!bpf_dynptr_read(scratch->data + at, want, &ptr, run->skb_offset + from, 0))
		scratch->done = want;
}
#endif

/* at and want are at most HEAD_MAX. */
static __always_inline u64 copy_bytes(struct scratch *scratch, u64 at, const struct run *run, u64 from, u64 want)
{
	hide(want);
	hide(at);
	if (want == 0 || want > HEAD_MAX || at > HEAD_MAX)
		return 0;
#ifdef TOPOSCOPE_SKB
	if (run->skb) {
		copy_skb(scratch, at, run, from, want);
		return scratch->done;
	}
#endif
	if (run->buffer.kind == BUFFER_NONE)
		return 0;
	if (run->buffer.kind == BUFFER_ONE)
		return bpf_probe_read_user(scratch->data + at, want, (void *)(run->buffer.base + from)) ? 0 : want;
	copy_iov(scratch, at, &run->buffer, from, want);
	return scratch->done;
}

static __always_inline void fill_data(struct data_event *event, const struct conn *conn, const struct run *run)
{
	event->header.type = EVENT_DATA;
	event->header.direction = run->direction;
	event->header.role = 0;
	event->header.flags = 0;
	event->header.error = 0;
	event->header.time = run->time;
	event->header.conn = conn->id;
	current_task(&event->header.task);
	event->seq = run->seq;
	event->off = run->off;
	event->size = run->size;
	event->turn = run->turn;
}

static __always_inline bool emit_record(void *ring, const struct settings *set, struct scratch *scratch)
{
	u64 head = scratch->event.head, tail = scratch->event.tail;

	if (head > HEAD_MAX || tail > TAIL_MAX)
		return false;
	count(COUNT_BYTES, head + tail);
	return !bpf_ringbuf_output(ring, &scratch->event, sizeof(scratch->event) + head + tail, wakeup(ring, set));
}

/* Put a run into the connection's ring. A run that finds no room leaves a gap in Seq behind, and is counted. */
static __always_inline void emit(struct conn *conn, const struct settings *set, const struct run *run)
{
	void *ring = ring_of(conn);
	struct scratch *scratch = get_scratch(run->slot);
	struct portion part;
	u64 head, tail;

	if (!ring || !scratch)
		return;
	if (!conn->announced)
		announce(conn, set);
	portion_of(&part, conn, set, run->direction, run->size);
	fill_data(&scratch->event, conn, run);
	head = copy_bytes(scratch, 0, run, 0, part.head);
	scratch->event.head = head;
	tail = part.tail ? copy_bytes(scratch, head, run, run->size - part.tail, part.tail) : 0;
	scratch->event.tail = tail == part.tail ? tail : 0; /* a tail ends where its run does, or is none */
	count(emit_record(ring, set, scratch) ? COUNT_EVENTS : COUNT_LOST_RING, 1);
}

#endif
