package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/toposcope/toposcope/cmd/internal/config"
)

var protocols = []string{"http", "http2", "grpc", "mysql", "mongodb", "dns"}

// bad is the message of each testdata/*.bad.yaml, behind the file's name.
var bad = map[string]string{
	"unknown_section":           `:3: unknown key "captures"`,
	"unknown_key":               `:3: unknown key "payload" in capture`,
	"unknown_key_in_list":       `:5: unknown key "name_space" in filters.rules[0].match`,
	"unknown_key_in_flow":       `:1: unknown key "memroy" in limits`,
	"unknown_key_of_prometheus": `:4: unknown key "user" in remote_write[0].basic_auth`,
	"key_twice":                 `:3: key "method" is there already, at line 2`,
	"number":                    `:2: capture.payload_limit: "lots" is not a whole number`,
	"boolean":                   `:2: redact.query_values: "perhaps" is not true or false`,
	"list":                      `:2: capture.protocols: "http" is not a list`,
	"section":                   `:1: limits: a list is not a section`,
	"scalar_is_list":            `:2: capture.method: a list is not a text`,
	"port":                      `:4: filters.rules[0].match.port[1]: 70000 is not between 1 and 65535`,
	"syntax":                    `: line 3: mapping values are not allowed in this context`,
	"tab":                       `: line 2: found character that cannot start any token`,
	"not_a_mapping":             `: line 1: the file must be a mapping of sections`,
	"two_documents":             `: there must be one YAML document`,
	"duration":                  `:2: global.scrape_interval: unknown unit " seconds" in duration "15 seconds"`,
	"duration_zero":             `:2: global.scrape_interval: 0s is not above 0`,
	"external_label":            `:4: global.external_labels.bad-name: "bad-name" is not a label name`,
	"external_label_reserved":   `:2: global.external_labels.__name__: a label name that begins with __ is reserved`,
	"method":                    `:2: capture.method: "magic" is none of auto, fexit, kprobe, tracepoint, syscall, packet`,
	"protocol":                  `:4: capture.protocols[1]: "gopher" is none of http, http2, grpc, mysql, mongodb, dns`,
	"protocol_twice":            `:2: capture.protocols[2]: "http" is there twice`,
	"protocols_none":            `:2: capture.protocols: without a protocol nothing is decoded; leave the key out for all`,
	"payload_limit":             `:2: capture.payload_limit: 1000000 is not from 0 to 65536`,
	"default_action":            `:2: filters.default_action: "allow" is neither include nor exclude`,
	"action":                    `:3: filters.rules[0].action: is missing; want include or exclude`,
	"pid":                       `:6: filters.rules[0].match.pid[1]: -1 is not between 1 and 4194304`,
	"match":                     `:5: filters.rules[0].match: is missing; write {} to match every process`,
	"port_word":                 `:2: filters.rules[0].match.port[0]: "http" is not a whole number`,
	"label_name":                `:3: labels[0].set.team name: "team name" is no label name of Prometheus: letters, digits and _, no digit first`,
	"label_taken":               `:5: labels[0].set.client: the label is one of Toposcope's own`,
	"label_nothing":             `:2: labels[0].set: is missing; want label names and values`,
	"route":                     `:2: routes[0]: route rule: pattern "users/:id" does not begin with /`,
	"route_nothing":             `:2: routes[0]: the rule has no patterns`,
	"series":                    `:2: limits.series: 0 is less than 1`,
	"cpu":                       `:1: limits.cpu: -1 is not a number of cores above 0`,
	"memory":                    `:1: limits.memory: 1MiB is less than 64MiB`,
	"memory_unit":               `:1: limits.memory: "plenty" is not a size such as 512MiB`,
	"remote_write_url":          `:1: remote_write: url for remote_write is empty`,
	"remote_write_url_wrong":    `:2: remote_write[0].url: parse "://": missing protocol scheme`,
	"remote_write_null":         `:2: remote_write[0]: the section is empty`,
	"remote_write_twice":        `:3: remote_write[1].name: the name "a" is there twice`,
	"several":                   `:2: unknown key "methd" in capture; testdata/several.bad.yaml:3: capture.payload_limit: "many" is not a whole number`,
	"alerting":                  `:2: alerting: at most one of basic_auth, oauth2 & authorization must be configured`,
}

