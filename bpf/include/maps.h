/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Every map, in one place. The objects share them: the loader makes them once and hands them to each group of programs. */
#ifndef TOPOSCOPE_MAPS_H
#define TOPOSCOPE_MAPS_H

enum buffer_kind { BUFFER_NONE = 0, BUFFER_ONE, BUFFER_KERNEL_IOV, BUFFER_USER_IOV };

/* where a call's bytes are in the caller's memory */
struct buffer {
	u64 base; /* the bytes (BUFFER_ONE) or the iovec array */
	u64 segments;
	u64 skip; /* bytes of the first segment, or of the one there is, to leave out */
	u32 kind;
	u32 pad;
};

/* a call under way */
struct call {
	u64 sk;
	u64 time;
	u64 seq;
	u64 off; /* stream offset at entry */
	u64 end; /* write_seq + bytes left: the same through one call */
	u32 at; /* TCP sequence number at entry */
	u32 flags;
	u32 turn;
	u32 pad;
	struct buffer buffer;
};

/* a connection, by struct sock *: the one key that every way in has; what every call asks for comes first */
struct conn {
	u64 id;
	u64 seq;
	u64 off[2]; /* stream offset that is next, by direction: one word, so that another CPU never reads half of a change */
	u32 at[2]; /* the TCP sequence number of offset 0 */
	u32 used[2]; /* bytes copied since the last turn */
	u32 early; /* bytes copied beyond that while the protocol was not known */
	u32 turn;
	u32 ports; /* as the socket had them, to tell a reused struct sock */
	u8 role;
	u8 existing;
	u8 established;
	u8 announced; /* EVENT_OPEN is in the ring */
	u8 accepted;
	u8 closed; /* EVENT_CLOSE is in the ring */
	u8 last_direction;
	u8 shard;
	u8 lot; /* what is shed goes by this */
	u8 ended; /* flags of EVENT_CLOSE, from when the kernel ended it */
	u32 stashed[2]; /* calls under way that found the place below taken: they are in a map */
	u64 caller[2]; /* the thread whose call is in the place below; 0: it is free */
	struct call calls[2]; /* by direction */
	struct flow flow;
	u64 connecting; /* time of the SYN */
	u64 opened; /* time of the handshake's end */
	u64 active; /* of one older than capture: its last packet before it was first seen */
	struct task_id owner;
	u64 base_sent, base_received, base_retransmits; /* the kernel's totals when we first saw it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} capture_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct conn);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct flow);
} listeners SEC(".maps");

/* calls by thread, of those that are not kept with their connection (see stash); as many as threads that send and receive may be */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct call);
} sends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct call);
} receives SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VERDICT_SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct verdict);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u8);
} watched_pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u8);
} watched_cgroups SEC(".maps");

/* shared by all CPUs and not cleared: ids are never used twice */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} last_conn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

/*
 * Too large for the stack of 512 bytes: a connection that is being made. One a kind of program: those of a trampoline and of an
 * iterator can be interrupted by another kind.
 */
enum blank_slot { BLANK_STATE, BLANK_SEND, BLANK_RECEIVE, BLANK_ACCEPT, BLANK_EXISTING, BLANK_SLOTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BLANK_SLOTS);
	__type(key, u32);
	__type(value, struct conn);
} blank_conn SEC(".maps");

/*
 * Where a record with bytes is put together: one a CPU and kind of call. Tracepoints and kprobes run with preemption off; an fexit
 * program can be preempted by one of the other kind, but never by itself. Every CPU has these in memory: that bounds WHOLE_MAX.
 */
#ifndef SCRATCHES /* an object may have an area of its own, and says before what it calls the slots */
#define SCRATCHES scratches
enum scratch_slot { SCRATCH_SEND, SCRATCH_RECEIVE, SCRATCH_SLOTS };
#endif

#define RECORD_MAX (WHOLE_MAX + TAIL_MAX)

struct scratch {
	/* what the copying loop remembers */
	u64 base;
	u64 segments;
	u64 user; /* the array of segments is the caller's, not the kernel's copy */
	u64 skip;
	u64 at; /* where in data the next byte goes, and where the last one ends */
	u64 end;
	u64 n;
	u64 segment[2]; /* a struct iovec */
	struct data_event event;
	u8 data[RECORD_MAX + HEAD_MAX]; /* the verifier adds up what the copies' bounds allow, not what they sum to */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS); /* the loader multiplies by the number of CPUs */
	__type(key, u32);
	__type(value, struct scratch);
} SCRATCHES SEC(".maps");

static __always_inline struct scratch *get_scratch(u32 slot)
{
	u32 key = bpf_get_smp_processor_id() * SCRATCH_SLOTS + slot;

	return bpf_map_lookup_elem(&SCRATCHES, &key);
}

/* ends of connections that found no room in their ring: user space fetches them, because a loss at the end shows nowhere else */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct close_event);
} unsent_closes SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/* one ring a shard; the loader sets the sizes and the number */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 16);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1048576);
} process_ring SEC(".maps");

#ifdef TOPOSCOPE_PACKETS
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct packet_settings);
} packets_wanted SEC(".maps");
#endif

#ifdef TOPOSCOPE_FILTER
struct local_address {
	u64 address[2];
	u32 netns;
	u32 pad;
};

/* the addresses of each network namespace, loopback's left out: packets of others are forwarded */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct local_address);
	__type(value, u8);
} local_addresses SEC(".maps");

/* a packet whose other fragments may come: where its first one went */
struct fragment_key {
	u64 source[2], destination[2];
	u32 netns;
	u32 id;
	u32 direction;
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct fragment_key);
	__type(value, struct flow);
} fragments SEC(".maps");

/* where a packet, by a hash of what no interface changes of it, was seen first */
struct sighting {
	u64 time;
	u32 ifindex;
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct sighting);
} sightings SEC(".maps");

/* connections whose bytes nobody wants: their headers alone are copied */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow);
	__type(value, u8);
} refused_flows SEC(".maps");
#endif

#ifdef TOPOSCOPE_SENDERS
struct port_key {
	u32 netns;
	u16 port;
	u16 pad;
};

struct sender {
	struct task_id task;
	u64 time;
};

/* who sent last from a UDP port: a packet does not tell, and its socket may be gone before anybody can look */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct port_key);
	__type(value, struct sender);
} senders SEC(".maps");
#endif

static __always_inline struct settings *get_settings(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&capture_settings, &zero);
}

static __always_inline void count(u32 what, u64 n)
{
	u64 *value = bpf_map_lookup_elem(&counters, &what);

	if (value)
		*value += n; /* per CPU */
}

#endif
