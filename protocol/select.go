package protocol

import "slices"

// Select returns those of specs that are named, in their order, and muted copies of those that only carry one of these, or that
// own ports on which their datagrams would be taken for those of another.
func Select(specs []*Spec, names []string) []*Spec {
	var selected []*Spec
	for _, s := range specs {
		if slices.Contains(names, s.Name) {
			selected = append(selected, s)
			continue
		}
		needed := s.Over == OverDatagram || slices.ContainsFunc(specs, func(o *Spec) bool { return o.Carrier == s.Name && slices.Contains(names, o.Name) })
		if needed {
			muted := *s
			muted.Muted = true
			selected = append(selected, &muted)
		}
	}
	return selected
}
