/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The event ABI between the kernel and collector/ring: the only place it is written down. Go gets its twin from bpf2go (BTF),
 * and bpf/layout_test.go compares the two. Times are CLOCK_MONOTONIC nanoseconds, ports are in host order, addresses are IPv6
 * in network order (IPv4 as ::ffff:a.b.c.d).
 */
#ifndef TOPOSCOPE_EVENT_H
#define TOPOSCOPE_EVENT_H

enum event_type {
	EVENT_OPEN = 1,
	EVENT_DATA,
	EVENT_CLOSE,
	EVENT_CONNECT_FAILED,
	EVENT_ACCEPT,
	EVENT_LISTEN,
	EVENT_EXEC,
	EVENT_FORK,
	EVENT_EXIT,
	EVENT_PACKET,
};

enum direction { SENT = 0, RECEIVED = 1 };
enum role { ROLE_UNKNOWN = 0, ROLE_CLIENT = 1, ROLE_SERVER = 2 };
enum event_flag {
	FLAG_EXISTING = 1, /* EVENT_OPEN: older than capture; EVENT_LISTEN: likewise */
	FLAG_LISTENING = 2, /* EVENT_LISTEN: begins (set) or ends */
	FLAG_RESET = 4, /* EVENT_CLOSE: ended with an error other than a time-out */
	FLAG_TIMEOUT = 8,
};

struct task_id {
	u32 pid;
	u32 tid;
	u64 start; /* CLOCK_BOOTTIME */
};

struct flow {
	u64 local[2];
	u64 remote[2];
	u16 local_port;
	u16 remote_port;
	u32 netns;
};

struct event_header {
	u8 type;
	u8 direction; /* EVENT_DATA */
	u8 role; /* EVENT_OPEN */
	u8 flags;
	u32 error; /* EVENT_CONNECT_FAILED: errno */
	u64 time;
	u64 conn;
	struct task_id task;
};

struct open_event {
	struct event_header header;
	struct flow flow;
	u64 connecting; /* when the SYN was sent; 0 when not known */
	u64 active; /* FLAG_EXISTING: when a packet was last sent or received; 0 when not known */
};

struct connect_failed_event {
	struct event_header header;
	struct flow flow;
	u64 connecting;
};

struct listen_event {
	struct event_header header;
	struct flow flow; /* the remote end is zero */
};

struct accept_event {
	struct event_header header;
	u64 waited; /* ns from the handshake's end; -1 when not known */
};

/* followed by head bytes from the start of the run and tail bytes from its end */
struct data_event {
	struct event_header header;
	u64 seq;
	u64 off;
	u64 size;
	u32 head;
	u32 tail;
	u32 turn; /* grows when the direction changes, also where events are lost */
	u32 pad;
};

/* followed by head bytes from the network header on */
struct packet_event {
	struct event_header header; /* direction, time, and the task where it is known */
	u32 netns;
	u32 size; /* from the network header on; may count an Ethernet frame's padding */
	u32 head;
	u32 pad;
};

struct conn_stats {
	u64 conn;
	u64 shard;
	u64 sent; /* bytes, retransmissions not counted again */
	u64 received;
	u64 retransmits; /* segments */
	u64 rtt; /* smoothed, ns */
};

struct close_event {
	struct event_header header;
	u64 seq;
	u64 off[2];
	u32 turn;
	u32 pad;
	struct conn_stats stats;
};

struct listener_stats {
	struct flow flow;
	u32 queue;
	u32 limit;
};

struct exec_event {
	struct event_header header;
	u64 cgroup;
	u32 parent;
	u32 args_len;
	u32 environ_len;
	u32 pad;
	char comm[16];
	char filename[256];
	char args[1024];
	char environ[4096]; /* the record ends with the last byte that was copied */
};

struct fork_event {
	struct event_header header; /* task: the child */
	struct task_id parent;
};

struct exit_event {
	struct event_header header;
};

/* what the kernel counts; user space reads the sum over CPUs */
enum counter {
	COUNT_EVENTS, /* data events submitted */
	COUNT_BYTES, /* payload bytes copied */
	COUNT_LOST_RING, /* no room in a ring */
	COUNT_LOST_STASH, /* no room to remember a call */
	COUNT_LOST_CONNS, /* no room for a connection */
	COUNT_LOST_PROCESS, /* a process event that did not fit */
	COUNT_UNWATCHED, /* calls of processes that the filter excludes: nothing copied */
	COUNT_PENDING, /* calls of processes not judged yet: nothing copied */
	COUNT_REFUSED, /* calls on connections whose protocol is of no interest */
	COUNT_FOREIGN, /* packets of the socket filter that are forwarded */
	COUNT_COPIES, /* packets that the socket filter saw on another interface before */
	COUNT_SHED, /* calls of which nothing was copied because their connection is shed */
	COUNTERS,
};

/* what user space decides, read on every event */
struct settings {
	u32 self; /* PID of the agent; its own traffic is left out */
	u32 shards;
	u32 enabled;
	u32 filtering; /* 0: every process is watched and the watch maps are not asked */
	u32 undecided_head; /* bytes copied a turn while the protocol is not known */
	u32 watermark; /* bytes in a ring that wake the reader */
	u32 default_action; /* enum action of a process without an entry */
	u32 shed_from; /* connections with a lot from here on are shed, */
	u32 shed_lots; /* as many lots as this: 0 is none, 256 is all */
	u32 pad;
};

/* what the packet programs are to copy */
struct packet_settings {
	u64 ports[1024]; /* a bit for each port: those of servers that are spoken to in datagrams */
	u32 datagrams; /* the socket filter passes them on; else another program does */
	u32 streams; /* the socket filter passes TCP on */
};

enum action { ACTION_EXCLUDE = 0, ACTION_INCLUDE = 1, ACTION_PENDING = 2 };

/* how much of a connection is wanted; written by user space straight into the mapped array, slot = conn % VERDICT_SLOTS */
struct verdict {
	u64 conn; /* whose it is: a slot that another connection took counts as undecided */
	u32 head; /* bytes of each turn; more than HEAD_MAX: of each call, whatever the turn has used */
	u16 tail;
	u16 refused;
};
#define VERDICT_SLOTS 131072

#define HEAD_MIN 256
#define HEAD_MAX 16384
#define TAIL_MAX 256
#define EARLY_MAX 524288 /* bytes that are copied whole of a connection whose protocol is not known, */
#define EARLY_LIMIT 16777216 /* and while its ring is nearly empty */
#define WHOLE_MAX 262144 /* of one call, where the verdict is to copy all */

#endif
