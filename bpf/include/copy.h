/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A packet's copy straight into the ring, for programs that are handed a struct __sk_buff. */
#ifndef TOPOSCOPE_COPY_H
#define TOPOSCOPE_COPY_H

/*
 * The verifier wants the room that is reserved to be a constant. There is no scratch area to put a record together in, as the
 * bytes of calls are: these programs may be preempted by themselves. So room comes in sizes, powers of two.
 */
#define ROOM_SMALL 256 /* nearly every question and most answers */
#define ROOM_MEDIUM 2048 /* a packet of Ethernet's usual length */
#define ROOM_LARGE 8192 /* the largest answer that resolvers take (EDNS0), with its headers */
#define ROOM_HUGE 65536 /* what segmentation offload makes of TCP */

/* Returns the record's packet, for the caller to mend and submit; NULL when there is none. */
static __always_inline struct packet_event *copy_as(void *ring, struct __sk_buff *skb, const struct packet *p, u64 head, u64 room)
{
	struct packet_event *event = bpf_ringbuf_reserve(ring, sizeof(*event) + room, 0);
	u64 last;

	if (!event) {
		count(COUNT_LOST_RING, 1);
		return NULL;
	}
	last = head - 1; /* the verifier of 6.1 does not learn from a comparison with 0 that head is not 0 */
	hide(last);
	if (last >= room)
		goto refused;
	hide(last); /* the mask changes nothing: without CAP_PERFMON a comparison is no bound, since it may be mispredicted */
	if (bpf_skb_load_bytes(skb, 0, event + 1, (last & (room - 1)) + 1))
		goto refused;
	fill_packet(event, p, skb->len, head);
	count(COUNT_EVENTS, 1);
	count(COUNT_BYTES, head);
	return event;
refused:
	bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
	return NULL;
}

#endif
