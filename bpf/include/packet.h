/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Packets: who they are between, whose they are, and their copy into the ring. */
#ifndef TOPOSCOPE_PACKET_H
#define TOPOSCOPE_PACKET_H

#ifndef hide
#define hide(x) asm volatile("" : "+r"(x))
#endif

struct ipv4 {
	u8 version; /* and the header's length in words */
	u8 service;
	__be16 total;
	__be16 id;
	__be16 fragment;
	u8 ttl;
	u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6 {
	__be32 version;
	__be16 payload;
	u8 next;
	u8 hops;
	u64 source[2];
	u64 destination[2];
};

enum part { PART_WHOLE = 0, PART_FIRST, PART_LATER };

/* a packet as its headers tell it */
struct packet {
	struct flow flow;
	struct task_id task; /* at the local end; zero when not known */
	u32 transport; /* where the header of TCP or UDP begins */
	u32 id; /* of its fragments, and of IPv4 */
	u32 offset; /* of a fragment */
	u8 protocol;
	u8 part;
	u8 direction;
};

static __always_inline struct packet_settings *get_packet_settings(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&packets_wanted, &zero);
}

static __always_inline bool is_service(const struct packet_settings *set, u16 port)
{
	return set->ports[port >> 6] >> (port & 63) & 1;
}

static __always_inline bool read_ipv4(struct __sk_buff *skb, struct packet *p, bool sent)
{
	struct ipv4 ip;
	u16 fragment;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return false;
	p->transport = (ip.version & 15) * 4;
	if (p->transport < sizeof(ip))
		return false;
	fragment = bpf_ntohs(ip.fragment);
	p->offset = fragment & 0x1fff;
	p->part = p->offset ? PART_LATER : fragment & 0x2000 ? PART_FIRST : PART_WHOLE;
	p->id = ip.id;
	p->protocol = ip.protocol;
	set_v4(sent ? p->flow.local : p->flow.remote, ip.source);
	set_v4(sent ? p->flow.remote : p->flow.local, ip.destination);
	return true;
}

#define IPV6_HOP_BY_HOP 0
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_AUTHENTICATION 51
#define IPV6_DESTINATION 60
#define EXTENSIONS_MAX 6

/* Walk the extension headers (RFC 8200 section 4). */
static __always_inline bool skip_extensions(struct __sk_buff *skb, struct packet *p)
{
	u8 header[8];
	int i;

#pragma clang loop unroll(full) /* without CAP_PERFMON the verifier of 6.1 follows the guess that a loop goes on, for ever */
	for (i = 0; i < EXTENSIONS_MAX; i++) {
		if (p->protocol != IPV6_HOP_BY_HOP && p->protocol != IPV6_ROUTING && p->protocol != IPV6_FRAGMENT &&
		    p->protocol != IPV6_AUTHENTICATION && p->protocol != IPV6_DESTINATION)
			return true;
		if (bpf_skb_load_bytes(skb, p->transport, header, sizeof(header)))
			return false;
		if (p->protocol == IPV6_FRAGMENT) {
			u16 fragment = bpf_ntohs(*(__be16 *)(header + 2));

			p->offset = fragment & ~7;
			p->id = *(u32 *)(header + 4);
			p->part = p->offset ? PART_LATER : fragment & 1 ? PART_FIRST : PART_WHOLE;
			p->transport += 8;
		} else if (p->protocol == IPV6_AUTHENTICATION) {
			p->transport += (header[1] + 2) * 4;
		} else {
			p->transport += (header[1] + 1) * 8;
		}
		p->protocol = header[0];
		if (p->part == PART_LATER)
			return true; /* what follows is no header */
	}
	return false;
}

static __always_inline bool read_ipv6(struct __sk_buff *skb, struct packet *p, bool sent)
{
	struct ipv6 ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return false;
	p->transport = sizeof(ip);
	p->protocol = ip.next;
	__builtin_memcpy(sent ? p->flow.local : p->flow.remote, ip.source, sizeof(ip.source));
	__builtin_memcpy(sent ? p->flow.remote : p->flow.local, ip.destination, sizeof(ip.destination));
	return skip_extensions(skb, p);
}

/* Read the headers of a packet, whose network header is where the program's data begin. p is zero. */
static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *p, bool sent)
{
	__be16 ports[2] = {};

	p->direction = sent ? SENT : RECEIVED;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_ipv4(skb, p, sent))
			return false;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (!read_ipv6(skb, p, sent))
			return false;
	} else {
		return false;
	}
	if (p->part == PART_LATER)
		return true;
	if (bpf_skb_load_bytes(skb, p->transport, ports, sizeof(ports)))
		return false;
	p->flow.local_port = bpf_ntohs(sent ? ports[0] : ports[1]);
	p->flow.remote_port = bpf_ntohs(sent ? ports[1] : ports[0]);
	return true;
}

/* The ring of the connection that a packet belongs to, the same for both of its ends. */
static __always_inline void *ring_of_flow(const struct flow *flow, const struct settings *set)
{
	u32 shard = shard_of(hash_of(flow), set->shards);

	return bpf_map_lookup_elem(&rings, &shard);
}

/* What is shed of packets goes by the same lots as the connections' calls. */
static __always_inline bool in_shed_lot(const struct flow *flow, const struct settings *set)
{
	return set->shed_lots && is_shed(set, lot_of(hash_of(flow)));
}

static __always_inline bool shed(const struct flow *flow, const struct settings *set)
{
	if (!in_shed_lot(flow, set))
		return false;
	count(COUNT_SHED, 1);
	return true;
}

static __always_inline void fill_packet(struct packet_event *event, const struct packet *p, u32 size, u32 head)
{
	event->header.type = EVENT_PACKET;
	event->header.direction = p->direction;
	event->header.role = 0;
	event->header.flags = 0;
	event->header.error = 0;
	event->header.time = bpf_ktime_get_ns();
	event->header.conn = 0;
	event->header.task = p->task;
	event->netns = p->flow.netns;
	event->size = size;
	event->head = head;
	event->pad = 0;
}

#endif
