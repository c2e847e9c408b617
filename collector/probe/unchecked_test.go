package probe

// Unchecked is o, but for it being left to the kernel to refuse what a process may not do.
func (o Options) Unchecked() Options {
	o.unchecked = true
	return o
}
