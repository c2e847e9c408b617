package ring

import (
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
		r, err := as[bpf.SocketsExecEvent](b)
		if err != nil {
			return err
		}
		to.Exec(&event.Exec{
			Task: task(header.Task), Parent: r.Parent, Comm: text(r.Comm[:]), Executable: text(r.Filename[:]),
			Args: arguments(r), CgroupID: r.Cgroup, Time: at,
		})
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

// arguments splits the NUL-separated copy of a command line; the last one may be cut.
func arguments(r *bpf.SocketsExecEvent) []string {
	n := min(int(r.ArgsLen), len(r.Args))
	all := string(unsafe.Slice((*byte)(unsafe.Pointer(&r.Args[0])), n))
	all = strings.TrimRight(all, "\x00")
	if all == "" {
		return nil
	}
	return strings.Split(all, "\x00")
}
