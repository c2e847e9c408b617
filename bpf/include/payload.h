/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Bytes: where a call keeps them, how many of them are wanted, and their copy into the ring. One body for every way in.
 *
 * A record is put together in a scratch area and copied to the ring at its true length, unless it is short: then it is put together in
 * the ring. What the copying loop remembers is kept in memory, where the verifier does not follow it: it then looks at one turn of
 * the loop instead of every combination.
 */
#ifndef TOPOSCOPE_PAYLOAD_H
#define TOPOSCOPE_PAYLOAD_H

#define SEGMENTS_MAX 16
#define WHOLE_SEGMENTS_MAX 256
#define STEPS_MAX (WHOLE_SEGMENTS_MAX + WHOLE_MAX / HEAD_MAX)

/* keeps the compiler from proving a bound itself and dropping the check that the verifier needs to see */
#define hide(x) asm volatile("" : "+r"(x))

/* what to copy of a run, decided before room is reserved */
struct portion {
	u32 head;
	u32 tail;
	u32 segments;
	u32 hurry; /* user space must look at it at once: what comes before it has decided may be more than is copied */
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
		type = read_field(iter, iter_type);
	else
		type = read_field((const struct iov_iter___type *)iter, type) & ~1U;
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) && type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		buffer->kind = BUFFER_ONE;
		buffer->base = (u64)read_field(iter, ubuf);
		buffer->segments = read_field(iter, count);
		buffer->skip = read_field(iter, iov_offset);
	} else if (type == iovec) {
		buffer->kind = BUFFER_KERNEL_IOV;
		if (bpf_core_field_exists(iter->__iov))
			buffer->base = (u64)read_field(iter, __iov);
		else
			buffer->base = (u64)read_field((const struct iov_iter___iov *)iter, iov);
		buffer->segments = read_field(iter, nr_segs);
		buffer->skip = read_field(iter, iov_offset);
	} /* bvec, kvec, pipe: pages without a user's address; the length is known, the bytes are not */
}

/*
 * Whether more of a connection is copied whole though its protocol is not known: user space may be kept from deciding for longer
 * than it takes to send EARLY_MAX bytes, and as long as there is room nobody pays for that.
 */
static __always_inline bool early(const struct conn *conn, void *ring)
{
	return conn->early < EARLY_MAX ||
	       (conn->early < EARLY_LIMIT && bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) / 4);
}

/*
 * The first call of a turn has the whole allowance; what a turn has used is told by the bytes of its direction. The first bytes
 * of every call are copied nevertheless: a message need not begin with a turn, as when an answer was sent before all of a body
 * was read. Of a connection that is wanted whole each call has an allowance of its own, and more of its segments are looked at.
 * One that is undecided may turn out to be such a one, and what was not copied until then cannot be had again: its first EARLY_MAX
 * bytes are copied whole (see early()), and where that is more than the allowance of a turn user space is woken to decide.
 */
static __always_inline void portion_of(struct portion *part, struct conn *conn, void *ring, const struct settings *set, u32 direction,
					 u64 size)
{
	struct verdict *verdict = verdict_of(conn);
	u32 head = verdict ? verdict->head : set->undecided_head;
	u32 tail = verdict ? verdict->tail : 0;
	u32 used = conn->used[direction];
	bool whole = verdict && head > HEAD_MAX;
	u32 most;

	part->hurry = 0;
	if (!whole)
		head = head > used + HEAD_MIN ? head - used : HEAD_MIN;
	if (!verdict && size > head && early(conn, ring)) {
		whole = true;
		head = WHOLE_MAX;
		part->hurry = 1;
	}
	most = whole ? WHOLE_MAX : HEAD_MAX;
	if (head > most)
		head = most;
	if (head > size)
		head = size;
	if (tail > size - head)
		tail = size - head;
	if (tail > TAIL_MAX)
		tail = TAIL_MAX;
	part->head = head;
	part->tail = tail;
	part->segments = whole ? WHOLE_SEGMENTS_MAX : SEGMENTS_MAX;
	conn->used[direction] = used + head;
	if (part->hurry)
		conn->early += head;
}

static __always_inline void next_segment(struct scratch *scratch)
{
	scratch->skip -= scratch->segment[1];
	scratch->base += sizeof(scratch->segment);
	scratch->segments--;
}

