package topology

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/toposcope/toposcope/labeler"
)

// operation aggregates the exchanges of one kind at one service.
type operation struct {
	metric   OperationMetric
	service  ServiceKey
	instance string
	resource []string // values of the resource labels, shared
	values   [maxFields]string
	created  time.Time

	mu      sync.Mutex
	gone    bool
	last    int64
	seconds Histogram
}

func (o *operation) fields() []field { return schemaOf(o.metric) }

// observe counts an exchange; false when o has been removed.
func (o *operation) observe(d time.Duration, at int64) bool {
	o.mu.Lock()
	gone := o.gone
	if !gone {
		o.seconds.Observe(d)
		o.last = max(o.last, at)
	}
	o.mu.Unlock()
	return !gone
}

func (o *operation) expire(before int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone = o.last < before
	return o.gone
}

// operation finds or makes the operation of res with the given values, folding what is past a limit.
func (r *registry) operation(res *labeler.Resource, m OperationMetric, values [maxFields]string, cfg *Config, at time.Time) *operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	service := keyOf(res)
	for i, f := range schemaOf(m) {
		if values[i] = clean(values[i]); f.open {
			values[i] = capped(r, r.valuesOf, valueKey{service, f.label}, values[i], r.limits.RoutesPerService, dropValues)
		}
	}
	instance := r.instance(service, res.InstanceID)
	resource := resourceValues(res, instance, cfg)
	id := operationKey(m, resource, values)
	if o, ok := r.operations[id]; ok {
		return o
	}
	if !r.take(operationSeries) {
		service, instance = otherKey, ""
		resource, values = resourceValues(&labeler.Resource{Name: Other}, "", cfg), [maxFields]string{}
		id = operationKey(m, resource, values)
		if o, ok := r.operations[id]; ok {
			return o
		}
		r.series.Add(int64(operationSeries)) // given back when it goes
	}
	o := &operation{
		metric: m, service: service, instance: instance, resource: resource, values: values,
		created: startOf(at), last: at.UnixNano(),
	}
	r.operations[id] = o
	return o
}

func operationKey(m OperationMetric, resource []string, values [maxFields]string) string {
	var b strings.Builder
	b.WriteByte(byte(m))
	for _, v := range resource {
		b.WriteString(v)
		b.WriteByte(0xff) // in no UTF-8 string
	}
	for _, v := range values {
		b.WriteString(v)
		b.WriteByte(0xff)
	}
	return b.String()
}

// ResourceLabels are the names of the labels that say whose an operation series is, in the order of
// OperationState.Resource.
func (c *Config) ResourceLabels() []string {
	out := []string{
		LabelServiceName, LabelServiceNamespace, LabelServiceInstance, LabelK8sNamespace, LabelK8sPod, LabelK8sContainer,
		LabelK8sWorkload, LabelK8sWorkloadKind, LabelK8sNode, LabelHost, LabelContainer, LabelUnit, LabelExecutable,
	}
	if c.ProcessPID {
		out = append(out, LabelPID)
	}
	return append(out, c.BusinessLabels...)
}

// resourceValues are the values of ResourceLabels. Past the limit of instances (instance Other) what tells one instance
// from another is left out.
func resourceValues(r *labeler.Resource, instance string, c *Config) []string {
	out := []string{
		r.Name, r.Namespace, instance, r.K8sNamespace, r.K8sPod, r.K8sContainer, r.K8sWorkload, r.K8sWorkloadKind,
		r.K8sNode, r.Host, r.ContainerName, r.Unit, r.Executable,
	}
	if c.ProcessPID {
		out = append(out, pidValue(r.PID))
	}
	if instance == Other {
		for _, i := range [...]int{4, 8, 9, 10, 11} {
			out[i] = ""
		}
		if c.ProcessPID {
			out[len(out)-1] = ""
		}
	}
	for _, name := range c.BusinessLabels {
		value := ""
		for _, l := range r.Labels {
			if l.Name == name {
				value = l.Value
			}
		}
		out = append(out, value)
	}
	for i := range out {
		out[i] = clean(out[i])
	}
	return out
}

func pidValue(pid uint32) string {
	if pid == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(pid), 10)
}
