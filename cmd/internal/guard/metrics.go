package guard

import "github.com/prometheus/client_golang/prometheus"

var (
	shedRatio = prometheus.NewDesc("toposcope_capture_shed_ratio",
		"Share of connections that are left out in turn, since capture takes more than limits.cpu or limits.memory, or its rings are full.", nil, nil)
	guardDetached = prometheus.NewDesc("toposcope_capture_guard_detached",
		"Whether capture is detached because it took far more than its limits: 1, else 0.", nil, nil)
	guardDetaches = prometheus.NewDesc("toposcope_capture_guard_detaches_total",
		"How often capture was detached to protect the host, by the limit that was exceeded.", []string{"reason"}, nil)
	cpuSeconds = prometheus.NewDesc("toposcope_capture_cpu_seconds_total",
		"CPU time taken by this process, and by its kernel programs within the processes that are watched, as far as the kernel tells.",
		[]string{"part"}, nil)
)

var _ prometheus.Collector = (*Guard)(nil)

// Describe implements prometheus.Collector.
func (g *Guard) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{shedRatio, guardDetached, guardDetaches, cpuSeconds} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *Guard) Collect(to chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gauge := func(d *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	counter := func(d *prometheus.Desc, value float64, label string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, label)
	}
	gauge(shedRatio, float64(g.lots)/Lots)
	gauge(guardDetached, map[bool]float64{true: 1}[g.detached != nil])
	for reason, n := range g.detaches {
		counter(guardDetaches, float64(n), reason)
	}
	counter(cpuSeconds, g.spentOwn, "process")
	if g.told {
		counter(cpuSeconds, g.spentBPF, "bpf")
	}
}
