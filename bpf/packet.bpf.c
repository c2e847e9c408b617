//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Packets by a socket filter on an AF_PACKET socket in each network namespace: what is left where no program may be hooked into
 * the kernel. It sees each packet on each interface that it passes, and knows neither sockets nor tasks.
 *
 * The filter asks nothing of the kernel's types, so that it loads without BTF and without CAP_PERFMON.
 */
#define TOPOSCOPE_PACKETS
#define TOPOSCOPE_FILTER
#define TOPOSCOPE_SENDERS
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "read.h"
#include "event.h"
#include "maps.h"
#include "watch.h"
#include "conn.h"
#include "packet.h"
#include "copy.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define DROP 0 /* what the filter returns: nothing is queued on the socket */

#define PACKET_HOST 0
#define PACKET_MULTICAST 2
#define PACKET_OUTGOING 4
#define LOOPBACK 1 /* the interface, in every namespace */
#define VLAN_ID 0x0fff

#define SENDER_LASTS 5000000000ULL /* after that another process may have the port */
#define COPY_WITHIN 100000000ULL /* how much later a packet may reach another interface */

/*
 * What the filter is looking at, not on the stack: without CAP_PERFMON the verifier follows every value there along every path,
 * and before 6.2 forbids two values in one word. A CPU runs one filter at a time: packets come by with soft interrupts off.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct packet);
} filtered SEC(".maps");

const volatile u32 netns = 0; /* the loader's: one copy of the filter for each namespace */

static __always_inline bool is_loopback(const u64 *address)
{
	const u32 *words = (const u32 *)address;

	if (address[0])
		return false;
	return (words[2] == bpf_htonl(0xffff) && ((const u8 *)address)[12] == 127) || (!words[2] && words[3] == bpf_htonl(1));
}

/* An end of this packet is a socket here, not one that it is forwarded to. */
static __always_inline bool is_ours(struct __sk_buff *skb, const struct packet *p)
{
	struct local_address key = { .netns = netns };

	if (skb->ifindex == LOOPBACK || is_loopback(p->flow.local))
		return true;
	if (p->direction == RECEIVED && skb->pkt_type != PACKET_HOST)
		return true; /* broadcast, multicast */
	key.address[0] = p->flow.local[0];
	key.address[1] = p->flow.local[1];
	if (bpf_map_lookup_elem(&local_addresses, &key))
		return true;
	count(COUNT_FOREIGN, 1);
	return false;
}

/* What no interface changes of a packet: its ends, its number, and what its transport's header says. */
static __always_inline u64 fingerprint(struct __sk_buff *skb, const struct packet *p)
{
	u64 words[2] = {};

	bpf_skb_load_bytes(skb, p->transport + 4, words, sizeof(words));
	words[0] = mix(p->flow.local[0] + mix(p->flow.local[1] + mix(p->flow.remote[0] + mix(p->flow.remote[1] + words[0])))) ^ words[1];
	words[1] = (u64)p->flow.local_port << 48 | (u64)p->flow.remote_port << 32 | (netns ^ p->offset);
	return mix(words[0] ^ mix(words[1] + ((u64)p->direction << 63 | (u64)p->protocol << 48 | p->id)));
}

/* A packet that passes a bridge, a bond or a VLAN is seen on each of their interfaces. One that is sent again is not its copy. */
static __always_inline bool is_copy(struct __sk_buff *skb, const struct packet *p)
{
	struct sighting first = { .time = bpf_ktime_get_ns(), .ifindex = skb->ifindex }, *seen;
	u64 key;

	if (skb->ifindex == LOOPBACK)
		return false;
	key = fingerprint(skb, p);
	seen = bpf_map_lookup_elem(&sightings, &key);
	if (seen && seen->ifindex != first.ifindex && first.time - seen->time < COPY_WITHIN) {
		count(COUNT_COPIES, 1);
		return true;
	}
	bpf_map_update_elem(&sightings, &key, &first, BPF_ANY);
	return false;
}

/* Only the first fragment has ports; the others follow it. */
static __always_inline bool follow(struct packet *p)
{
	struct fragment_key key = { .netns = netns, .id = p->id, .direction = p->direction };
	struct flow *first;

	__builtin_memcpy(key.source, p->flow.local, sizeof(key.source));
	__builtin_memcpy(key.destination, p->flow.remote, sizeof(key.destination));
	if (p->part == PART_FIRST)
		return !bpf_map_update_elem(&fragments, &key, &p->flow, BPF_ANY);
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first)
		return false;
	p->flow = *first;
	return true;
}

