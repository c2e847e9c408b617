package process

import (
	"bytes"
	"net/url"
	"strings"
)

// serviceOf finds a service's name and namespace in an environment block (NUL-separated), by OpenTelemetry's rules:
// OTEL_SERVICE_NAME wins over service.name in OTEL_RESOURCE_ATTRIBUTES.
func serviceOf(environ []byte) (name, namespace string) {
	var explicit string
	for len(environ) > 0 {
		entry := environ
		if i := bytes.IndexByte(environ, 0); i >= 0 {
			entry, environ = environ[:i], environ[i+1:]
		} else {
			environ = nil
		}
		if !bytes.HasPrefix(entry, []byte("OTEL_")) {
			continue
		}
		if v, ok := bytes.CutPrefix(entry, []byte("OTEL_SERVICE_NAME=")); ok {
			explicit = clean(strings.TrimSpace(string(v)))
		}
		if v, ok := bytes.CutPrefix(entry, []byte("OTEL_RESOURCE_ATTRIBUTES=")); ok {
			name, namespace = resourceAttributes(string(v))
		}
	}
	if explicit != "" {
		name = explicit
	}
	return name, namespace
}

// resourceAttributes reads "key=value,key=value" with percent-encoded values (OpenTelemetry, Resource SDK).
func resourceAttributes(s string) (name, namespace string) {
	for pair := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		if key != "service.name" && key != "service.namespace" {
			continue
		}
		value = strings.TrimSpace(value)
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		if key == "service.name" {
			name = clean(value)
		} else {
			namespace = clean(value)
		}
	}
	return name, namespace
}