/*
 * Copy to scratch->data, from at to end, out of a buffer of several segments; at says how far it came. A step copies HEAD_MAX
 * bytes or comes to the end of a segment. As it is not static, the verifier looks at it once instead of at each call. It finds the
 * scratch area anew, because before 5.12 such a function may not be handed a pointer.
 */
__attribute__((noinline)) int copy_segments(u32 slot)
{
	struct scratch *scratch = get_scratch(slot);
	u64 n, at;
	int i;

	if (!scratch)
		return 0;
	for (i = 0; i < STEPS_MAX; i++) {
		at = scratch->at;
		if (scratch->segments == 0 || at >= scratch->end || at >= RECORD_MAX)
			break;
		if (scratch->user ? bpf_probe_read_user(scratch->segment, sizeof(scratch->segment), (void *)scratch->base) :
				    bpf_probe_read_kernel(scratch->segment, sizeof(scratch->segment), (void *)scratch->base))
			break;
		if (scratch->skip >= scratch->segment[1]) {
			next_segment(scratch);
			continue;
		}
		n = scratch->segment[1] - scratch->skip;
		if (n > scratch->end - at)
			n = scratch->end - at;
		scratch->n = n < HEAD_MAX ? n : HEAD_MAX;
		n = *(volatile u64 *)&scratch->n; /* one case for the verifier, not three */
		if (n == 0 || n > HEAD_MAX)
			break;
		if (bpf_probe_read_user(scratch->data + at, n, (void *)(scratch->segment[0] + scratch->skip)))
			break;
		scratch->at = at + n;
		scratch->skip += n;
		if (scratch->skip >= scratch->segment[1])
			next_segment(scratch);
	}
	return 0;
}

/* Copy want bytes, from bytes into the buffer, to scratch->data + at; the result is how many it were. */
static __always_inline u64 copy_iov(struct scratch *scratch, u64 at, const struct run *run, u64 from, u64 want)
{
	scratch->at = at;
	scratch->end = at + want;
	scratch->skip = run->buffer.skip + from;
	scratch->base = run->buffer.base;
	scratch->segments = run->buffer.segments;
	scratch->user = run->buffer.kind == BUFFER_USER_IOV;
	copy_segments(run->slot);
	return scratch->at - at;
}

#ifdef TOPOSCOPE_SKB
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;

static __always_inline u64 copy_skb(void *to, const struct run *run, u64 from, u64 want)
{
	struct bpf_dynptr ptr;

	if (bpf_dynptr_from_skb((struct __sk_buff *)run->skb, 0, &ptr))
		return 0;
	return bpf_dynptr_read(to, want, &ptr, run->skb_offset + from, 0) ? 0 : want;
}
#endif

/* Copy want bytes of a run that is in one piece. */
static __always_inline u64 copy_piece(void *to, const struct run *run, u64 from, u64 want)
{
#ifdef TOPOSCOPE_SKB
	if (run->skb)
		return copy_skb(to, run, from, want);
#endif
	return bpf_probe_read_user(to, want, (void *)(run->buffer.base + run->buffer.skip + from)) ? 0 : want;
}

static __always_inline bool in_one_piece(const struct run *run)
{
	return run->skb || run->buffer.kind == BUFFER_ONE;
}

/* at is at most WHOLE_MAX, want at most the constant most. */
static __always_inline u64 copy_bytes(struct scratch *scratch, u64 at, const struct run *run, u64 from, u64 want, u64 most)
{
	hide(want);
	hide(at);
	if (want == 0 || want > most || at > WHOLE_MAX)
		return 0;
	if (in_one_piece(run))
		return copy_piece(scratch->data + at, run, from, want);
	if (run->buffer.kind == BUFFER_NONE)
		return 0;
	return copy_iov(scratch, at, run, from, want);
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
	event->pad = 0;
}

/*
 * Whether to wake the reader after a run: to ask costs the line of memory that every CPU writes the ring by. A short run is asked about
 * when it is a connection's first, and then every eighth. Some 870 connections in step could so fill a ring of 8 MiB within one poll:
 * then what finds no room is counted as lost.
 */
static __always_inline u64 wakeup_after(void *ring, const struct settings *set, const struct run *run)
{
	return run->seq & 7 ? BPF_RB_NO_WAKEUP : wakeup(ring, set);
}

