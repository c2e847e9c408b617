package tsdb

import (
	"hash/maphash"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// cache remembers, for each metric of the last round, its series' references and label sets, so that a round makes none
// anew. It holds what the last round held and no more.
type cache struct {
	seed    maphash.Seed
	hash    maphash.Hash
	entries map[uint64]*entry // by hash, collisions chained
	round   uint64
	series  int
	// names and bounds are texts that many series share. There are as many as families and bounds in the catalogue.
	names  map[[2]string]string
	bounds map[float64]string
}

// entry is one metric: a counter or gauge is one series, a histogram many.
type entry struct {
	next  *entry
	lset  labels.Labels // with the family's name
	round uint64        // when it was last seen
	// created is the created timestamp for which the zero samples are written, last the time of the last samples; both in
	// milliseconds, 0 for none.
	created, last int64

	value      series // a counter's or gauge's, or a native histogram's
	sum, count series
	parts      []part // buckets or quantiles
}

// series is one series as the head knows it; lset is empty until the series is first appended.
type series struct {
	ref  storage.SeriesRef
	lset labels.Labels
}

// part is a bucket (bound: le) or a quantile (bound: quantile).
type part struct {
	bound float64
	series
}

func newCache() *cache {
	c := &cache{
		seed: maphash.MakeSeed(), entries: map[uint64]*entry{}, names: map[[2]string]string{}, bounds: map[float64]string{},
	}
	c.hash.SetSeed(c.seed)
	return c
}

func (c *cache) begin() { c.round++ }

// name is the name of a family's series with a suffix.
func (c *cache) name(family, suffix string) string {
	key := [2]string{family, suffix}
	name, ok := c.names[key]
	if !ok {
		name = family + suffix
		c.names[key] = name
	}
	return name
}

// bound is the text of a bucket's bound, or of a quantile.
func (c *cache) bound(v float64) string {
	text, ok := c.bounds[v]
	if !ok {
		text = labels.FormatOpenMetricsFloat(v)
		c.bounds[v] = text
	}
	return text
}

// get returns the entry of a metric, made if it is new.
func (c *cache) get(family string, m *dto.Metric) *entry {
	h := c.sum(family, m)
	for e := c.entries[h]; e != nil; e = e.next {
		if e.is(family, m) {
			e.round = c.round
			return e
		}
	}
	b := labels.NewScratchBuilder(len(m.Label) + 1)
	b.Add(model.MetricNameLabel, family)
	for _, l := range m.Label {
		if l.GetValue() != "" { // an empty label is no label
			b.Add(l.GetName(), l.GetValue())
		}
	}
	b.Sort()
	e := &entry{next: c.entries[h], lset: b.Labels(), round: c.round}
	c.entries[h] = e
	return e
}

func (c *cache) sum(family string, m *dto.Metric) uint64 {
	c.hash.Reset()
	c.hash.WriteString(family)
	for _, l := range m.Label {
		if l.GetValue() == "" {
			continue
		}
		c.hash.WriteByte(0xff) // in no UTF-8 string
		c.hash.WriteString(l.GetName())
		c.hash.WriteByte(0xff)
		c.hash.WriteString(l.GetValue())
	}
	return c.hash.Sum64()
}

func (e *entry) is(family string, m *dto.Metric) bool {
	n := 1
	for _, l := range m.Label {
		if l.GetValue() == "" {
			continue
		}
		n++
		if e.lset.Get(l.GetName()) != l.GetValue() {
			return false
		}
	}
	return n == e.lset.Len() && e.lset.Get(model.MetricNameLabel) == family
}

// sweep forgets the metrics that this round has not seen, telling gone of each, and counts the series of the others.
func (c *cache) sweep(gone func(*entry)) {
	c.series = 0
	for h, first := range c.entries {
		kept := first
		for p := &kept; *p != nil; {
			e := *p
			if e.round == c.round {
				c.series += e.size()
				p = &e.next
				continue
			}
			gone(e)
			*p = e.next
		}
		switch {
		case kept == nil:
			delete(c.entries, h)
		case kept != first:
			c.entries[h] = kept
		}
	}
}

// each calls f with every series of e that was appended.
func (e *entry) each(f func(*series)) {
	for _, s := range []*series{&e.value, &e.sum, &e.count} {
		if s.ref != 0 {
			f(s)
		}
	}
	for i := range e.parts {
		if e.parts[i].ref != 0 {
			f(&e.parts[i].series)
		}
	}
}

func (e *entry) size() (n int) {
	e.each(func(*series) { n++ })
	return n
}
