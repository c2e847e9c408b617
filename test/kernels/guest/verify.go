package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/toposcope/toposcope/test/kernels"
)

// programs loads every program of every object in a folder, each alone, and reports what the verifier says of it.
func programs(args []string) error {
	fs := flag.NewFlagSet("programs", flag.ContinueOnError)
	dir := fs.String("objects", "/job/bpf", "folder of the object files")
	if err := fs.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	rep := kernels.Report{Name: "programs"}
	if err := verifyAll(*dir, &rep); err != nil {
		rep.Error = err.Error()
	}
	rep.Seconds = time.Since(began).Seconds()
	return send(rep)
}

// objectSuffix is that of this architecture's files, as bpf2go names them.
func objectSuffix() string {
	if runtime.GOARCH == "amd64" {
		return "_x86_bpfel.o"
	}
	return "_" + runtime.GOARCH + "_bpfel.o"
}

func verifyAll(dir string, rep *kernels.Report) error {
	if err := rlimit.RemoveMemlock(); err != nil { // until 5.11
		return fmt.Errorf("raising the limit of locked memory: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+objectSuffix()))
	if err == nil && len(files) == 0 {
		err = errors.New("there are none")
	}
	if err != nil {
		return fmt.Errorf("listing the objects in %s: %w", dir, err)
	}
	l := loader{maps: map[string]*ebpf.Map{}, cache: btf.NewCache()}
	defer l.close()
	for _, file := range files {
		if strings.HasSuffix(objectName(file), second) {
			continue
		}
		programs, err := l.verify(file)
		if err != nil {
			return err
		}
		// As Toposcope does: where the kernel refuses what the first object holds, the second is taken.
		if again := filepath.Join(dir, objectName(file)+second+objectSuffix()); slices.Contains(files, again) {
			others, err := l.verify(again)
			if err != nil {
				return err
			}
			programs = better(programs, others)
		}
		rep.Programs = append(rep.Programs, programs...)
	}
	return nil
}

// second ends the names of the objects for kernels that refuse some instructions of the first.
const second = "v2"

func objectName(file string) string { return strings.TrimSuffix(filepath.Base(file), objectSuffix()) }

// better is the object of which more programs load.
func better(first, others []kernels.Program) []kernels.Program {
	loaded := func(list []kernels.Program) (n int) {
		for _, p := range list {
			if p.Error == "" {
				n++
			}
		}
		return n
	}
	if loaded(others) > loaded(first) {
		return others
	}
	return first
}

// loader loads programs onto the same maps, which all objects declare. The cache is of the kernel's type information.
type loader struct {
	maps  map[string]*ebpf.Map
	cache *btf.Cache
}

func (l loader) close() {
	for _, m := range l.maps {
		m.Close()
	}
}

// verify loads the programs of one object.
func (l loader) verify(file string) (all []kernels.Program, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	replacements := map[string]*ebpf.Map{}
	for name, m := range spec.Maps {
		if strings.HasPrefix(name, ".") {
			continue // an object's own data section
		}
		if l.maps[name] == nil {
			if l.maps[name], err = ebpf.NewMap(m); err != nil {
				return nil, fmt.Errorf("making the map %s: %w", name, err)
			}
		}
		replacements[name] = l.maps[name]
	}
	names := make([]string, 0, len(spec.Programs))
	for name := range spec.Programs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := kernels.Program{Object: objectName(file), Name: name}
		if p.Instructions, err = l.load(spec, name, replacements); err != nil {
			p.Error = reason(err)
		}
		all = append(all, p)
	}
	return all, nil
}

// load loads one program and returns how many instructions the verifier processed.
func (l loader) load(spec *ebpf.CollectionSpec, name string, replacements map[string]*ebpf.Map) (uint64, error) {
	alone := spec.Copy()
	alone.Programs = map[string]*ebpf.ProgramSpec{name: alone.Programs[name]}
	coll, err := ebpf.NewCollectionWithOptions(alone, ebpf.CollectionOptions{
		MapReplacements: replacements, Cache: l.cache, Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	if err != nil {
		return 0, err
	}
	defer coll.Close()
	found := regexp.MustCompile(`processed (\d+) insns`).FindStringSubmatch(coll.Programs[name].VerifierLog)
	if found == nil {
		return 0, nil
	}
	return strconv.ParseUint(found[1], 10, 64)
}

// reason is the last line of the verifier's log that says why, or else the error.
func reason(err error) string {
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		for _, line := range slices.Backward(refused.Log) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "processed ") &&
				!strings.HasPrefix(line, "verification time") && !strings.HasPrefix(line, "stack depth") {
				return line
			}
		}
	}
	if errors.Is(err, os.ErrPermission) {
		return os.ErrPermission.Error() // without the library's guess at the limit of locked memory
	}
	return err.Error()
}
