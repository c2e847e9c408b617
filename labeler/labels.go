package labeler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// LabelRule sets business labels on the processes it matches: an entry of the section "labels" of the configuration. All
// rules that match apply, in order; where two set the same label the later wins.
type LabelRule struct {
	Match *Match            `yaml:"match" json:"match"`
	Set   map[string]string `yaml:"set" json:"set"`
}

// maxLabelValue is the longest value of a business label in bytes.
const maxLabelValue = 256

// reserved are the labels of our own series, which a business label would overwrite.
var reserved = []string{
	"service_name", "service_namespace", "service_instance_id", "k8s_namespace_name", "k8s_pod_name", "k8s_container_name",
	"k8s_workload_name", "k8s_workload_kind", "k8s_node_name", "host_name", "container_name", "systemd_unit",
	"process_executable_name", "process_pid", "kind",
	"client", "server", "client_service_namespace", "server_service_namespace", "client_instance", "server_instance",
	"connection_type", "protocol", "outcome", "reason", "stage", "method", "program",
	"http_request_method", "http_route", "http_response_status_code", "error_type",
	"rpc_system_name", "rpc_method", "rpc_response_status_code",
	"db_system_name", "db_operation_name", "db_collection_name", "db_namespace", "db_response_status_code",
	"messaging_system", "messaging_operation_name", "messaging_destination_name",
	"dns_question_type", "dns_response_code", "dns_question_name",
	"le", "quantile", "job", "instance",
}

// ValidateLabels says what is wrong with the section "labels", led by the key's path: "labels[0].set.le: …".
func ValidateLabels(rules []LabelRule) error {
	_, err := newLabeling(rules)
	return err
}

// LabelNames are the names that rules may set, sorted: the business labels that a series may carry.
func LabelNames(rules []LabelRule) []string {
	names := map[string]bool{}
	for _, r := range rules {
		for name := range r.Set {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// labeling is label rules made ready. It is immutable.
type labeling []labelRule

type labelRule struct {
	*Selector
	set []Label
}

func newLabeling(rules []LabelRule) (labeling, error) {
	var out labeling
	for i, r := range rules {
		path := fmt.Sprintf("labels[%d]", i)
		s, err := newSelector(path+".match", r.Match)
		if err != nil {
			return nil, err
		}
		if len(r.Set) == 0 {
			return nil, fmt.Errorf("%s.set: is missing; want label names and values", path)
		}
		lr := labelRule{Selector: s}
		for _, name := range slices.Sorted(maps.Keys(r.Set)) {
			if err := validLabel(name, r.Set[name]); err != nil {
				return nil, fmt.Errorf("%s.set.%s: %w", path, name, err)
			}
			lr.set = append(lr.set, Label{name, r.Set[name]})
		}
		out = append(out, lr)
	}
	return out, nil
}

func validLabel(name, value string) error {
	for i := range len(name) {
		c := name[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && c != '_' && (c < '0' || c > '9' || i == 0) {
			return fmt.Errorf("%q is no label name of Prometheus: letters, digits and _, no digit first", name)
		}
	}
	switch {
	case name == "":
		return fmt.Errorf("the label name is empty")
	case strings.HasPrefix(name, "__"):
		return fmt.Errorf("label names that begin with __ are Prometheus's own")
	case slices.Contains(reserved, name):
		return fmt.Errorf("the label is one of Toposcope's own")
	case !utf8.ValidString(value):
		return fmt.Errorf("the value is not UTF-8")
	case len(value) > maxLabelValue:
		return fmt.Errorf("the value has %d bytes, %d are allowed", len(value), maxLabelValue)
	}
	return nil
}

// labelsOf are the labels of a process, sorted by name.
func (l labeling) labelsOf(r *Resource, origin uint32, listening []uint16) []Label {
	var set map[string]string
	for i := range l {
		if !l[i].selects(r, origin, listening) {
			continue
		}
		if set == nil {
			set = make(map[string]string, len(l[i].set))
		}
		for _, label := range l[i].set {
			set[label.Name] = label.Value
		}
	}
	var labels []Label
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] != "" { // to Prometheus an empty value is no label
			labels = append(labels, Label{name, set[name]})
		}
	}
	return labels
}
