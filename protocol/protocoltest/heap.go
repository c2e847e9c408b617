package protocoltest

import "runtime"

// Heap is how many bytes are in use on the heap, garbage left out.
func Heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
