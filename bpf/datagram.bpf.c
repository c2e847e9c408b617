//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Datagrams where they pass between a socket and the network, by the hooks of the root cgroup: every socket of every network
 * namespace, each datagram once, whole, and with its socket. What is forwarded does not come by.
 */
#define TOPOSCOPE_PACKETS
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

#define PASS 1 /* what a cgroup program returns to let a packet through */

/*
 * Who sent last on a socket, or bound it. Only sockets have an entry whose datagrams may come before their task has sent
 * anything (servers), or must not be copied: a resolver makes a socket for each question.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_id);
} socket_tasks SEC(".maps");

struct named {
	u64 address[2];
	u16 port;
	u16 pad[3];
};

/* by task: whom it sends to, in its own words. What the network is handed may have been translated (Docker's resolver) */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct named);
} named_peers SEC(".maps");

/* bpf_get_current_pid_tgid is not to be had here before 6.10 (eb166e522c77), the task is. */
static __always_inline void this_task(struct task_id *id)
{
	task_of(id, (struct task_struct *)bpf_get_current_task());
}

/* The kernel's socket, as a number: the verifier forbids arithmetic on what it hands out. */
static __always_inline const struct sock *plain(const struct bpf_sock *sk)
{
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &sk);
	return (const struct sock *)address;
}

static __always_inline struct bpf_sock *udp_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	return sk && sk->protocol == IPPROTO_UDP ? sk : NULL;
}

/* The ends of a sent packet as the socket has them, where it does: the packet's may have been translated. */
static __always_inline void as_socket(struct packet *p, const struct bpf_sock *sk, const struct named *named)
{
	struct flow own = {};

	read_flow(&own, plain(sk));
	if (own.remote_port) {
		bpf_probe_read_kernel(&p->flow, sizeof(p->flow), &own); /* an assignment has the verifier look at ten times as much */
		return;
	}
	p->flow.netns = own.netns;
	p->flow.local_port = own.local_port;
	if (named) {
		__builtin_memcpy(p->flow.remote, named->address, sizeof(named->address));
		p->flow.remote_port = named->port;
	}
}

/* Write a sent packet's ends, as the socket has them, into its copy. */
static __always_inline void mend(struct packet_event *event, const struct packet *p, bool v4)
{
	u8 *bytes = (u8 *)(event + 1);
	u64 transport = p->transport;
	__be16 *ports;

	if (v4) {
		((struct ipv4 *)bytes)->source = ((const u32 *)p->flow.local)[3];
		((struct ipv4 *)bytes)->destination = ((const u32 *)p->flow.remote)[3];
	} else {
		__builtin_memcpy(((struct ipv6 *)bytes)->source, p->flow.local, 16);
		__builtin_memcpy(((struct ipv6 *)bytes)->destination, p->flow.remote, 16);
	}
	hide(transport);
	if (transport > ROOM_SMALL - 4)
		return;
	ports = (__be16 *)(bytes + transport);
	ports[0] = bpf_htons(p->flow.local_port);
	ports[1] = bpf_htons(p->flow.remote_port);
}

static __always_inline void copy_datagram(struct __sk_buff *skb, const struct packet *p, const struct settings *set)
{
	void *ring = ring_of_flow(&p->flow, set);
	struct packet_event *event;
	u64 head = skb->len;

	if (!ring || shed(&p->flow, set))
		return;
	if (head <= ROOM_SMALL)
		event = copy_as(ring, skb, p, head, ROOM_SMALL);
	else if (head <= ROOM_MEDIUM)
		event = copy_as(ring, skb, p, head, ROOM_MEDIUM);
	else
		event = copy_as(ring, skb, p, head < ROOM_LARGE ? head : ROOM_LARGE, ROOM_LARGE);
	if (!event)
		return;
	if (p->direction == SENT)
		mend(event, p, skb->protocol == bpf_htons(ETH_P_IP));
	bpf_ringbuf_submit(event, wakeup(ring, set));
}

/* The ports of a socket, in host order; the remote one is 0 where it is not connected. */
static __always_inline void ports_of_socket(const struct bpf_sock *sk, u16 *local, u16 *remote)
{
	*local = *(const volatile u32 *)&sk->src_port; /* volatile: the verifier wants a load from a constant place */
	*remote = bpf_ntohs(*(const volatile __be16 *)&sk->dst_port);
}