static __always_inline bool emit_record(void *ring, const struct settings *set, struct scratch *scratch, bool hurry)
{
	u64 head = scratch->event.head, tail = scratch->event.tail;

	if (head > WHOLE_MAX || tail > TAIL_MAX)
		return false;
	count(COUNT_BYTES, head + tail);
	return !bpf_ringbuf_output(ring, &scratch->event, sizeof(scratch->event) + head + tail,
				   hurry ? BPF_RB_FORCE_WAKEUP : wakeup(ring, set));
}

/* A run of which only the length is known. */
static __always_inline bool emit_bare(void *ring, const struct settings *set, const struct conn *conn, const struct run *run)
{
	struct data_event *event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);

	if (!event)
		return false;
	fill_data(event, conn, run);
	event->head = 0;
	event->tail = 0;
	bpf_ringbuf_submit(event, wakeup(ring, set));
	return true;
}

static __always_inline bool emit_bytes(void *ring, const struct settings *set, const struct conn *conn, const struct run *run,
				       const struct portion *part)
{
	struct scratch *scratch = get_scratch(run->slot);
	u64 head, tail;

	if (!scratch)
		return false;
	fill_data(&scratch->event, conn, run);
	head = copy_bytes(scratch, 0, run, 0, part->head, WHOLE_MAX);
	scratch->event.head = head;
	tail = part->tail ? copy_bytes(scratch, head, run, run->size - part->tail, part->tail, TAIL_MAX) : 0;
	scratch->event.tail = tail == part->tail ? tail : 0; /* a tail ends where its run does, or is none */
	return emit_record(ring, set, scratch, part->hurry);
}

/* The verifier wants the room that is reserved to be a constant, so it comes in steps of this: the smallest exchanges take three times their room. */
#define ROOM_STEP 256
#define ROOM_SHORT (4 * ROOM_STEP)

/* A short run in one piece, as nearly all are, without the way through the scratch area. */
static __always_inline bool emit_in(u64 room, void *ring, const struct settings *set, const struct conn *conn, const struct run *run,
				    u64 head)
{
	struct data_event *event = bpf_ringbuf_reserve(ring, room, 0);

	if (!event)
		return false;
	fill_data(event, conn, run);
	hide(head);
	event->head = head != 0 && head <= room - sizeof(*event) ? copy_piece(event + 1, run, 0, head) : 0;
	event->tail = 0;
	count(COUNT_BYTES, event->head);
	bpf_ringbuf_submit(event, wakeup_after(ring, set, run));
	return true;
}

static __always_inline bool emit_short(void *ring, const struct settings *set, const struct conn *conn, const struct run *run, u64 head)
{
	u64 length = sizeof(struct data_event) + head;

	if (length <= ROOM_STEP)
		return emit_in(ROOM_STEP, ring, set, conn, run, head);
	if (length <= 2 * ROOM_STEP)
		return emit_in(2 * ROOM_STEP, ring, set, conn, run, head);
	if (length <= 3 * ROOM_STEP)
		return emit_in(3 * ROOM_STEP, ring, set, conn, run, head);
	return emit_in(ROOM_SHORT, ring, set, conn, run, head);
}

/*
 * Put a run into the connection's ring, as one record whatever its size: the number of a send is taken before it is known how
 * much of it the socket takes. A run that finds no room leaves a gap in Seq behind, and is counted.
 */
static __always_inline void emit(struct conn *conn, const struct settings *set, struct run *run)
{
	void *ring = ring_of(conn);
	struct portion part;
	bool sent;

	if (!ring)
		return;
	if (!conn->announced)
		announce(conn, set);
	if (is_shed(set, conn->lot)) {
		count(COUNT_SHED, 1); /* its number and its turn are taken: what is missing can be counted */
		return;
	}
	portion_of(&part, conn, ring, set, run->direction, run->size);
	if (run->buffer.segments > part.segments)
		run->buffer.segments = part.segments;
	if (run->buffer.kind == BUFFER_NONE && !run->skb)
		sent = emit_bare(ring, set, conn, run);
#ifndef TOPOSCOPE_V2 /* the verifier of 5.10 forgets a bound that is spilled to the stack, and takes 32 bits for unbounded */
	else if (in_one_piece(run) && !part.tail && !part.hurry && sizeof(struct data_event) + part.head <= ROOM_SHORT)
		sent = emit_short(ring, set, conn, run, part.head);
#endif
	else
		sent = emit_bytes(ring, set, conn, run, &part);
	count(sent ? COUNT_EVENTS : COUNT_LOST_RING, 1);
}

#endif
