package bpf

import (
	"reflect"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// TestLayout compares each Go twin with the C structure in every object that has it: the objects are built one by one, and a
// header that changed under only some of them must not pass.
func TestLayout(t *testing.T) {
	loads := map[string]func() (*ebpf.CollectionSpec, error){
		"sockets": LoadSockets, "process": LoadProcess, "tracepoint": LoadTracepoint, "fexit": LoadFexit,
		"kprobe": LoadKprobe, "syscall": LoadSyscall, "accept": LoadAccept, "packet": LoadPacket, "datagram": LoadDatagram, "udp": LoadUdp,
	}
	twins := map[string]any{
		"event_header": SocketsEventHeader{}, "flow": SocketsFlow{}, "task_id": SocketsTaskId{}, "open_event": SocketsOpenEvent{},
		"accept_event": SocketsAcceptEvent{}, "data_event": SocketsDataEvent{}, "close_event": SocketsCloseEvent{},
		"connect_failed_event": SocketsConnectFailedEvent{}, "listen_event": SocketsListenEvent{}, "conn_stats": SocketsConnStats{},
		"listener_stats": SocketsListenerStats{}, "exec_event": SocketsExecEvent{}, "fork_event": SocketsForkEvent{},
		"exit_event": SocketsExitEvent{}, "settings": SocketsSettings{}, "verdict": SocketsVerdict{}, "conn": SocketsConn{},
		"packet_event": SocketsPacketEvent{}, "packet_settings": PacketPacketSettings{}, "local_address": PacketLocalAddress{},
		"port_key": PacketPortKey{}, "sender": PacketSender{},
	}
	found := map[string]bool{}
	for object, load := range loads {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for name, twin := range twins {
			var c *btf.Struct
			if spec.Types.TypeByName(name, &c) != nil {
				continue // this object does not use it
			}
			found[name] = true
			compare(t, object+" "+name, c, reflect.TypeOf(twin))
		}
	}
	for name := range twins {
		if !found[name] {
			t.Errorf("%s is in no object", name)
		}
	}
}

func compare(t *testing.T, name string, c *btf.Struct, g reflect.Type) {
	t.Helper()
	if uintptr(c.Size) != g.Size() {
		t.Errorf("%s: %d bytes in C, %d in Go", name, c.Size, g.Size())
	}
	var fields []reflect.StructField
	for i := range g.NumField() {
		if f := g.Field(i); f.Name != "_" {
			fields = append(fields, f)
		}
	}
	var members []btf.Member
	for _, m := range c.Members {
		if m.Name != "" {
			members = append(members, m)
		}
	}
	if len(members) != len(fields) {
		t.Errorf("%s: %d members in C, %d in Go", name, len(members), len(fields))
		return
	}
	for i, m := range members {
		if uintptr(m.Offset.Bytes()) != fields[i].Offset {
			t.Errorf("%s.%s: at %d in C, at %d in Go", name, m.Name, m.Offset.Bytes(), fields[i].Offset)
		}
	}
}