/* What happens to a task's datagrams; noted with the socket where what it receives must follow. */
static __always_inline u32 action_of_sender(struct bpf_sock *sk, const struct task_id *task, const struct settings *set, bool serves)
{
	u32 action = action_in(set, task->pid, set->filtering ? bpf_sk_cgroup_id(sk) : 0);
	struct task_id *last;

	last = bpf_sk_storage_get(&socket_tasks, sk, NULL,
				  serves || set->filtering || action != ACTION_INCLUDE ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (last)
		*last = *task;
	return action;
}

/* What a socket receives whose task is not known is nobody's, while a filter is in force: it may be an excluded one's. */
static __always_inline u32 action_of_receiver(struct bpf_sock *sk, const struct task_id *task, const struct settings *set)
{
	if (!set->filtering)
		return action_in(set, task->pid, 0);
	return task->pid ? action_in(set, task->pid, bpf_sk_cgroup_id(sk)) : ACTION_PENDING;
}

static __always_inline void sent(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct packet_settings *wanted = get_packet_settings();
	struct settings *set = get_settings();
	struct named *named = NULL;
	struct packet p = {};
	u16 local, remote;
	u64 key;

	if (!set || !wanted || !set->enabled)
		return;
	ports_of_socket(sk, &local, &remote);
	if (remote && !is_service(wanted, local) && !is_service(wanted, remote))
		return;
	key = bpf_get_current_task();
	if (!remote)
		named = bpf_map_lookup_elem(&named_peers, &key);
	if (!read_packet(skb, &p, true) || p.part == PART_LATER)
		return;
	if (!remote && !named && !is_service(wanted, local) && !is_service(wanted, p.flow.remote_port))
		return;
	this_task(&p.task);
	if (judged(action_of_sender(sk, &p.task, set, is_service(wanted, local)))) {
		as_socket(&p, sk, named);
		copy_datagram(skb, &p, set);
	}
	if (named)
		bpf_map_delete_elem(&named_peers, &key);
}

static __always_inline void received(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct packet_settings *wanted = get_packet_settings();
	struct settings *set = get_settings();
	struct packet p = {};
	struct task_id *task;
	u16 local, remote;

	if (!set || !wanted || !set->enabled)
		return;
	ports_of_socket(sk, &local, &remote);
	if (remote && !is_service(wanted, local) && !is_service(wanted, remote))
		return;
	if (!read_packet(skb, &p, false) || p.part == PART_LATER)
		return;
	if (!is_service(wanted, p.flow.local_port) && !is_service(wanted, p.flow.remote_port))
		return;
	task = bpf_sk_storage_get(&socket_tasks, sk, NULL, 0);
	if (task)
		p.task = *task;
	if (!judged(action_of_receiver(sk, &p.task, set)))
		return;
	p.flow.netns = BPF_CORE_READ(plain(sk), __sk_common.skc_net.net, ns.inum);
	copy_datagram(skb, &p, set);
}

/*
 * Every packet of TCP comes by these two, too: it must leave before anything else is asked.
 *
 * In the context of the task that sends: the packet is on its way down from sendmsg, before any queue.
 */
SEC("cgroup_skb/egress")
int datagram_sent(struct __sk_buff *skb)
{
	struct bpf_sock *sk = udp_socket(skb);

	if (sk)
		sent(skb, sk);
	return PASS;
}

/* On its way up, when its socket has been found; the current task is a stranger. */
SEC("cgroup_skb/ingress")
int datagram_received(struct __sk_buff *skb)
{
	struct bpf_sock *sk = udp_socket(skb);

	if (sk)
		received(skb, sk);
	return PASS;
}

static __always_inline int bound(struct bpf_sock *sk)
{
	struct packet_settings *wanted = get_packet_settings();
	struct task_id *task;

	if (sk->protocol != IPPROTO_UDP || !wanted || !is_service(wanted, sk->src_port))
		return PASS;
	task = bpf_sk_storage_get(&socket_tasks, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (task)
		this_task(task);
	return PASS;
}

SEC("cgroup/post_bind4")
int socket_bound4(struct bpf_sock *sk)
{
	return bound(sk);
}

SEC("cgroup/post_bind6")
int socket_bound6(struct bpf_sock *sk)
{
	return bound(sk);
}

/* A send that names its receiver: remembered until the packet comes by. */
static __always_inline void name(const struct named *named)
{
	struct packet_settings *wanted = get_packet_settings();
	u64 key = bpf_get_current_task();

	if (wanted && is_service(wanted, named->port))
		bpf_map_update_elem(&named_peers, &key, named, BPF_ANY);
	else
		bpf_map_delete_elem(&named_peers, &key); /* of a send that came to nothing */
}

SEC("cgroup/sendmsg4")
int names_peer4(struct bpf_sock_addr *ctx)
{
	struct named named = { .port = bpf_ntohs(ctx->user_port) };

	set_v4(named.address, ctx->user_ip4);
	name(&named);
	return PASS;
}

SEC("cgroup/sendmsg6")
int names_peer6(struct bpf_sock_addr *ctx)
{
	struct named named = { .port = bpf_ntohs(ctx->user_port) };
	u32 *words = (u32 *)named.address;

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	name(&named);
	return PASS;
}

/* Servers older than capture, with a task that holds each. */
SEC("iter/task_file")
int existing_servers(struct bpf_iter__task_file *ctx)
{
	struct packet_settings *wanted = get_packet_settings();
	struct task_struct *holder = ctx->task;
	struct file *file = ctx->file;
	struct task_id *task;
	struct socket *sock;
	struct sock *sk;

	if (!file || !holder || !wanted)
		return 0;
	sock = bpf_sock_from_file(file);
	sk = sock ? sock->sk : NULL;
	if (!sk || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_UDP || !is_service(wanted, BPF_CORE_READ(sk, __sk_common.skc_num)))
		return 0;
	if (bpf_sk_storage_get(&socket_tasks, sk, NULL, 0))
		return 0;
	task = bpf_sk_storage_get(&socket_tasks, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (task)
		task_of(task, holder);
	return 0;
}
