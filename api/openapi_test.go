package api

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// document is as much of an OpenAPI document as the tests read.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string `yaml:"operationId"`
		Responses   map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]map[string]any }
}

func readDocument(t *testing.T) *document {
	t.Helper()
	d := &document{}
	if err := yaml.Unmarshal(description, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDescriptionIsComplete checks that each route is described, and that nothing else is.
func TestDescriptionIsComplete(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	routed := map[string]bool{}
	for _, r := range a.routes {
		if r.Method == http.MethodHead {
			continue // goes without saying
		}
		parts := strings.Split(r.Path, "/")
		for i, p := range parts {
			if strings.HasPrefix(p, ":") || strings.HasPrefix(p, "*") {
				parts[i] = "{" + p[1:] + "}"
			}
		}
		routed[r.Method+" "+strings.Join(parts, "/")] = true
	}
	ids := map[string]bool{}
	for path, methods := range readDocument(t).Paths {
		for method, op := range methods {
			key := strings.ToUpper(method) + " " + path
			if !routed[key] {
				t.Errorf("%s is described and not routed", key)
			}
			delete(routed, key)
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s: operationId %q is missing or taken", key, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	for key := range routed {
		t.Errorf("%s is routed and not described", key)
	}
}

// validate checks a value, decoded from JSON, against a schema.
func (d *document) validate(at string, schema map[string]any, v any) (errs []string) {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/components/schemas/")
		if d.Components.Schemas[name] == nil {
			return []string{at + ": no schema " + name}
		}
		return d.validate(at, d.Components.Schemas[name], v)
	}
	if choices, ok := schema["anyOf"].([]any); ok {
		for _, s := range choices {
			if errs = d.validate(at, s.(map[string]any), v); len(errs) == 0 {
				return nil
			}
		}
		return errs
	}
	if types := schemaTypes(schema["type"]); len(types) > 0 && !slices.ContainsFunc(types, func(name string) bool { return isType(name, v) }) {
		return []string{fmt.Sprintf("%s: %v is not %v", at, v, types)}
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		errs = append(errs, fmt.Sprintf("%s: %v is none of %v", at, v, enum))
	}
	if s, ok := v.(string); ok && schema["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
			errs = append(errs, at+": "+err.Error())
		}
	}
	switch v := v.(type) {
	case map[string]any:
		errs = append(errs, d.validateObject(at, schema, v)...)
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i := range v {
			errs = append(errs, d.validate(fmt.Sprintf("%s[%d]", at, i), items, v[i])...)
		}
	}
	return errs
}

func (d *document) validateObject(at string, schema, v map[string]any) (errs []string) {
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range toSlice(schema["required"]) {
		if _, ok := v[name.(string)]; !ok {
			errs = append(errs, fmt.Sprintf("%s: %s is missing", at, name))
		}
	}
	for name, value := range v {
		s, ok := properties[name].(map[string]any)
		if !ok {
			switch more := schema["additionalProperties"].(type) {
			case bool:
				errs = append(errs, fmt.Sprintf("%s: %s is not described", at, name))
			case map[string]any:
				s, ok = more, true
			}
		}
		if ok {
			errs = append(errs, d.validate(at+"."+name, s, value)...)
		}
	}
	return errs
}

func toSlice(v any) []any { s, _ := v.([]any); return s }

func schemaTypes(v any) (out []string) {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	for _, t := range toSlice(v) {
		out = append(out, t.(string))
	}
	return out
}

func isType(name string, v any) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	default:
		return name == "object"
	}
}

// Validate checks a response's body against what the document says of it; the external tests use it.
func Validate(method, path string, status int, body []byte) error {
	d := &document{}
	if err := yaml.Unmarshal(description, d); err != nil {
		return err
	}
	op, ok := d.Paths[path][strings.ToLower(method)]
	if !ok {
		return fmt.Errorf("%s %s is not described", method, path)
	}
	kind, content := fmt.Sprint(status), "application/json"
	if status >= 400 {
		kind, content = "default", problemType
	}
	schema := op.Responses[kind].Content[content].Schema
	if status >= 400 {
		schema = d.Components.Schemas["Problem"]
	}
	if schema == nil {
		return fmt.Errorf("%s %s: status %d is not described", method, path, status)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	if errs := d.validate("", schema, v); len(errs) > 0 {
		return fmt.Errorf("%s %s: %s", method, path, strings.Join(errs, "; "))
	}
	return nil
}

// TestValidate checks the checker.
func TestValidate(t *testing.T) {
	tests := []struct{ body, want string }{
		{`{"enabled": true}`, ""},
		{`{"enabled": 1}`, "GET /api/v1/capture: .enabled: 1 is not [boolean]"},
		{`{}`, "GET /api/v1/capture: : enabled is missing"},
		{`{"enabled": true, "more": 1}`, "GET /api/v1/capture: : more is not described"},
		{`[]`, "GET /api/v1/capture: : [] is not [object]"},
	}
	for _, tt := range tests {
		got := ""
		if err := Validate("GET", "/api/v1/capture", 200, []byte(tt.body)); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.body, got, tt.want)
		}
	}
}
