package ring

import (
	"bytes"
	"fmt"
	"strings"
	"unsafe"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
)

// Processes takes what happens to processes. It is called from one goroutine at a time; the events may be kept.
type Processes interface {
	Exec(*event.Exec)
	Fork(*event.Fork)
	Exit(*event.Exit)
}

// DecodeProcess decodes a record of the process ring and hands it to to.
func DecodeProcess(b []byte, clock *Clock, to Processes) error {
	header, err := as[bpf.SocketsEventHeader](b)
	if err != nil {
		return err
	}
	at := clock.Wall(header.Time)
	switch bpf.SocketsEventType(header.Type) {
	case bpf.SocketsEventTypeEVENT_EXEC:
		e, err := exec(b)
		if err != nil {
			return err
		}
		e.Task, e.Time = task(header.Task), at
		to.Exec(e)
	case bpf.SocketsEventTypeEVENT_FORK:
		r, err := as[bpf.SocketsForkEvent](b)
		if err != nil {
			return err
		}
		to.Fork(&event.Fork{Parent: task(r.Parent), Child: task(header.Task), Time: at})
	case bpf.SocketsEventTypeEVENT_EXIT:
		to.Exit(&event.Exit{Task: task(header.Task), Time: at})
	default:
		return fmt.Errorf("%w: process event of type %d", ErrRecord, header.Type)
	}
	return nil
}

// exec decodes all of an exec but its header. The record ends where its environment does.
func exec(b []byte) (*event.Exec, error) {
	const fixed = unsafe.Offsetof(bpf.SocketsExecEvent{}.Environ)
	if len(b) < int(fixed) {
		return nil, fmt.Errorf("%w: %d bytes of an exec", ErrRecord, len(b))
	}
	r := &bpf.SocketsExecEvent{} // a copy: the record may end before the structure does
	copy(unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r)), b[:fixed])
	environ := b[fixed:]
	if int(r.EnvironLen) > len(environ) {
		return nil, fmt.Errorf("%w: an environment of %d bytes in %d", ErrRecord, r.EnvironLen, len(environ))
	}
	return &event.Exec{
		Parent: r.Parent, Comm: text(r.Comm[:]), Executable: text(r.Filename[:]), CgroupID: r.Cgroup,
		Args:    arguments(unsafe.Slice((*byte)(unsafe.Pointer(&r.Args[0])), min(int(r.ArgsLen), len(r.Args)))),
		Environ: naming(environ[:r.EnvironLen]),
	}, nil
}

// arguments splits the NUL-separated copy of a command line; the last one may be cut.
func arguments(b []byte) []string {
	all := strings.TrimRight(string(b), "\x00")
	if all == "" {
		return nil
	}
	return strings.Split(all, "\x00")
}

// naming picks the variables that name a service. The last one of a block that was cut is left out.
func naming(environ []byte) (list []string) {
	for len(environ) > 0 {
		v, rest, whole := bytes.Cut(environ, []byte{0})
		if !whole {
			break
		}
		if bytes.HasPrefix(v, []byte("OTEL_SERVICE_NAME=")) || bytes.HasPrefix(v, []byte("OTEL_RESOURCE_ATTRIBUTES=")) {
			list = append(list, string(v))
		}
		environ = rest
	}
	return list
}
