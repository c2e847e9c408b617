package probe

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// loader reads an embedded object.
type loader = func() (*ebpf.CollectionSpec, error)

// either is the object that this kernel can take: current, or v2 where an atomic operation cannot tell its result. What else may
// go wrong with asking is left to loading to tell.
func either(current, v2 loader) loader {
	return func() (*ebpf.CollectionSpec, error) { return choose(kernelFetches(), current, v2)() }
}

func choose(fetches error, current, v2 loader) loader {
	if errors.Is(fetches, ebpf.ErrNotSupported) {
		return v2
	}
	return current
}

// kernelFetches asks the kernel once: it does not change.
var kernelFetches = sync.OnceValue(func() error { return fetches(loadProgram) })

func loadProgram(spec *ebpf.ProgramSpec) error {
	prog, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	return prog.Close()
}

// fetches is nil where programs may use atomic operations that tell their result, as those compiled for version 3 of the instruction
// set do: Linux 5.12 and later, 5.18 on arm64. Before that the kernel knows an atomic addition alone, and calls the others malformed;
// where its compiler for arm64 does not know them it says that they are not supported. Both are an error that wraps ErrNotSupported.
// A program without them that is refused as well says that the reason is another: nil.
func fetches(load func(*ebpf.ProgramSpec) error) error {
	plain := asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R1, 1),
		asm.Return(),
	}
	last := len(plain) - 1
	atomic := append(plain[:last:last],
		atomicOnStack(asm.FetchAdd),
		atomicOnStack(asm.CmpXchg),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	)
	spec := &ebpf.ProgramSpec{Name: "fetches", Type: ebpf.SocketFilter, Instructions: atomic, License: "Dual BSD/GPL"}
	err := load(spec)
	if err == nil {
		return nil
	}
	spec.Instructions = plain
	if load(spec) != nil {
		return nil
	}
	return fmt.Errorf("atomic operations that tell their result (Linux 5.12, 5.18 on arm64): %w: %w", ebpf.ErrNotSupported, err)
}

// atomicOnStack operates on the stack's first word with R1. The operation's number goes into the instruction's constant, where the
// library (0.22) has it for what it read from an object but not for what it made.
func atomicOnStack(op asm.AtomicOp) asm.Instruction {
	ins := op.Mem(asm.RFP, asm.R1, asm.DWord, -8)
	ins.Constant = int64(op >> 8)
	return ins
}

// argumentsOf begins the name of the constants of bpf/include/arguments.h.
const argumentsOf = "arguments_of_"

// setArguments tells the programs of spec how many arguments the functions have that they hook, where it matters: an fexit program finds
// the result after them.
func setArguments(spec *ebpf.CollectionSpec, types *btf.Cache) error {
	for _, prog := range spec.Programs {
		constant := spec.Variables[argumentsOf+prog.AttachTo]
		if constant == nil {
			continue
		}
		n, err := arguments(prog.AttachTo, types)
		if errors.Is(err, btf.ErrNotFound) {
			continue // there is nothing to attach to, which attaching says better
		}
		if err != nil {
			return err
		}
		if err := constant.Set(n); err != nil {
			return fmt.Errorf("setting %s: %w", constant, err)
		}
	}
	return nil
}

// argumentsMost is what bpf/include/arguments.h knows, and as many as are passed in registers.
const argumentsMost = 6

// arguments is the number of arguments of a function of the running kernel.
func arguments(function string, types *btf.Cache) (uint32, error) {
	f, err := kernelFunction(function, types)
	if err != nil {
		return 0, err
	}
	proto, ok := f.Type.(*btf.FuncProto)
	if !ok || len(proto.Params) == 0 || len(proto.Params) > argumentsMost {
		return 0, fmt.Errorf("the kernel's function %s: %v: want 1 to %d arguments: %w", function, f.Type, argumentsMost, ebpf.ErrNotSupported)
	}
	return uint32(len(proto.Params)), nil
}

// kernelFunction finds a function of the running kernel; the error wraps btf.ErrNotFound where there is none of that name.
func kernelFunction(name string, types *btf.Cache) (*btf.Func, error) {
	kernel, err := types.Kernel()
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's type information: %w", err)
	}
	var f *btf.Func
	if err := kernel.TypeByName(name, &f); err != nil {
		return nil, fmt.Errorf("looking up the kernel's function %s: %w", name, err)
	}
	return f, nil
}

// reservedMost is how many entries a map has whose memory is taken at once: some 30 MB of connections.
const reservedMost = 65536

// kernelAllocates is whether hash maps may get memory when an entry comes, under programs on kprobes and tracepoints too: since Linux
// 6.1 there is an allocator for that. Before it the kernel warns in its log when such a program is loaded, and panics with
// kernel.panic_on_warn.
var kernelAllocates = sync.OnceValue(func() bool {
	_, err := kernelFunction("bpf_mem_alloc_init", btf.NewCache())
	return !errors.Is(err, btf.ErrNotFound)
})

// reserve has the memory of a hash map taken when it is made, where that must be, and makes it smaller for it. What finds no room is
// counted, as in a larger map that is full.
func reserve(m *ebpf.MapSpec) {
	if m.Type != ebpf.Hash || m.Flags&unix.BPF_F_NO_PREALLOC == 0 {
		return
	}
	m.Flags &^= unix.BPF_F_NO_PREALLOC
	m.MaxEntries = min(m.MaxEntries, reservedMost)
}
