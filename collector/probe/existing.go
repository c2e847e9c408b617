package probe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/toposcope/toposcope/bpf"
)

// runIterator runs an iterator program once and returns what it wrote. The caller holds p.mu.
func (p *Probe) runIterator(name, over string) ([]byte, error) {
	for _, pr := range p.programs {
		if pr.name == name {
			return readIterator(pr.prog, p.maps[over])
		}
	}
	return nil, fmt.Errorf("iterator %s is not loaded", name)
}

// runs tells whether a program is attached. The caller holds p.mu.
func (p *Probe) runs(name string) bool {
	return slices.ContainsFunc(p.programs, func(pr *program) bool { return pr.name == name })
}

func readIterator(prog *ebpf.Program, over *ebpf.Map) ([]byte, error) {
	r, err := openIterator(prog, over)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("running an iterator: %w", err)
	}
	return b, nil
}

// openIterator opens an iterator over a map, or over no map. It runs while it is read, also when the program is closed meanwhile.
func openIterator(prog *ebpf.Program, over *ebpf.Map) (io.ReadCloser, error) {
	it, err := link.AttachIter(link.IterOptions{Program: prog, Map: over})
	if err != nil {
		return nil, fmt.Errorf("attaching an iterator: %w", err)
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return nil, fmt.Errorf("opening an iterator: %w", err)
	}
	return r, nil
}

// findExisting tells the rings of every TCP socket that some task holds.
func (p *Probe) findExisting() error {
	if _, err := p.runIterator(bpf.SocketsProgExistingSockets, ""); err != nil {
		p.failures[bpf.SocketsProgExistingSockets] = err
		p.log.Warn("Connections that are open already will be known from their next bytes on", "err", err)
	}
	if !p.runs(waitingReceives) {
		return nil
	}
	if _, err := p.runIterator(waitingReceives, ""); err != nil {
		p.failures[waitingReceives] = err
		p.log.Warn("What threads are waiting to receive now will be missed, once for each", "err", err)
	}
	return nil
}

// walk runs an iterator from outside the lock and gives each record of size bytes that it writes; no more than the kernel's
// buffer of them is held at a time. A failure is remembered, and logged once; it ends the walk, as does capture that is switched
// off before it.
func (p *Probe) walk(name, over string, size int, each func(record []byte)) error {
	r, err := p.openWalk(name, over)
	if err != nil {
		return err
	}
	defer r.Close()
	// As much as the kernel gives at once (PAGE_SIZE << 3): between two readings it loses its place among entries that go.
	buffered := bufio.NewReaderSize(r, 8*os.Getpagesize())
	record := make([]byte, size)
	for {
		switch _, err := io.ReadFull(buffered, record); {
		case err == nil:
			each(record)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return p.doesNotRun(name, fmt.Errorf("running an iterator: %w", err))
		}
	}
}

var errSwitchedOff = errors.New("capture is switched off, or by packets")

func (p *Probe) openWalk(name, over string) (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.enabled || p.method == packetMethod {
		return nil, errSwitchedOff
	}
	for _, pr := range p.programs {
		if pr.name == name {
			r, err := openIterator(pr.prog, p.maps[over])
			if err != nil {
				p.noteFailure(name, err)
			}
			return r, err
		}
	}
	return nil, fmt.Errorf("iterator %s is not loaded", name)
}

// doesNotRun notes why a program does not run, and returns it.
func (p *Probe) doesNotRun(name string, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteFailure(name, err)
	return err
}

// noteFailure is doesNotRun for callers that hold p.mu.
func (p *Probe) noteFailure(name string, err error) {
	if p.failures[name] == nil {
		p.log.Warn("A program does not run; the rest goes on", "program", name, "err", err)
		p.failures[name] = err
	}
}
