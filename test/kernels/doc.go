// Package kernels runs static Linux binaries inside real distribution kernels, in a QEMU guest that needs neither
// KVM nor a disk.
//
// A kernel is one line of data (see All): the package is fetched with apt, unpacked beside the user's caches and never
// installed. Run packs the given binaries with a static busybox into an initramfs, boots it, runs one command as root
// and returns what it printed, its framed results and its exit status.
//
// The folder guest is the program that the package's own tests run in there; cmd/vm runs any other.
package kernels
