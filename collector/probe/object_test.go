package probe

import (
	"errors"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/bpf"
)

// pairs are the objects that there are twice.
var pairs = map[string]struct{ current, v2 loader }{
	"sockets": {bpf.LoadSockets, bpf.LoadSocketsV2},
	"accept":  {bpf.LoadAccept, bpf.LoadAcceptV2},
	"fexit":   {bpf.LoadFexit, bpf.LoadFexitV2},
	"kprobe":  {bpf.LoadKprobe, bpf.LoadKprobeV2},
	"syscall": {bpf.LoadSyscall, bpf.LoadSyscallV2},
}

// tells is whether an instruction is an atomic operation that Linux before 5.12 does not know: its verifier takes no constant there.
func tells(ins asm.Instruction) bool {
	op := ins.OpCode.AtomicOp()
	return op != asm.InvalidAtomic && op != asm.AddAtomic
}

func mustLoad(t *testing.T, load loader) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// The objects of old kernels have the same programs, none of which has an instruction that these kernels call malformed.
func TestV2Objects(t *testing.T) {
	for name, pair := range pairs {
		current, v2 := mustLoad(t, pair.current), mustLoad(t, pair.v2)
		for program, spec := range current.Programs {
			old := v2.Programs[program]
			if old == nil {
				t.Errorf("%s: the object of old kernels lacks the program %s", name, program)
				continue
			}
			if i := slices.IndexFunc(old.Instructions, tells); i >= 0 {
				t.Errorf("%s: program %s of old kernels: %v", name, program, old.Instructions[i])
			}
			if old.SectionName != spec.SectionName {
				t.Errorf("%s: program %s is for %s and, on old kernels, %s", name, program, spec.SectionName, old.SectionName)
			}
		}
		for m, spec := range current.Maps {
			if old := v2.Maps[m]; old == nil || old.ValueSize != spec.ValueSize || old.KeySize != spec.KeySize {
				t.Errorf("%s: map %s is %v, on old kernels %v", name, m, spec, old)
			}
		}
	}
	if !slices.ContainsFunc(mustLoad(t, bpf.LoadFexit).Programs["fentry_send"].Instructions, tells) {
		t.Error("the current object has no such operation either: the test sees none, or there need be no other object")
	}
}

// A way loads the object that the kernel can take.
func TestChoose(t *testing.T) {
	before512 := func(spec *ebpf.ProgramSpec) error {
		if slices.ContainsFunc(spec.Instructions, tells) {
			return unix.EINVAL
		}
		return nil
	}
	for _, c := range []struct {
		name string
		load func(*ebpf.ProgramSpec) error
		want string
	}{
		{"since 5.12", func(*ebpf.ProgramSpec) error { return nil }, "current"},
		{"before", before512, "v2"},
		{"nothing may be loaded", func(*ebpf.ProgramSpec) error { return unix.EPERM }, "current"}, // and loading will say so
	} {
		var got string
		as := func(name string) loader {
			return func() (*ebpf.CollectionSpec, error) { got = name; return nil, nil }
		}
		if _, err := choose(fetches(c.load), as("current"), as("v2"))(); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

// What the instruction of the question is in the kernel's own terms: BPF_ATOMIC with BPF_FETCH in its constant.
func TestFetchesAsksForTheOperation(t *testing.T) {
	var asked []asm.Instruction
	_ = fetches(func(spec *ebpf.ProgramSpec) error {
		asked = append(asked, slices.Collect(func(yield func(asm.Instruction) bool) {
			for _, ins := range spec.Instructions {
				if tells(ins) && !yield(ins) {
					return
				}
			}
		})...)
		return nil
	})
	const fetch = 1 // linux/bpf.h: BPF_FETCH
	for _, ins := range asked {
		if ins.Constant&fetch == 0 {
			t.Errorf("%v would be an addition without a result: constant %#x", ins, ins.Constant)
		}
	}
	if len(asked) == 0 {
		t.Error("nothing was asked for")
	}
}

// The numbers of arguments reach the constants; a function with more than the programs know is refused by name.
func TestArguments(t *testing.T) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skip(err)
	}
	var many string
	for typ, err := range kernel.All() {
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := typ.(*btf.Func); ok && many == "" && len(f.Type.(*btf.FuncProto).Params) > argumentsMost {
			var one *btf.Func
			if kernel.TypeByName(f.Name, &one) == nil {
				many = f.Name
			}
		}
	}
	if _, err := arguments(many, btf.NewCache()); !errors.Is(err, ebpf.ErrNotSupported) {
		t.Errorf("arguments of %q: %v, want %v", many, err, ebpf.ErrNotSupported)
	}
	for _, load := range []loader{bpf.LoadFexit, bpf.LoadFexitV2} {
		spec := mustLoad(t, load)
		if err := setArguments(spec, btf.NewCache()); err != nil {
			t.Fatal(err)
		}
		for name, prog := range spec.Programs {
			if prog.AttachType != ebpf.AttachTraceFExit {
				continue
			}
			var got, want uint32
			if constant := spec.Variables[argumentsOf+prog.AttachTo]; constant == nil {
				t.Errorf("program %s: no constant %s", name, argumentsOf+prog.AttachTo)
				continue
			} else if err := constant.Get(&got); err != nil {
				t.Fatal(err)
			}
			if f, err := kernelFunction(prog.AttachTo, btf.NewCache()); err == nil {
				want = uint32(len(f.Type.(*btf.FuncProto).Params))
			}
			if got != want {
				t.Errorf("program %s: %d arguments of %s, want %d", name, got, prog.AttachTo, want)
			}
		}
	}
}

// Maps whose memory is taken at once are bounded; others stay as they are.
func TestReserve(t *testing.T) {
	spec := mustLoad(t, bpf.LoadSockets)
	for name, m := range spec.Maps {
		before := *m
		reserve(m)
		switch {
		case m.Type != ebpf.Hash || before.Flags&unix.BPF_F_NO_PREALLOC == 0:
			if m.MaxEntries != before.MaxEntries || m.Flags != before.Flags {
				t.Errorf("map %s was changed", name)
			}
		case m.Flags&unix.BPF_F_NO_PREALLOC != 0 || m.MaxEntries > reservedMost || m.MaxEntries > before.MaxEntries:
			t.Errorf("map %s: flags %#x, %d entries of %d", name, m.Flags, m.MaxEntries, before.MaxEntries)
		}
	}
}
