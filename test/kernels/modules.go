package kernels

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// moduleFiles returns the files of the named modules and of those they need, in the order to insert them. The package
// alone has no modules.dep (it is made when a package is installed), so the names come from the modules themselves.
func moduleFiles(dir string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	byName := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(p), ".ko"); ok && err == nil && d.Type().IsRegular() {
			byName[moduleName(name)] = p
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the kernel's modules: %w", err)
	}
	var order []string
	var add func(name string) error
	add = func(name string) error {
		file, ok := byName[moduleName(name)]
		if !ok {
			return fmt.Errorf("the kernel package has no module %s (uncompressed)", name)
		}
		if slices.Contains(order, file) {
			return nil
		}
		needs, err := moduleNeeds(file)
		if err != nil {
			return err
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return err
			}
		}
		order = append(order, file)
		return nil
	}
	for _, n := range names {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// moduleNeeds reads the "depends" entry of a module's .modinfo section, NUL-separated key=value strings.
func moduleNeeds(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading module %s: %w", file, err)
	}
	defer f.Close()
	sec := f.Section(".modinfo")
	if sec == nil {
		return nil, fmt.Errorf("reading module %s: no .modinfo section", file)
	}
	info, err := sec.Data()
	if err != nil {
		return nil, fmt.Errorf("reading module %s: %w", file, err)
	}
	for entry := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := bytes.CutPrefix(entry, []byte("depends=")); ok && len(list) > 0 {
			return strings.Split(string(list), ","), nil
		}
	}
	return nil, nil
}

// moduleName makes the two spellings of a module's name one.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }
