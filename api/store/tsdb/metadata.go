package tsdb

import (
	"sort"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/scrape"
)

// setMetadata remembers types and help texts, which the store does not keep, for the metadata of the HTTP API.
func (w *Writer) setMetadata(families []*dto.MetricFamily) {
	old := w.metadata.Load()
	if old != nil && len(*old) == len(families) {
		return // families come, but never go or change, while the process lives
	}
	out := make([]scrape.MetricMetadata, 0, len(families))
	for _, f := range families {
		out = append(out, scrape.MetricMetadata{
			MetricFamily: f.GetName(),
			Type:         metricType(f.GetType()),
			Help:         f.GetHelp(),
			Unit:         f.GetUnit(),
		})
	}
	w.metadata.Store(&out)
}

func metricType(t dto.MetricType) model.MetricType {
	switch t {
	case dto.MetricType_UNTYPED:
		return model.MetricTypeUnknown
	case dto.MetricType_GAUGE_HISTOGRAM:
		return model.MetricTypeGaugeHistogram
	default:
		return model.MetricType(strings.ToLower(t.String()))
	}
}

var _ scrape.MetricMetadataStore = metadataStore{}

// metadataStore shows a Writer's metadata to Prometheus's HTTP API.
type metadataStore struct{ w *Writer }

// ListMetadata is sorted by family, as Gather sorts.
func (m metadataStore) ListMetadata() []scrape.MetricMetadata {
	if p := m.w.metadata.Load(); p != nil {
		return *p
	}
	return nil
}

func (m metadataStore) GetMetadata(family string) (scrape.MetricMetadata, bool) {
	all := m.ListMetadata()
	i := sort.Search(len(all), func(i int) bool { return all[i].MetricFamily >= family })
	if i < len(all) && all[i].MetricFamily == family {
		return all[i], true
	}
	return scrape.MetricMetadata{}, false
}

func (m metadataStore) SizeMetadata() (n int) {
	for _, md := range m.ListMetadata() {
		n += len(md.MetricFamily) + len(md.Help) + len(md.Unit)
	}
	return n
}

func (m metadataStore) LengthMetadata() int { return len(m.ListMetadata()) }
