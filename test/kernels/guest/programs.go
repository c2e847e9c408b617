package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/toposcope/toposcope/test/kernels"
)

// programsOf lists the programs that a process holds, itself or by a link, with what the verifier told of each when it was loaded: the
// kernel keeps the number of instructions since 5.16. Object is as given.
func programsOf(pid int, object string) ([]kernels.Program, error) {
	ids, err := programIDs(pid)
	if err != nil {
		return nil, err
	}
	var all []kernels.Program
	for _, id := range ids {
		p, err := programByID(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has gone
		}
		if err != nil {
			return nil, err
		}
		p.Object = object
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b kernels.Program) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func programByID(id ebpf.ProgramID) (kernels.Program, error) {
	prog, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return kernels.Program{}, fmt.Errorf("opening program %d: %w", id, err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return kernels.Program{}, fmt.Errorf("asking for program %d: %w", id, err)
	}
	p := kernels.Program{Name: info.Name}
	// The kernel cuts a program's name at 15 bytes; the type information has it whole.
	if funcs, err := info.FuncInfos(); err == nil && len(funcs) > 0 {
		p.Name = funcs[0].Func.Name
	}
	if n, ok := info.VerifiedInstructions(); ok {
		p.Instructions = uint64(n)
	}
	return p, nil
}

// programIDs reads what the kernel says of a process's descriptors.
func programIDs(pid int) ([]ebpf.ProgramID, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return nil, fmt.Errorf("listing descriptors: %w", err)
	}
	var ids []ebpf.ProgramID
	for _, file := range files {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed since
		}
		if err != nil {
			return nil, fmt.Errorf("listing descriptors: %w", err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			text, ok := strings.CutPrefix(lines.Text(), "prog_id:")
			if !ok {
				continue
			}
			if id, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32); err == nil {
				ids = append(ids, ebpf.ProgramID(id))
			}
		}
		f.Close()
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
