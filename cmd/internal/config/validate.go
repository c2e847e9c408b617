package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/topology/route"
)

// RouteRule gives services URL path templates of their own.
type RouteRule struct {
	Match    RouteMatch `yaml:"match"`
	Patterns []string   `yaml:"patterns"`
}

// RouteMatch chooses services; Service is a glob on the name, empty for all.
type RouteMatch struct {
	Service string `yaml:"service"`
}

// RouteRules are the routes as the topology takes them.
func (c *Config) RouteRules() []route.Rule {
	rules := make([]route.Rule, 0, len(c.Routes))
	for _, r := range c.Routes {
		rules = append(rules, route.Rule{Service: r.Match.Service, Patterns: r.Patterns})
	}
	return rules
}

// Validate tells what in c makes no sense. protocols are the names of those that are known.
func (c *Config) Validate(protocols []string) error {
	for _, check := range []func() error{
		c.Global.validate,
		func() error { return c.Capture.validate(protocols) },
		func() error { return stageError(c.Filters.Validate()) },
		func() error { return stageError(labeler.ValidateLabels(c.Labels)) },
		c.validateRoutes,
		c.Limits.validate,
		c.validateRemoteWrite,
		c.validateAlerting,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (g Global) validate() error {
	if g.ScrapeInterval <= 0 {
		return invalid("%s is not above 0", g.ScrapeInterval).at("global", "scrape_interval")
	}
	if g.EvaluationInterval <= 0 {
		return invalid("%s is not above 0", g.EvaluationInterval).at("global", "evaluation_interval")
	}
	return validateLabelSet(g.ExternalLabels, "global", "external_labels")
}

func validateLabelSet(set map[string]string, at ...any) error {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		switch {
		case !model.LegacyValidation.IsValidLabelName(name):
			return invalid("%q is not a label name", name).at(below(at, name)...)
		case strings.HasPrefix(name, model.ReservedLabelPrefix):
			return invalid("a label name that begins with __ is reserved").at(below(at, name)...)
		}
	}
	return nil
}

func (c Capture) validate(protocols []string) error {
	if !slices.Contains(Methods(), c.Method) {
		return invalid("%q is none of %s", c.Method, strings.Join(Methods(), ", ")).at("capture", "method")
	}
	if len(c.Protocols) == 0 && len(protocols) > 0 {
		return invalid("without a protocol nothing is decoded; leave the key out for all").at("capture", "protocols")
	}
	for i, p := range c.Protocols {
		if !slices.Contains(protocols, p) {
			return invalid("%q is none of %s", p, strings.Join(protocols, ", ")).at("capture", "protocols", i)
		}
		if slices.Contains(c.Protocols[:i], p) {
			return invalid("%q is there twice", p).at("capture", "protocols", i)
		}
	}
	if c.PayloadLimit < 0 || c.PayloadLimit > maxPayload {
		return invalid("%d is not from 0 to %d", c.PayloadLimit, maxPayload).at("capture", "payload_limit")
	}
	return nil
}

func (c *Config) validateRoutes() error {
	for i, r := range c.Routes {
		if len(r.Patterns) == 0 {
			return invalid("the rule has no patterns").at("routes", i)
		}
	}
	for i, r := range c.RouteRules() {
		if _, err := route.New(route.Options{Rules: []route.Rule{r}}); err != nil {
			return invalid("%v", err).at("routes", i)
		}
	}
	return nil
}

func (c *Config) validateRemoteWrite() error {
	names := map[string]bool{}
	for i, rw := range c.RemoteWrite {
		if rw == nil {
			return invalid("the section is empty").at("remote_write", i)
		}
		if rw.Name != "" && names[rw.Name] {
			return invalid("the name %q is there twice", rw.Name).at("remote_write", i, "name")
		}
		names[rw.Name] = true
		if err := rw.Validate(model.UTF8Validation); err != nil {
			return invalid("%v", err).at("remote_write", i)
		}
	}
	return nil
}

func (c *Config) validateAlerting() error {
	if err := c.Alerting.Validate(model.UTF8Validation); err != nil {
		return invalid("%v", err).at("alerting")
	}
	return nil
}

// fieldError is an error of one value, at a path such as capture.protocols[1].
type fieldError struct{ path, text string }

func invalid(format string, args ...any) *fieldError {
	return &fieldError{text: fmt.Sprintf(format, args...)}
}

func (e *fieldError) at(path ...any) *fieldError {
	e.path = pathString(path)
	return e
}

func (e *fieldError) Error() string { return e.path + ": " + e.text }

// stageError takes the error of a stage's own validation, which is led by the path.
func stageError(err error) error {
	if err == nil {
		return nil
	}
	path, text, _ := strings.Cut(err.Error(), ": ")
	return &fieldError{path, text}
}

// pathString writes a path as capture.protocols[1].
func pathString(path []any) string {
	var b strings.Builder
	for _, p := range path {
		switch p := p.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", p)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, p)
		}
	}
	return b.String()
}

// below is a path with more steps; it shares no memory with at.
func below(at []any, steps ...any) []any { return append(at[:len(at):len(at)], steps...) }