func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) != len(bad) {
		t.Fatalf("%d files for %d messages (%v)", len(files), len(bad), err)
	}
	for _, f := range files {
		want := f + bad[strings.TrimSuffix(filepath.Base(f), ".bad.yaml")]
		if _, err := config.Load(f, protocols); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", f, err, want)
		}
	}
}

func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/*.good.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if _, err := config.Load(f, protocols); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestDefaults checks that no file, an empty file and empty sections are the same, and what the contract says of it.
func TestDefaults(t *testing.T) {
	want := config.Default(protocols)
	if err := want.Validate(protocols); err != nil {
		t.Error(err)
	}
	got, err := config.Load("", protocols)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("no file: %+v %v", got, err)
	}
	for _, f := range []string{"testdata/empty.good.yaml", "testdata/nulls.good.yaml"} {
		got, err := config.Load(f, protocols)
		if err != nil {
			t.Fatal(err)
		}
		if got.Capture.Method != "auto" || !reflect.DeepEqual(got.Capture.Protocols, protocols) || got.Capture.PayloadLimit != 256 ||
			got.Filters.DefaultAction != "include" || got.Limits != want.Limits || got.Limits.Memory != 512<<20 ||
			got.Metrics.ProcessPID || !got.Metrics.InstanceEdges || !got.Redact.QueryValues || !got.Redact.URLQuery ||
			got.Global.ScrapeInterval != model.Duration(15*time.Second) {
			t.Errorf("%s: %+v", f, got)
		}
	}
}

func TestContract(t *testing.T) {
	c, err := config.Load("testdata/contract.good.yaml", protocols)
	if err != nil {
		t.Fatal(err)
	}
	m := c.Filters.Rules[1].Match
	if m.Pod != "checkout-*" || m.PodLabels["app"] != "checkout" || m.SystemdUnit != "nginx.service" || m.PID[0] != 1234 || m.Port[0] != 8080 {
		t.Errorf("match: %+v", m)
	}
	if c.Labels[0].Set["tier"] != "gold" || c.RouteRules()[0].Service != "cart" || len(c.RouteRules()[0].Patterns) != 2 {
		t.Errorf("labels %+v, routes %+v", c.Labels, c.RouteRules())
	}
	if c.Global.ExternalLabels["cluster"] != "test" || c.Limits.Topology().Series != 50_000 {
		t.Errorf("%+v %+v", c.Global, c.Limits)
	}
}

func TestPrometheusSections(t *testing.T) {
	c, err := config.Load("testdata/prometheus.good.yaml", protocols)
	if err != nil {
		t.Fatal(err)
	}
	rw := c.RemoteWrite[0]
	if rw.Headers["THANOS-TENANT"] != "shop" || rw.HTTPClientConfig.BasicAuth.PasswordFile != "testdata/secret" || rw.QueueConfig.MaxShards != 4 {
		t.Errorf("%+v", rw)
	}
	am := c.Alerting.AlertmanagerConfigs[0]
	if am.Scheme != "https" || am.HTTPClientConfig.TLSConfig.CAFile != "testdata/ca.pem" || len(am.ServiceDiscoveryConfigs) != 1 {
		t.Errorf("%+v", am)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load("testdata/gone.yaml", protocols)
	if !errors.Is(err, os.ErrNotExist) || err.Error() != "reading the configuration: open testdata/gone.yaml: no such file or directory" {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("a.rules.yaml", "groups: []")
	file := write("toposcope.yaml", "rule_files: ['*.rules.yaml', 'none-*.yaml']\n")
	var got []string
	errRule := errors.New("a rule is wrong")
	err := config.Check(file, protocols, func(files []string) error { got = files; return errRule })
	if !errors.Is(err, errRule) || !reflect.DeepEqual(got, []string{filepath.Join(dir, "a.rules.yaml")}) {
		t.Errorf("%v, asked to check %v", err, got)
	}
	if err := config.Check(file, protocols, nil); err != nil {
		t.Error(err)
	}
	file = write("toposcope.yaml", "rule_files: [gone.yaml]\n")
	if err := config.Check(file, protocols, nil); err == nil || err.Error() != file+": rule_files: there is no file "+filepath.Join(dir, "gone.yaml") {
		t.Error(err)
	}
}
