package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/toposcope/toposcope/bpf"
)

// attachment is one place a program goes to. A tracepoint has a group; a kprobe, a fentry or a tp_btf program carries its
// place in its section's name, and needs none.
type attachment struct {
	program  string
	syscalls []string // tracepoints of group "syscalls"
	optional bool     // the kernel may lack the function
}

// group is a set of programs that load and attach together. A required one that fails makes the group fail.
type group struct {
	name string
	load loader
	at   []attachment
}

// way is one way to see the bytes, with the accept hook that goes with it.
type way struct {
	name   string
	what   string
	groups []group
	// packets is set where packets are seen, by the socket filter; streams where it is for connections too.
	packets, streams bool
}

func programs(names ...string) (list []attachment) {
	for _, name := range names {
		list = append(list, attachment{program: name})
	}
	return list
}

func optional(names ...string) (list []attachment) {
	for _, name := range names {
		list = append(list, attachment{program: name, optional: true})
	}
	return list
}

func processGroup() group {
	return group{"process", bpf.LoadProcess, programs("process_exec", "process_fork", "process_exit")}
}

func sockets() group {
	return group{"sockets", either(bpf.LoadSockets, bpf.LoadSocketsV2), programs("socket_state", "socket_destroyed")}
}

// iterators are loaded with sockets and run on demand.
func iterators() group {
	return group{"iterators", either(bpf.LoadSockets, bpf.LoadSocketsV2), programs("existing_sockets", "conn_totals", "listener_queues")}
}

// trampolineAccepts is a group of its own because its program is handed an address where the others of its way have typed pointers.
func trampolineAccepts() group {
	return group{"accept by fexit", either(bpf.LoadAccept, bpf.LoadAcceptV2), programs("fexit_accept")}
}

func accepts() group {
	return group{"accept", either(bpf.LoadAccept, bpf.LoadAcceptV2), []attachment{{program: "was_accepted", syscalls: []string{"sys_exit_accept", "sys_exit_accept4"}}}}
}

// packetMethod is the last way, for connections and for datagrams.
const packetMethod = "packet"

// ways in the order of preference.
func ways() []way {
	return []way{
		{name: "fexit", what: "BPF trampolines on the socket functions", groups: []group{{
			"fexit", either(bpf.LoadFexit, bpf.LoadFexitV2),
			slices.Concat(programs("fexit_send", "fentry_send", "fexit_receive", "fentry_receive"),
				optional("fexit_sendpage", "fentry_sendpage", "fexit_splice", "fentry_splice")),
		}, trampolineAccepts()}},
		{name: "kprobe", what: "kprobes on the socket functions", groups: []group{{
			"kprobe", either(bpf.LoadKprobe, bpf.LoadKprobeV2),
			slices.Concat(programs("kretprobe_send", "kprobe_send", "kretprobe_receive", "kprobe_receive", "kretprobe_accept"),
				optional("kretprobe_sendpage", "kprobe_sendpage", "kretprobe_splice", "kprobe_splice")),
		}}},
		{name: "tracepoint", what: "socket tracepoints", groups: []group{{
			"tracepoint", bpf.LoadTracepoint,
			programs("tracepoint_sent", "tracepoint_send", "tracepoint_receive", "tracepoint_consumed"),
		}, accepts()}},
		{name: "syscall", what: "system call tracepoints", groups: []group{{"syscall", either(bpf.LoadSyscall, bpf.LoadSyscallV2), syscalls()}, accepts()}},
		{name: packetMethod, what: "a socket filter in each network namespace; no tasks, no accepts", packets: true, streams: true},
	}
}

// datagramWays are the ways to see datagrams that go with a way to see connections, in the order of preference.
func datagramWays(method string) []way {
	var list []way
	for _, w := range allDatagramWays() {
		if w.name == method || w.name == "cgroup" || w.packets {
			list = append(list, w)
		}
	}
	return list
}

func allDatagramWays() []way {
	return []way{
		{name: "fexit", what: "BPF trampolines on the functions of UDP", groups: []group{{
			"udp by fexit", bpf.LoadUdp,
			slices.Concat(programs("fentry_udp_send4", "fentry_udp_receive4", "fentry_udp_consumed"),
				optional("fentry_udp_send6", "fentry_udp_receive6")),
		}}},
		{name: "kprobe", what: "kprobes on the functions of UDP", groups: []group{{
			"udp by kprobe", bpf.LoadUdp,
			slices.Concat(programs("kprobe_udp_send4", "kprobe_udp_receive4", "kprobe_udp_consumed"),
				optional("kprobe_udp_send6", "kprobe_udp_receive6")),
		}}},
		{name: "cgroup", what: "hooks of the root cgroup between sockets and network", groups: []group{{
			"datagram", bpf.LoadDatagram,
			slices.Concat(programs("datagram_sent", "datagram_received"),
				optional("socket_bound4", "socket_bound6", "names_peer4", "names_peer6", existingServers)),
		}}},
		{name: packetMethod, what: "a socket filter in each network namespace", packets: true, groups: []group{{
			"sender", bpf.LoadPacket, optional("datagram_sender"),
		}}},
	}
}

// existingServers is an iterator that is run once, before anything is captured.
const existingServers = "existing_servers"

// waitingReceives is an iterator that is run once, after the others are attached.
const waitingReceives = "waiting_receives"

func syscalls() []attachment {
	return []attachment{
		{program: waitingReceives, optional: true},
		{program: "sent", syscalls: []string{
			"sys_exit_write", "sys_exit_sendto", "sys_exit_writev", "sys_exit_sendmsg", "sys_exit_sendfile64", "sys_exit_splice",
		}},
		{program: "received", syscalls: []string{"sys_exit_read", "sys_exit_recvfrom", "sys_exit_readv", "sys_exit_recvmsg", "sys_exit_splice"}},
		{program: "sent_messages", syscalls: []string{"sys_exit_sendmmsg"}},
		{program: "received_messages", syscalls: []string{"sys_exit_recvmmsg"}},
		{program: "send_buffer", syscalls: []string{"sys_enter_write", "sys_enter_sendto"}},
		{program: "send_vector", syscalls: []string{"sys_enter_writev"}},
		{program: "send_message", syscalls: []string{"sys_enter_sendmsg"}},
		{program: "send_messages", syscalls: []string{"sys_enter_sendmmsg"}},
		{program: "send_pages", syscalls: []string{"sys_enter_sendfile64"}},
		{program: "splice_pages", syscalls: []string{"sys_enter_splice"}},
		{program: "receive_buffer", syscalls: []string{"sys_enter_read"}},
		{program: "receive_flags", syscalls: []string{"sys_enter_recvfrom"}},
		{program: "receive_vector", syscalls: []string{"sys_enter_readv"}},
		{program: "receive_message", syscalls: []string{"sys_enter_recvmsg"}},
		{program: "receive_messages", syscalls: []string{"sys_enter_recvmmsg"}},
	}
}

// wayNamed returns those of all ways to try for a configured method.
func wayNamed(method string, all []way) ([]way, error) {
	if method == "auto" {
		return all, nil
	}
	var names []string
	for _, w := range all {
		if w.name == method {
			return []way{w}, nil
		}
		names = append(names, w.name)
	}
	return nil, fmt.Errorf("unknown capture method %q: use auto, %s", method, strings.Join(names, ", "))
}
