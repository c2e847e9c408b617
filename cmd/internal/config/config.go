// Package config reads Toposcope's configuration file: strict YAML, in which an unknown key or a value that makes no sense is
// an error that names file, line and key.
//
// Sections that belong to a stage use that stage's types; remote_write, alerting and rule_files are Prometheus's own, with
// static_configs as the only way to find Alertmanagers. The package links neither a store nor PromQL, so that the agent can use it.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"

	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

// Config is the file. The zero value is not useful: start from Default.
type Config struct {
	Global  Global               `yaml:"global"`
	Capture Capture              `yaml:"capture"`
	Filters labeler.FilterConfig `yaml:"filters"`
	Labels  []labeler.LabelRule  `yaml:"labels"`
	Routes  []RouteRule          `yaml:"routes"`
	Limits  Limits               `yaml:"limits"`
	Metrics Metrics              `yaml:"metrics"`
	Redact  Redact               `yaml:"redact"`

	RemoteWrite []*promconfig.RemoteWriteConfig `yaml:"remote_write"`
	Alerting    promconfig.AlertingConfig       `yaml:"alerting"`
	// RuleFiles are globs, relative to the file's folder; see RulePaths.
	RuleFiles []string `yaml:"rule_files"`

	// dir is the folder of the file, "" without one.
	dir string
}

// Global holds what Prometheus has under the same keys.
type Global struct {
	// ScrapeInterval is how often series are written.
	ScrapeInterval model.Duration `yaml:"scrape_interval"`
	// EvaluationInterval is how often rules are evaluated.
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	// ExternalLabels are put on what leaves: remote write, alerts, the StoreAPI.
	ExternalLabels map[string]string `yaml:"external_labels"`
}

// Capture says what is captured and how.
type Capture struct {
	// Method is one of Methods.
	Method string `yaml:"method"`
	// Protocols that are decoded, by name.
	Protocols []string `yaml:"protocols"`
	// PayloadLimit is how many bytes of a message are kept for display.
	PayloadLimit int `yaml:"payload_limit"`
}

// Methods are the ways of capture; auto takes the best that the host allows.
func Methods() []string {
	return []string{"auto", "fexit", "kprobe", "tracepoint", "syscall", "packet"}
}

// maxPayload bounds Capture.PayloadLimit: it is kept for each exchange that is shown.
const maxPayload = 64 << 10

// Metrics chooses among series.
type Metrics struct {
	// ProcessPID puts process_pid on the operation series.
	ProcessPID bool `yaml:"process_pid"`
	// InstanceEdges keeps the edges between instances.
	InstanceEdges bool `yaml:"instance_edges"`
}

// Redact says what is taken out of what is shown.
type Redact struct {
	// QueryValues are the literals of database statements.
	QueryValues bool `yaml:"query_values"`
	// URLQuery are the values in what follows the question mark and in parameters of the path, and headers that are kept for display.
	URLQuery bool `yaml:"url_query"`
}

// Keep says which texts of exchanges are kept for display.
func (c *Config) Keep() protocol.Options {
	return protocol.Options{TextLimit: c.Capture.PayloadLimit, Values: !c.Redact.QueryValues, URLQuery: !c.Redact.URLQuery}
}

// Default is the configuration without a file. protocols are the names of those that are known.
func Default(protocols []string) *Config {
	return &Config{
		Global: Global{
			ScrapeInterval:     model.Duration(15 * time.Second),
			EvaluationInterval: model.Duration(15 * time.Second),
		},
		Capture: Capture{Method: "auto", Protocols: slices.Clone(protocols), PayloadLimit: 256},
		Filters: labeler.FilterConfig{DefaultAction: "include"},
		Limits:  defaultLimits(),
		Metrics: Metrics{InstanceEdges: true},
		Redact:  Redact{QueryValues: true, URLQuery: true},
	}
}

// Load reads a file; "" means Default. protocols are the names of those that are known. An error is one line that begins
// with "file:line:" where there is a line.
func Load(path string, protocols []string) (*Config, error) {
	if path == "" {
		return Default(protocols), nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return parse(path, data, protocols)
}

func parse(path string, data []byte, protocols []string) (*Config, error) {
	doc, err := document(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := Default(protocols)
	if err := decode(data, c); err != nil {
		return nil, doc.explain(path, err)
	}
	if err := c.Validate(protocols); err != nil {
		return nil, doc.explain(path, err)
	}
	c.dir = filepath.Dir(path)
	for _, rw := range c.RemoteWrite {
		rw.SetDirectory(c.dir)
	}
	c.Alerting.SetDirectory(c.dir)
	return c, nil
}

// decode is strict: a key that is unknown or given twice is an error.
func decode(data []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) { // an empty file asks for nothing
		return err
	}
	return nil
}

// RulePaths are the rule files that exist now. A glob that matches nothing is fine, a plain name must exist.
func (c *Config) RulePaths() ([]string, error) {
	var paths []string
	for _, pattern := range c.RuleFiles {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(c.dir, pattern)
		}
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("rule_files: %q: %w", pattern, err)
		}
		if len(matches) == 0 && !hasMeta(pattern) {
			return nil, fmt.Errorf("rule_files: there is no file %s", pattern)
		}
		paths = append(paths, matches...)
	}
	return paths, nil
}

func hasMeta(pattern string) bool { return bytes.ContainsAny([]byte(pattern), `*?[\`) }

// Check reads a file and the rule files it names, as "toposcope check config" does. checkRules may be nil.
func Check(path string, protocols []string, checkRules func(files []string) error) error {
	c, err := Load(path, protocols)
	if err != nil {
		return err
	}
	rules, err := c.RulePaths()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if checkRules == nil || len(rules) == 0 {
		return nil
	}
	return checkRules(rules)
}
