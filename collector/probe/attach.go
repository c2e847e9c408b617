package probe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/privilege"
)

// program is a loaded program with the links that hold it.
type program struct {
	name  string
	prog  *ebpf.Program
	links []link.Link
}

// attach attaches the first way that the host allows, for connections and for datagrams. The caller holds p.mu.
func (p *Probe) attach() error {
	defer p.readTypes()()
	clear(p.failures)
	candidates, err := wayNamed(p.opts.Method, ways())
	if err != nil {
		return err
	}
	if err := p.attachStreams(candidates); err != nil {
		return err
	}
	return p.attachDatagrams()
}

// readTypes keeps the kernel's type information for all programs that are loaded until forget is called: to decode it takes longer than
// to load one, and it is several times what lives on. The caller holds p.mu.
func (p *Probe) readTypes() (forget func()) {
	p.types = btf.NewCache()
	return func() { p.types = nil }
}

func (p *Probe) attachStreams(candidates []way) error {
	var refused []string
	for _, w := range candidates {
		err := p.attachWithBase(w)
		if err == nil {
			p.method = w.name
			p.log.Info("Capture is attached", "method", w.name, "by", w.what, "programs", len(p.programs))
			for _, n := range p.held.Lacking(w.name) {
				p.log.Warn("Capture goes on without a capability", "capability", n.Capability, "unseen", n.Without)
			}
			return nil
		}
		refused = append(refused, w.name+": "+strings.ReplaceAll(err.Error(), "\n", " "))
		p.log.Debug("This way of capture is not possible here", "method", w.name, "err", err)
	}
	return fmt.Errorf("no way of capture works on this host: %s", strings.Join(refused, "; "))
}

// attachWithBase attaches a way for connections, and what goes with it, where that is permitted.
func (p *Probe) attachWithBase(w way) error {
	if err := p.held.Check(w.name); err != nil {
		return err
	}
	if err := p.attachBase(w); err != nil {
		return err
	}
	return p.attachWay(w)
}

// attachBase attaches what goes with every way that hooks into the kernel, once. With packets all of it may be missing: then
// processes are found by /proc, and connections by their packets.
func (p *Probe) attachBase(w way) error {
	if p.untyped != nil && !w.packets {
		return p.untyped
	}
	if w.packets {
		p.dropPrograms()
		if p.untyped != nil {
			return nil
		}
		programs, err := p.attachGroup(processGroup())
		if err != nil && p.held.Has(privilege.Perfmon) { // else that is said where capture is attached
			p.log.Warn("Processes are not followed; who they are is read from /proc, and short-lived ones may stay unknown", "err", explain(err))
		}
		p.programs = programs
		return nil
	}
	if p.programs != nil {
		return nil
	}
	for _, g := range []group{processGroup(), sockets(), iterators()} {
		programs, err := p.attachGroup(g)
		if err != nil {
			p.dropPrograms()
			return fmt.Errorf("attaching %s: %w", g.name, explain(err))
		}
		p.programs = append(p.programs, programs...)
	}
	return nil
}

func (p *Probe) dropPrograms() {
	closeAll(p.programs)
	p.programs = nil
}

// attachWay attaches a way's groups, all or none.
func (p *Probe) attachWay(w way) error {
	var all []*program
	for _, g := range w.groups {
		programs, err := p.attachGroup(g)
		if err != nil {
			closeAll(all)
			return explain(err)
		}
		all = append(all, programs...)
	}
	if w.packets && p.packets.nets.Load() == nil {
		if err := p.openNamespaces(w.streams); err != nil {
			closeAll(all)
			return explain(err)
		}
	}
	p.programs = append(p.programs, all...)
	return nil
}

// attachDatagrams attaches the way of datagrams that goes with the way of connections. That none works is no reason to end.
func (p *Probe) attachDatagrams() error {
	streams := p.packets.nets.Load() != nil
	if len(p.opts.DatagramPorts) == 0 {
		return p.wantPackets(false, streams)
	}
	candidates := datagramWays(p.method)
	if p.opts.Datagrams != "auto" {
		var err error
		if candidates, err = wayNamed(p.opts.Datagrams, allDatagramWays()); err != nil {
			return err
		}
	}
	for _, w := range candidates {
		err := p.held.Check(w.name)
		if err == nil {
			err = p.attachWay(w)
		}
		if err == nil {
			p.datagrams = w.name
			p.log.Info("Capture of datagrams is attached", "method", w.name, "by", w.what)
			err = p.wantPackets(w.packets, streams)
			p.findServers()
			return err
		}
		p.failures["datagrams by "+w.name] = err
		p.log.Warn("This way of capturing datagrams is not possible here", "method", w.name, "err", err)
	}
	return p.wantPackets(false, streams)
}

// findServers notes with the sockets of servers that are there already whose they are, where that is needed.
func (p *Probe) findServers() {
	if !p.runs(existingServers) {
		return
	}
	if _, err := p.runIterator(existingServers, ""); err != nil {
		p.failures[existingServers] = err
		p.log.Warn("Whose the sockets of servers are will be known from their first answers on", "err", err)
	}
}

