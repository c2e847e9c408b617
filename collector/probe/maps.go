package probe

import (
	"fmt"
	"math"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
)

// maxShards is the length of the array of rings in bpf/include/maps.h, halved: more shards than that gain nothing.
const maxShards = 8

func onlineCPUs() int { return runtime.NumCPU() }

// makeMaps makes every map once; each group of programs is then loaded onto the same ones.
func (p *Probe) makeMaps() error {
	spec, err := bpf.LoadSockets()
	if err != nil {
		return fmt.Errorf("reading the embedded object: %w", err)
	}
	p.maps = make(map[string]*ebpf.Map, len(spec.Maps))
	for name, m := range spec.Maps {
		if strings.HasPrefix(name, ".") {
			continue // an object's own data section
		}
		p.size(m)
		if p.maps[name], err = ebpf.NewMap(m); err != nil {
			return fmt.Errorf("making the map %s: %w", name, err)
		}
	}
	for i := range p.opts.Shards {
		r, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ring", Type: ebpf.RingBuf, MaxEntries: p.ringSize()})
		if err != nil {
			return fmt.Errorf("making ring %d of %d bytes: %w", i, p.ringSize(), err)
		}
		p.rings = append(p.rings, r)
		if err := p.maps[bpf.SocketsMapRings].Put(uint32(i), r); err != nil {
			return fmt.Errorf("installing ring %d: %w", i, err)
		}
	}
	return nil
}

// size fits a map to this host. Its room is taken at once, unless it has BPF_F_NO_PREALLOC.
func (p *Probe) size(m *ebpf.MapSpec) {
	if !kernelAllocates() {
		reserve(m)
	}
	switch m.Name {
	case bpf.SocketsMapScratches:
		m.MaxEntries *= uint32(ebpf.MustPossibleCPU())
	case bpf.SocketsMapConns:
		if p.opts.maxConns > 0 {
			m.MaxEntries = uint32(p.opts.maxConns)
		}
	}
}

// ringSize is one shard's share, a power of two of at least a page.
func (p *Probe) ringSize() uint32 {
	share := uint32(max(p.opts.RingBytes/p.opts.Shards, os.Getpagesize()))
	return 1 << (bits.Len32(share) - 1)
}

func (p *Probe) makeReaders() error {
	verdicts, err := openVerdicts(p.maps[bpf.SocketsMapVerdicts])
	if err != nil {
		return err
	}
	p.verdicts = verdicts
	processes := p.maps[bpf.SocketsMapProcessRing]
	reader, err := ring.OpenReader(processes.FD(), int(processes.MaxEntries()))
	if err != nil {
		return fmt.Errorf("opening the process ring: %w", err)
	}
	p.procs = &processReader{reader: reader, clock: p.clock, log: p.log}
	for i, r := range p.rings {
		reader, err := ring.OpenReader(r.FD(), int(r.MaxEntries()))
		if err != nil {
			return fmt.Errorf("opening ring %d: %w", i, err)
		}
		s := newShard(reader, p.clock, p.procs, p.log)
		s.packets = newIntake(i, p.opts.DatagramPorts, p, p.clock, p.log)
		p.shards = append(p.shards, s)
	}
	return nil
}

func (p *Probe) writeSettings(enabled bool) error {
	s := bpf.SocketsSettings{
		Self:          uint32(p.opts.Self),
		Shards:        uint32(p.opts.Shards),
		UndecidedHead: uint32(p.opts.UndecidedHead),
		Watermark:     p.ringSize() / 4,
		DefaultAction: uint32(p.unlisted),
		ShedFrom:      p.shedding.from,
		ShedLots:      p.shedding.lots,
	}
	if enabled {
		s.Enabled = 1
	}
	if p.filtering {
		s.Filtering = 1
	}
	if err := p.maps[bpf.SocketsMapCaptureSettings].Put(uint32(0), &s); err != nil {
		return fmt.Errorf("writing the settings map: %w", err)
	}
	return nil
}

// forgetConns empties the kernel's tables and closes, for the handlers, every connection they know of.
func (p *Probe) forgetConns() error {
	p.enabled = false
	for _, name := range []string{bpf.SocketsMapConns, bpf.SocketsMapSends, bpf.SocketsMapReceives, bpf.SocketsMapListeners} {
		if err := clearMap(p.maps[name]); err != nil {
			return fmt.Errorf("emptying the map %s: %w", name, err)
		}
	}
	var last uint64
	if err := p.maps[bpf.SocketsMapLastConn].Lookup(uint32(0), &last); err != nil {
		return fmt.Errorf("reading the last connection's number: %w", err)
	}
	for _, s := range p.shards {
		s.post(func(s *shard) {
			s.whenRead(func() {
				s.closeMissing(nil, event.ConnID(last), math.MaxUint64)
				s.packets.closeAll(time.Now())
			})
		})
	}
	return nil
}

func clearMap(m *ebpf.Map) error {
	var key uint64
	for {
		err := m.NextKey(nil, &key)
		if err != nil {
			return ignoreMissing(err)
		}
		if err := m.Delete(key); ignoreMissing(err) != nil {
			return err
		}
	}
}