/* Whether this is of interest: who it is between, not whose. */
static __always_inline bool is_wanted(struct packet *p, const struct packet_settings *set)
{
	if (p->protocol == IPPROTO_TCP)
		return set->streams;
	if (p->protocol != IPPROTO_UDP || !set->datagrams)
		return false;
	if (p->part != PART_LATER && !is_service(set, p->flow.local_port) && !is_service(set, p->flow.remote_port))
		return false;
	return p->part == PART_WHOLE || follow(p);
}

/*
 * Find the task that sent from this port, if it is known by now; false when it may not be watched. Of what is passed on without a
 * task user space finds it, and drops what is not watched.
 */
static __always_inline bool find_sender(struct packet *p, const struct settings *set)
{
	struct port_key key = { .netns = netns, .port = p->flow.local_port };
	struct sender *sender;

	if (p->protocol != IPPROTO_UDP)
		return true;
	sender = bpf_map_lookup_elem(&senders, &key);
	if (!sender || bpf_ktime_get_ns() - sender->time > SENDER_LASTS)
		return true;
	p->task = sender->task;
	return judged(action_in(set, p->task.pid, 0));
}

/* Of TCP that is shed the headers remain, as of what is refused: with them its bytes are missing, but not its life. */
static __always_inline u64 wanted_length(struct __sk_buff *skb, const struct packet *p, bool shed)
{
	u64 length = skb->len, most = ROOM_LARGE;
	u8 header = 0;

	if (p->protocol == IPPROTO_TCP) {
		most = ROOM_HUGE;
		if ((shed || bpf_map_lookup_elem(&refused_flows, &p->flow)) && !bpf_skb_load_bytes(skb, p->transport + 12, &header, 1))
			most = p->transport + (header >> 4) * 4;
	}
	return length < most ? length : most;
}

static __always_inline void copy_packet(struct __sk_buff *skb, const struct packet *p, const struct settings *set)
{
	void *ring = ring_of_flow(&p->flow, set);
	bool less = in_shed_lot(&p->flow, set);
	u64 head = wanted_length(skb, p, less);
	struct packet_event *event;

	if (less && (p->protocol != IPPROTO_TCP || head < skb->len))
		count(COUNT_SHED, 1); /* a header alone is whole */
	if (!ring || (less && p->protocol != IPPROTO_TCP))
		return;
	if (head <= ROOM_SMALL)
		event = copy_as(ring, skb, p, head, ROOM_SMALL);
	else if (head <= ROOM_MEDIUM)
		event = copy_as(ring, skb, p, head, ROOM_MEDIUM);
	else if (head <= ROOM_LARGE)
		event = copy_as(ring, skb, p, head, ROOM_LARGE);
	else
		event = copy_as(ring, skb, p, head, ROOM_HUGE);
	if (event)
		bpf_ringbuf_submit(event, wakeup(ring, set));
}

static __always_inline void take(struct __sk_buff *skb, bool sent)
{
	struct packet_settings *wanted = get_packet_settings();
	struct settings *set = get_settings();
	struct packet *p;
	u32 zero = 0;

	p = bpf_map_lookup_elem(&filtered, &zero);
	if (!p || !set || !wanted || !set->enabled)
		return;
	__builtin_memset(p, 0, sizeof(*p));
	if (!read_packet(skb, p, sent))
		return;
	p->flow.netns = netns;
	if (!is_wanted(p, wanted) || !is_ours(skb, p) || is_copy(skb, p))
		return;
	if (find_sender(p, set))
		copy_packet(skb, p, set);
}

SEC("socket")
int packet_filter(struct __sk_buff *skb)
{
	if (skb->vlan_present && (skb->vlan_tci & VLAN_ID))
		return DROP; /* no socket gets it but by the VLAN's own interface, which shows it once more */
	if (skb->pkt_type == PACKET_OUTGOING)
		take(skb, true);
	else if (skb->pkt_type <= PACKET_MULTICAST)
		take(skb, false);
	return DROP;
}

/* After a send, so that the first datagram of a socket has gone by when its task gets known: user space looks once more. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(datagram_sender, struct sock *sk, int ret)
{
	struct port_key key = {};
	struct sender sender = {};

	if (ret < 0 || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_UDP)
		return 0;
	key.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	key.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	current_task(&sender.task);
	sender.time = bpf_ktime_get_ns();
	bpf_map_update_elem(&senders, &key, &sender, BPF_ANY);
	return 0;
}
