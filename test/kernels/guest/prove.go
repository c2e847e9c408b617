package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/toposcope/toposcope/test/kernels"
)

// sends is how many writes a proof makes; the n-th has n bytes.
const sends = 500

// proof is a trivial program at one hook on the way of a send: it sends the size it sees down a ring buffer.
type proof struct {
	name string
	spec ebpf.ProgramSpec
	// size is where the context has the number of bytes.
	size   int16
	attach func(*ebpf.Program) (link.Link, error)
}

// enterArgs is the offset of the arguments in struct syscall_trace_enter: a common header and the number come first.
const enterArgs = 16

// registers are the offsets of a function's third argument and of what it returns in struct pt_regs.
type registers struct{ third, result int16 }

// registersOf tells them for an architecture of Go's, by arch/*/include/asm/ptrace.h: rdx and rax, x2 and x0.
func registersOf(arch string) registers {
	if arch == "arm64" {
		return registers{third: 2 * 8, result: 0}
	}
	return registers{third: 96, result: 80}
}

// proofs are the hooks that the ways of capture stand on. tcp_sendmsg(sk, msg, size) returns the bytes taken.
func proofs() []proof {
	regs := registersOf(runtime.GOARCH)
	tracing := func(at ebpf.AttachType) ebpf.ProgramSpec {
		return ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: at, AttachTo: "tcp_sendmsg"}
	}
	attachTracing := func(p *ebpf.Program) (link.Link, error) {
		return link.AttachTracing(link.TracingOptions{Program: p})
	}
	return []proof{
		{
			name: "kprobe", spec: ebpf.ProgramSpec{Type: ebpf.Kprobe}, size: regs.third,
			attach: func(p *ebpf.Program) (link.Link, error) { return link.Kprobe("tcp_sendmsg", p, nil) },
		},
		{
			name: "kretprobe", spec: ebpf.ProgramSpec{Type: ebpf.Kprobe}, size: regs.result,
			attach: func(p *ebpf.Program) (link.Link, error) { return link.Kretprobe("tcp_sendmsg", p, nil) },
		},
		{name: "fentry", spec: tracing(ebpf.AttachTraceFEntry), size: 2 * 8, attach: attachTracing},
		{name: "fexit", spec: tracing(ebpf.AttachTraceFExit), size: 3 * 8, attach: attachTracing},
		{
			name: "syscall", spec: ebpf.ProgramSpec{Type: ebpf.TracePoint}, size: enterArgs + 2*8,
			attach: func(p *ebpf.Program) (link.Link, error) {
				return link.Tracepoint("syscalls", "sys_enter_write", p, nil)
			},
		},
	}
}

// prove reports for each hook whether a program there counts sends exactly.
func prove() error {
	if err := rlimit.RemoveMemlock(); err != nil { // until 5.11 maps count as locked memory
		return fmt.Errorf("raising the limit of locked memory: %w", err)
	}
	if _, err := btf.LoadKernelSpec(); err != nil {
		return fmt.Errorf("loading the kernel's BTF: %w", err)
	}
	for _, p := range proofs() {
		began := time.Now()
		rep := kernels.Report{Name: "prove " + p.name}
		if err := p.run(&rep); err != nil {
			rep.Error = err.Error()
		}
		rep.Seconds = time.Since(began).Seconds()
		if err := send(rep); err != nil {
			return err
		}
	}
	return nil
}

func (p proof) run(rep *kernels.Report) error {
	ring, err := ebpf.NewMap(&ebpf.MapSpec{Name: "proof", Type: ebpf.RingBuf, MaxEntries: 1 << 16})
	if err != nil {
		return fmt.Errorf("making a ring buffer: %w", err)
	}
	defer ring.Close()
	conn, fd, err := sink()
	if err != nil {
		return err
	}
	defer conn.Close()
	p.spec.Name, p.spec.License = "proof", "GPL"
	p.spec.Instructions = p.instructions(ring.FD(), os.Getpid(), fd)
	prog, err := ebpf.NewProgram(&p.spec)
	if err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	defer prog.Close()
	l, err := p.attach(prog)
	if err != nil {
		return fmt.Errorf("attaching: %w", err)
	}
	defer l.Close()
	buf := make([]byte, sends)
	for n := 1; n <= sends; n++ {
		if _, err := conn.Write(buf[:n]); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
	}
	// Detached: what is in the ring is all there will be.
	if err := l.Close(); err != nil {
		return fmt.Errorf("detaching: %w", err)
	}
	return compareRing(ring, rep)
}

// compareRing empties the ring: it must hold each send once, in order.
func compareRing(ring *ebpf.Map, rep *kernels.Report) error {
	rd, err := ringbuf.NewReader(ring)
	if err != nil {
		return fmt.Errorf("reading the ring: %w", err)
	}
	defer rd.Close()
	rd.SetDeadline(time.Now()) // only what is there
	var seen, inOrder, bytes uint64
	for {
		rec, err := rd.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the ring: %w", err)
		}
		size := binary.NativeEndian.Uint64(rec.RawSample)
		seen++
		bytes += size
		if size == seen {
			inOrder++
		}
	}
	rep.Counts = []kernels.Count{
		{What: "sends", Want: sends, Got: seen},
		{What: "sends in order", Want: sends, Got: inOrder},
		{What: "bytes", Want: sends * (sends + 1) / 2, Got: bytes},
	}
	return nil
}

// instructions are: if this process called (for a system call: on this descriptor), put the size into the ring.
func (p proof) instructions(ringFD, pid, fd int) asm.Instructions {
	ins := asm.Instructions{asm.LoadMem(asm.R6, asm.R1, p.size, asm.DWord)}
	if p.spec.Type == ebpf.TracePoint {
		ins = append(ins,
			asm.LoadMem(asm.R7, asm.R1, enterArgs, asm.DWord),
			asm.JNE.Imm(asm.R7, int32(fd), "out"),
		)
	}
	return append(ins,
		asm.FnGetCurrentPidTgid.Call(),
		asm.RSh.Imm(asm.R0, 32),
		asm.JNE.Imm(asm.R0, int32(pid), "out"),
		asm.StoreMem(asm.RFP, -8, asm.R6, asm.DWord),
		asm.LoadMapPtr(asm.R1, ringFD),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -8),
		asm.Mov.Imm(asm.R3, 8),
		asm.Mov.Imm(asm.R4, 0), // wake-up left to the kernel
		asm.FnRingbufOutput.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
}

// sink dials a loopback listener that throws away what it reads. It also tells the connection's descriptor.
func sink() (*net.TCPConn, int, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv6loopback})
	if err != nil {
		return nil, 0, fmt.Errorf("listening: %w", err)
	}
	defer l.Close()
	conn, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, 0, fmt.Errorf("dialling: %w", err)
	}
	peer, err := l.Accept()
	if err != nil {
		conn.Close()
		return nil, 0, fmt.Errorf("accepting: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, peer) // ends when conn is closed
		peer.Close()
	}()
	var fd int
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = int(n) })
	}
	if err != nil {
		conn.Close()
		return nil, 0, fmt.Errorf("asking for the descriptor: %w", err)
	}
	return conn, fd, nil
}
