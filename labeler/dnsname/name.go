package dnsname

import (
	"bytes"
	"strings"
	"sync/atomic"
)

// name is a name that was learnt, or a domain that one is in.
type name struct {
	text   string
	domain *name // nil at the top
	below  int   // how many names are right below it
	uses   int   // lookups that refer to it
	fold   string
	seen   atomic.Int64 // when it was learnt last, ns since 1970
}

// folding is the domain nearest to the top, n itself included, that stands for what is below it; nil for none.
func (n *name) folding() (top *name) {
	for ; n != nil; n = n.domain {
		if n.fold != "" {
			top = n
		}
	}
	return top
}

// shown is how a name is shown: by the domain that stands for it, else by itself.
func (n *name) shown() string {
	if top := n.folding(); top != nil {
		return top.fold
	}
	return n.text
}

// maxLabels is how many labels a name may have that is learnt.
const maxLabels = 16

// isHost says whether a name may be a host's: letters, digits, hyphens and, as they are in use, underscores, in labels that are
// not empty; with a letter, so that it is no address.
func isHost(text []byte) bool {
	if len(text) == 0 || len(text) > 253 {
		return false
	}
	letter, labels, length := false, 1, 0
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z':
			letter = true
		case '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && length > 0:
			labels++
			length = -1
		default:
			return false
		}
		length++
	}
	return letter && length > 0 && labels <= maxLabels
}

// isLocal says whether a name is of whoever uses it (RFC 6761 section 6.3), as clients call a server behind a forwarded port.
func isLocal(text []byte) bool {
	const local = "localhost"
	before, ok := bytes.CutSuffix(text, []byte(local))
	return ok && (len(before) == 0 || before[len(before)-1] == '.') || string(text) == local+".localdomain"
}

// find is what stands for a name: the domain that does, else the name itself; nil when it is not known.
func (t *Table) find(text []byte) *name {
	n := t.names[string(text)]
	known := n != nil
	for n == nil && len(text) > 0 {
		text = domainOf(text)
		n = t.names[string(text)]
	}
	if top := n.folding(); top != nil || !known {
		return top
	}
	return n
}

func domainOf(text []byte) []byte {
	_, domain, _ := bytes.Cut(text, []byte{'.'})
	return domain
}

// nameOf is find, and learns a name that is not known. It is nil when there is no room.
func (t *Table) nameOf(text []byte, at int64) *name {
	n := t.find(text)
	if n == nil {
		if len(t.names)+1+bytes.Count(text, []byte{'.'}) > t.cfg.MaxNames {
			return nil
		}
		n = t.add(string(text))
	}
	raise(&n.seen, at)
	return n
}

// add learns a name and the domains that it is in, and returns what stands for it.
func (t *Table) add(text string) *name {
	if n := t.names[text]; n != nil {
		return n
	}
	n := &name{text: text}
	if _, domain, ok := strings.Cut(text, "."); ok {
		n.domain = t.add(domain)
		if top := n.domain.folding(); top != nil {
			return top
		}
		n.domain.below++
		if n.domain.below > t.cfg.MaxSiblings && foldable(domain) {
			n.domain.fold = "*." + domain
			n.domain.below--
			t.folded++
			return n.domain
		}
	}
	t.names[text] = n
	return n
}

// foldable says whether a domain may stand for what is below it. The top level may not, nor what is as good as it, and neither
// the services of a Kubernetes namespace (db.shop.svc.cluster.local) nor its namespaces, which are as many as somebody has made.
//
// Of what is as good as the top level only the labels are known that most countries use (co.uk, com.au, or.jp); that list is
// not complete. Where it fails, hosts of different owners are shown as one, after MaxSiblings of them.
func foldable(domain string) bool {
	labels := strings.Split(domain, ".")
	switch len(labels) {
	case 1:
		return false
	case 2:
		return len(labels[1]) != 2 || !secondLevel(labels[0])
	}
	return labels[0] != "svc" && labels[1] != "svc"
}

func secondLevel(label string) bool {
	switch label {
	case "ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "ltd", "mil", "ne", "net", "nom", "or", "org", "plc", "sch":
		return true
	}
	return false
}

// expireNames forgets the names that nothing refers to and that were not seen since.
func (t *Table) expireNames(since int64) {
	for gone := true; gone; { // a domain goes after what is below it
		gone = false
		for text, n := range t.names {
			if n.uses > 0 || n.below > 0 || n.seen.Load() >= since {
				continue
			}
			delete(t.names, text)
			gone = true
			if n.fold != "" {
				t.folded--
			}
			if n.domain != nil {
				n.domain.below--
				raise(&n.domain.seen, n.seen.Load())
			}
		}
	}
}
