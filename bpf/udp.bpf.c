//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Datagrams by trampolines or kprobes on the functions of UDP, in the context of the task that sends or receives. Connections of
 * other kinds pay nothing for it.
 */
#define TOPOSCOPE_PACKETS
/* one a CPU and program, as scratches: a trampoline's can be preempted by another, but never by itself */
#define SCRATCHES datagram_scratches
enum scratch_slot { DATAGRAM_SENT4, DATAGRAM_SENT6, DATAGRAM_RECEIVED, SCRATCH_SLOTS };
#include "prelude.h"
#include "packet.h"

#define HEADERS_MAX 256
#define LISTED_MAX 3 /* packets that a datagram longer than the path's unit is made of, beside the first */

/* a receive under way, by thread: the caller's memory is known when it begins, the datagram when its bytes are there */
struct datagram_receive {
	u64 sk;
	struct buffer buffer;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct datagram_receive);
} datagram_receives SEC(".maps");

/* A record is put together where a run of a call's bytes would be: right before scratch->data. */
static __always_inline struct packet_event *record_of(struct scratch *scratch)
{
	return (struct packet_event *)(scratch->data - sizeof(struct packet_event));
}

/* The headers, as far as that of UDP, to scratch->data. Both are in the linear part, wherever the rest is. */
static __always_inline u32 copy_headers(struct scratch *scratch, const struct sk_buff *skb, struct packet *p)
{
	u32 network = BPF_CORE_READ(skb, network_header), transport = BPF_CORE_READ(skb, transport_header);
	const unsigned char *from = BPF_CORE_READ(skb, head) + network;
	u32 length = transport - network;
	u64 n;

	if (length < sizeof(struct ipv4) || length > HEADERS_MAX)
		return 0;
	p->transport = length;
	n = length + 8;
	hide(n);
	n &= 2 * HEADERS_MAX - 1; /* what the verifier understands even when the compiler moves a comparison */
	return bpf_probe_read_kernel(scratch->data, n, from) ? 0 : n;
}

/* Read the ends from the headers in scratch->data. */
static __always_inline bool read_ends(struct scratch *scratch, struct packet *p, bool sent)
{
	struct ipv4 *v4 = (struct ipv4 *)scratch->data;
	struct ipv6 *v6 = (struct ipv6 *)scratch->data;
	u64 *source = sent ? p->flow.local : p->flow.remote, *destination = sent ? p->flow.remote : p->flow.local;
	u64 transport = p->transport;
	__be16 *ports;

	p->direction = sent ? SENT : RECEIVED;
	if (v4->version >> 4 == 4) {
		set_v4(source, v4->source);
		set_v4(destination, v4->destination);
	} else {
		__builtin_memcpy(source, v6->source, sizeof(v6->source));
		__builtin_memcpy(destination, v6->destination, sizeof(v6->destination));
	}
	hide(transport);
	if (transport > HEADERS_MAX)
		return false;
	ports = (__be16 *)(scratch->data + transport);
	p->flow.local_port = bpf_ntohs(sent ? ports[0] : ports[1]);
	p->flow.remote_port = bpf_ntohs(sent ? ports[1] : ports[0]);
	return true;
}

static __always_inline void submit(struct scratch *scratch, struct packet *p, const struct settings *set, u32 size, u64 head)
{
	struct packet_event *event = record_of(scratch);
	void *ring = ring_of_flow(&p->flow, set);

	if (head > HEAD_MAX)
		head = HEAD_MAX;
	hide(head);
	if (!ring || head > HEAD_MAX || shed(&p->flow, set))
		return;
	current_task(&p->task);
	fill_packet(event, p, size, head);
	if (bpf_ringbuf_output(ring, event, sizeof(*event) + head, wakeup(ring, set))) {
		count(COUNT_LOST_RING, 1);
		return;
	}
	count(COUNT_EVENTS, 1);
	count(COUNT_BYTES, head);
}

/* Append what is linear of a packet, from its data on. */
static __always_inline u64 append(struct scratch *scratch, u64 at, const struct sk_buff *skb, u64 skip)
{
	u64 n = BPF_CORE_READ(skb, len) - BPF_CORE_READ(skb, data_len);
	const unsigned char *from = BPF_CORE_READ(skb, data) + skip;

	if (n <= skip)
		return at;
	n -= skip;
	hide(n);
	hide(at);
	if (at > HEAD_MAX || n > HEAD_MAX)
		return at;
	hide(n);
	return bpf_probe_read_kernel(scratch->data + at, n & (2 * HEAD_MAX - 1), from) ? at : at + n;
}

/* A datagram that is longer than the path allows is a list of packets by now. */
static __always_inline u64 append_list(struct scratch *scratch, u64 at, const struct sk_buff *skb)
{
	struct skb_shared_info *shared = (struct skb_shared_info *)(BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end));
	struct sk_buff *next = BPF_CORE_READ(shared, frag_list);
	int i;

	for (i = 0; i < LISTED_MAX && next; i++) {
		at = append(scratch, at, next, 0);
		next = BPF_CORE_READ(next, next);
	}
	return at;
}

/* The headers are complete but for the length, which the next function fills in. */
static __always_inline void fill_length(struct scratch *scratch, u32 size)
{
	struct ipv4 *v4 = (struct ipv4 *)scratch->data;

	if (v4->version >> 4 == 4)
		v4->total = bpf_htons(size);
	else
		((struct ipv6 *)scratch->data)->payload = bpf_htons(size - sizeof(struct ipv6));
}