// attachGroup loads and attaches a group. An optional program that fails is reported, and the rest runs.
func (p *Probe) attachGroup(g group) ([]*program, error) {
	spec, err := g.load()
	if err != nil {
		return nil, fmt.Errorf("reading the embedded object: %w", err)
	}
	progs, err := p.loadGroup(spec, g)
	if err != nil {
		return nil, err
	}
	var attached []*program
	for _, a := range g.at {
		prog := progs[a.program]
		if prog == nil {
			continue
		}
		if err := prog.attach(spec.Programs[a.program], a); err != nil {
			p.failures[a.program] = err
			prog.close()
			if a.optional {
				continue
			}
			closeAll(attached)
			return nil, fmt.Errorf("program %s: %w", a.program, err)
		}
		attached = append(attached, prog)
	}
	return attached, nil
}

// loadGroup loads a group's programs together, which is quicker than one by one; without the optional ones if that fails.
func (p *Probe) loadGroup(spec *ebpf.CollectionSpec, g group) (map[string]*program, error) {
	var required, all []string
	for _, a := range g.at {
		all = append(all, a.program)
		if !a.optional {
			required = append(required, a.program)
		}
	}
	progs, err := p.load(spec, p.types, all...)
	if err == nil || len(required) == len(all) {
		return progs, p.failed(required, err)
	}
	progs, err = p.load(spec, p.types, required...)
	if err != nil {
		return nil, p.failed(required, err)
	}
	for _, a := range g.at {
		if !a.optional {
			continue
		}
		one, err := p.load(spec, p.types, a.program)
		if err != nil {
			p.failures[a.program] = err
			continue
		}
		maps.Copy(progs, one)
	}
	return progs, nil
}

// failed notes err as the reason why none of the programs runs, and returns it.
func (p *Probe) failed(programs []string, err error) error {
	if err != nil {
		for _, name := range programs {
			p.failures[name] = err
		}
	}
	return err
}

// load loads programs of spec onto the shared maps.
func (p *Probe) load(spec *ebpf.CollectionSpec, types *btf.Cache, names ...string) (map[string]*program, error) {
	some := spec.Copy()
	maps.DeleteFunc(some.Programs, func(k string, _ *ebpf.ProgramSpec) bool { return !slices.Contains(names, k) })
	if err := setArguments(some, types); err != nil {
		return nil, err
	}
	replacements := map[string]*ebpf.Map{}
	for name, m := range some.Maps {
		if strings.HasPrefix(name, ".") {
			continue // an object's own data section
		}
		shared, err := p.share(name, m)
		if err != nil {
			return nil, err
		}
		m.MaxEntries, m.Flags = shared.MaxEntries(), shared.Flags() // some were sized for this host
		replacements[name] = shared
	}
	coll, err := ebpf.NewCollectionWithOptions(some, ebpf.CollectionOptions{MapReplacements: replacements, Cache: types})
	if err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	defer coll.Close()
	loaded := map[string]*program{}
	for _, name := range names {
		loaded[name] = &program{name: name, prog: coll.DetachProgram(name)}
	}
	return loaded, nil
}

func (pr *program) attach(spec *ebpf.ProgramSpec, a attachment) error {
	for _, name := range a.syscalls {
		l, err := link.Tracepoint("syscalls", name, pr.prog, nil)
		if err != nil {
			return fmt.Errorf("attaching to tracepoint syscalls/%s: %w", name, err)
		}
		pr.links = append(pr.links, l)
	}
	if len(a.syscalls) > 0 {
		return nil
	}
	l, err := attachBySection(spec, pr.prog)
	if err != nil {
		return fmt.Errorf("attaching to %s: %w", spec.SectionName, err)
	}
	if l != nil {
		pr.links = append(pr.links, l)
	}
	return nil
}

func attachBySection(spec *ebpf.ProgramSpec, prog *ebpf.Program) (link.Link, error) {
	switch {
	case spec.Type == ebpf.Tracing && spec.AttachType == ebpf.AttachTraceIter:
		return nil, nil // opened when it is run
	case spec.Type == ebpf.CGroupSKB, spec.Type == ebpf.CGroupSock, spec.Type == ebpf.CGroupSockAddr:
		root, err := rootCgroup()
		if err != nil {
			return nil, err
		}
		return link.AttachCgroup(link.CgroupOptions{Path: root, Attach: spec.AttachType, Program: prog})
	case spec.Type == ebpf.Tracing:
		return link.AttachTracing(link.TracingOptions{Program: prog})
	case strings.HasPrefix(spec.SectionName, "kretprobe/"):
		return link.Kretprobe(spec.AttachTo, prog, &link.KprobeOptions{RetprobeMaxActive: retprobes})
	case strings.HasPrefix(spec.SectionName, "kprobe/"):
		return link.Kprobe(spec.AttachTo, prog, nil)
	default:
		return nil, fmt.Errorf("section %s: no way to attach it", spec.SectionName)
	}
}

// retprobes is how many calls of one function may be under way at once before a return is missed: blocked receives each hold
// one.
const retprobes = 4096

// explain adds what an operator needs to know to errors that the kernel leaves bare.
func explain(err error) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.Is(err, unix.EPERM):
		// lockdown, a security module, or a missing capability; the library's own hint at MEMLOCK misleads
		return errors.New("the kernel does not permit these programs (lockdown, a security module, or a capability is missing)")
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("not supported by this kernel: %w", err)
	case errors.As(err, &verifier):
		return fmt.Errorf("refused by the kernel's verifier: %w", err)
	default:
		return err
	}
}
