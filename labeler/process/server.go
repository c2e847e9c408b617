package process

import (
	"slices"
	"strings"
)

// server is a program that serves an application named on its command line: the application makes the service.
type server struct {
	// named are options whose value is the application.
	named []string
	// flags are options without a value, so that what follows them may be the application.
	flags []string
	// words are subcommands worth showing.
	words []string
}

// Python's application servers. See each one's --help.
var servers = map[string]server{
	"gunicorn": {flags: []string{"--reload", "--preload", "--daemon", "-D", "-R", "--capture-output", "--spew"}},
	"uvicorn": {flags: []string{
		"--reload", "--factory", "--proxy-headers", "--no-proxy-headers", "--no-access-log", "--access-log", "--use-colors",
		"--no-use-colors", "--no-server-header", "--no-date-header",
	}},
	"hypercorn": {flags: []string{"--reload", "--daemon", "-D", "--debug"}},
	"daphne":    {flags: []string{"--proxy-headers", "--no-server-name"}},
	"granian":   {flags: []string{"--reload", "--no-ws", "--access-log", "--factory"}},
	"celery":    {named: []string{"-A", "--app"}, words: []string{"worker", "beat", "flower"}},
	"flask":     {named: []string{"-A", "--app"}},
	"waitress-serve": {
		flags: []string{"--call", "--expose-tracebacks", "--no-expose-tracebacks", "--ipv4", "--no-ipv4", "--ipv6", "--no-ipv6"},
	},
	"rq": {words: []string{"worker", "scheduler"}}, "dramatiq": {}, "huey_consumer": {}, "faust": {named: []string{"-A", "--app"}},
}

// serverApp is "gunicorn shop.wsgi:app" for a known server, its name alone when the application cannot be told from an
// option's value for sure, and "" for anything else.
func serverApp(name string, args []string) string {
	s, ok := servers[name]
	if !ok {
		return ""
	}
	app, word := s.app(args), ""
	for _, a := range args {
		if slices.Contains(s.words, a) {
			word = a
			break
		}
	}
	for _, part := range []string{app, word} {
		if part != "" {
			name += " " + part
		}
	}
	return name
}

func (s server) app(args []string) string {
	previous := ""
	for i, a := range args {
		key, value, attached := strings.Cut(a, "=")
		switch {
		case attached && slices.Contains(s.named, key) && isApp(value):
			return value
		case slices.Contains(s.named, a) && i+1 < len(args) && isApp(args[i+1]):
			return args[i+1]
		case s.named != nil || strings.HasPrefix(a, "-"):
		case slices.Contains(s.words, a):
		case previous != "" && !slices.Contains(s.flags, previous):
			// It may be the value of the option before it.
		case isApp(a):
			return a
		}
		previous = ""
		if strings.HasPrefix(a, "-") && !attached {
			previous = a
		}
	}
	return ""
}

// isApp tells whether s has the form of a Python application: package.module, package.module:attribute.
func isApp(s string) bool {
	module, attribute, ok := strings.Cut(s, ":")
	return dotted(module) && (!ok || dotted(strings.TrimSuffix(attribute, "()")))
}

// dotted tells whether s is identifiers joined by dots.
func dotted(s string) bool {
	if s == "" || len(s) > MaxName {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || part[0] >= '0' && part[0] <= '9' {
			return false
		}
		for i := range len(part) {
			c := part[i]
			if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '$' && c != '-' {
				return false
			}
		}
	}
	return true
}
