package kernels

import "fmt"

// Kernel is a kernel to boot, as the package archive offers it.
type Kernel struct {
	// Name is what people call it: the upstream series, "6.1".
	Name string
	// Package is a glob (path.Match) over package names. The highest version wins.
	Package string
	// Suite is the release whose archive has it. The host's apt sources must list that release.
	Suite string
}

// All lists the kernels that the tests know, oldest first.
func All() []Kernel {
	return []Kernel{
		{Name: "5.10", Package: "linux-image-5.10.*-cloud-amd64", Suite: "bullseye"},
		{Name: "6.1", Package: "linux-image-6.1.*-cloud-amd64", Suite: "bookworm"},
		{Name: "6.12", Package: "linux-image-6.12.*-cloud-amd64", Suite: "bookworm"},
	}
}

// Find returns the kernel of that name.
func Find(name string) (Kernel, error) {
	for _, k := range All() {
		if k.Name == name {
			return k, nil
		}
	}
	return Kernel{}, fmt.Errorf("no kernel named %q", name)
}