static __always_inline bool may_serve(const struct sock *sk, const struct packet_settings *wanted)
{
	u16 remote = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));

	return !remote || is_service(wanted, remote) || is_service(wanted, BPF_CORE_READ(sk, __sk_common.skc_num));
}

/* A packet on its way from udp_sendmsg: addressed, and not translated yet. */
static __always_inline void udp_send(const struct sk_buff *skb, u32 slot)
{
	struct packet_settings *wanted = get_packet_settings();
	struct scratch *scratch = get_scratch(slot);
	const struct sock *sk = BPF_CORE_READ(skb, sk);
	struct settings *set = get_settings();
	struct packet p = {};
	u64 head;
	u32 size;

	if (!set || !wanted || !scratch || !sk || !set->enabled || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_UDP)
		return;
	if (!may_serve(sk, wanted))
		return;
	head = copy_headers(scratch, skb, &p);
	if (!head || !read_ends(scratch, &p, true))
		return;
	if (!is_service(wanted, p.flow.local_port) && !is_service(wanted, p.flow.remote_port))
		return;
	if (!watched(set))
		return;
	size = BPF_CORE_READ(skb, len);
	fill_length(scratch, size);
	p.flow.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	head = append(scratch, head, skb, head);
	if (BPF_CORE_READ(skb, data_len))
		head = append_list(scratch, head, skb);
	submit(scratch, &p, set, size, head);
}

static __always_inline void udp_receive(const struct sock *sk, const struct msghdr *msg)
{
	struct packet_settings *wanted = get_packet_settings();
	struct datagram_receive receive = {};
	struct settings *set = get_settings();
	u64 id = bpf_get_current_pid_tgid();

	if (!set || !wanted || !set->enabled || !may_serve(sk, wanted))
		return;
	receive.sk = (u64)sk;
	buffer_of(&receive.buffer, &msg->msg_iter);
	bpf_map_update_elem(&datagram_receives, &id, &receive, BPF_ANY);
}

/* The datagram has been copied to the reader: copied bytes of it; less than none when it stays in the queue. */
static __always_inline void udp_consumed(const struct sock *sk, const struct sk_buff *skb, int copied)
{
	struct packet_settings *wanted = get_packet_settings();
	struct scratch *scratch = get_scratch(DATAGRAM_RECEIVED);
	u64 id = bpf_get_current_pid_tgid(), head, want;
	struct settings *set = get_settings();
	struct datagram_receive *receive;
	struct packet p = {};
	struct run run = { .slot = DATAGRAM_RECEIVED };
	u32 size;

	receive = bpf_map_lookup_elem(&datagram_receives, &id);
	if (!receive || !set || !wanted || !scratch || receive->sk != (u64)sk || copied < 0)
		return;
	head = copy_headers(scratch, skb, &p);
	if (!head || !read_ends(scratch, &p, false))
		return;
	if (!is_service(wanted, p.flow.local_port) && !is_service(wanted, p.flow.remote_port))
		return;
	if (!watched(set))
		return;
	want = p.transport;
	hide(want);
	if (want > HEADERS_MAX)
		return;
	size = want + bpf_ntohs(*(__be16 *)(scratch->data + want + 4));
	p.flow.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	run.buffer = receive->buffer;
	want = copied > HEAD_MAX - HEADERS_MAX ? HEAD_MAX - HEADERS_MAX : copied;
	head += copy_bytes(scratch, head, &run, 0, want, HEAD_MAX);
	submit(scratch, &p, set, size, head);
	bpf_map_delete_elem(&datagram_receives, &id);
}

SEC("fentry/ip_send_skb")
int BPF_PROG(fentry_udp_send4, struct net *net, struct sk_buff *skb)
{
	udp_send(skb, DATAGRAM_SENT4);
	return 0;
}

SEC("fentry/ip6_send_skb")
int BPF_PROG(fentry_udp_send6, struct sk_buff *skb)
{
	udp_send(skb, DATAGRAM_SENT6);
	return 0;
}

SEC("fentry/udp_recvmsg")
int BPF_PROG(fentry_udp_receive4, struct sock *sk, struct msghdr *msg)
{
	udp_receive(sk, msg);
	return 0;
}

SEC("fentry/udpv6_recvmsg")
int BPF_PROG(fentry_udp_receive6, struct sock *sk, struct msghdr *msg)
{
	udp_receive(sk, msg);
	return 0;
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(fentry_udp_consumed, struct sock *sk, struct sk_buff *skb, int len)
{
	udp_consumed(sk, skb, len);
	return 0;
}

SEC("kprobe/ip_send_skb")
int BPF_KPROBE(kprobe_udp_send4, struct net *net, struct sk_buff *skb)
{
	udp_send(skb, DATAGRAM_SENT4);
	return 0;
}

SEC("kprobe/ip6_send_skb")
int BPF_KPROBE(kprobe_udp_send6, struct sk_buff *skb)
{
	udp_send(skb, DATAGRAM_SENT6);
	return 0;
}

SEC("kprobe/udp_recvmsg")
int BPF_KPROBE(kprobe_udp_receive4, struct sock *sk, struct msghdr *msg)
{
	udp_receive(sk, msg);
	return 0;
}

SEC("kprobe/udpv6_recvmsg")
int BPF_KPROBE(kprobe_udp_receive6, struct sock *sk, struct msghdr *msg)
{
	udp_receive(sk, msg);
	return 0;
}

SEC("kprobe/skb_consume_udp")
int BPF_KPROBE(kprobe_udp_consumed, struct sock *sk, struct sk_buff *skb, int len)
{
	udp_consumed(sk, skb, len);
	return 0;
}
