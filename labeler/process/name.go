package process

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the longest name in bytes; longer ones are cut.
const MaxName = 128

// Name is what a human would call the program at the path executable (as /proc/PID/exe gives it) started with args:
// the script for an interpreter ("python app.py", "node server.js"), the archive or main class for Java
// ("checkout.jar"), the served application for Python's servers ("gunicorn shop.wsgi:app"), else the executable's base name.
// No other argument ever shows, for arguments hold secrets. comm helps to see through links such as BusyBox's.
func Name(executable, comm string, args []string) string {
	return firstOf(clean(name(executable, comm, args)), clean(comm), "unknown")
}

func name(executable, comm string, args []string) string {
	base := baseName(executable)
	if inner, rest, ok := loaded(base, args); ok {
		base, args = baseName(inner), rest
	}
	typed := typedName(args)
	if base == "" {
		return firstOf(typed, comm)
	}
	if in, ok := interpreterOf(base); ok {
		return in.name(base, args)
	}
	if base == "java" || base == "javaw" {
		return javaName(args)
	}
	if strings.HasPrefix(base, "beam.") {
		return firstOf(erlangName(args), base)
	}
	// A program that goes by several names (BusyBox's applets, redis-server on Debian) is the one that was asked for.
	// The kernel's name and the arguments must agree on it: each alone is often overwritten.
	if called, rest := multiCall(base, typed, args); called != base && sameComm(called, comm, base) {
		if in, ok := interpreterOf(called); ok {
			return in.name(called, rest)
		}
		base = called
	}
	if trimVersion(base) == "php-fpm" {
		base = "php-fpm"
	}
	return base
}

// multiCall is the name that a program was called by, and the arguments from there on.
func multiCall(base, typed string, args []string) (string, []string) {
	switch {
	case typed == "":
		return base, args
	case typed == base && (base == "busybox" || base == "toybox") && len(args) > 1:
		return baseName(args[1]), args[1:]
	default:
		return typed, args
	}
}

func sameComm(called, comm, base string) bool {
	if base == "busybox" || base == "toybox" {
		return true
	}
	return comm != "" && called[:min(len(called), 15)] == comm
}

// loaded sees through a dynamic loader or an emulator that was handed the real program as an argument.
func loaded(base string, args []string) (executable string, rest []string, ok bool) {
	loader := strings.HasPrefix(base, "ld-linux") || strings.HasPrefix(base, "ld-musl")
	emulator := strings.HasPrefix(base, "qemu-") && !strings.HasPrefix(base, "qemu-system") || base == "rosetta"
	if !loader && !emulator || len(args) == 0 {
		return "", nil, false
	}
	for i := 1; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--library-path", a == "--preload", a == "--argv0", a == "--audit", a == "-L", a == "-cpu", a == "-0":
			i++
		case strings.HasPrefix(a, "-"):
		default:
			return a, args[i:], true
		}
	}
	return "", nil, false
}

// typedName is the base name of the first argument's first word: what was typed, or the start of a written title.
func typedName(args []string) string {
	if len(args) == 0 {
		return ""
	}
	word, _, _ := strings.Cut(args[0], " ")
	word = strings.TrimLeft(word, "-[") // a login shell's dash; Celery's titles
	if !strings.HasPrefix(word, "/") {
		word, _, _ = strings.Cut(word, ":")
	}
	return baseName(strings.TrimRight(word, ":]"))
}

// baseName is the last element of a path to a program, without what the kernel and packagers put around it.
func baseName(p string) string {
	p = trimDeleted(p)
	if name, ok := strings.CutPrefix(p, "/memfd:"); ok { // a program run from memory, as runc does with itself
		name, _, _ = strings.Cut(name, ":")
		return strings.TrimSuffix(name, "_cloned")
	}
	base := path.Base(p)
	if base == "." || base == "/" {
		return ""
	}
	if inner, ok := strings.CutSuffix(base, "-wrapped"); ok && strings.HasPrefix(inner, ".") { // Nix
		return inner[1:]
	}
	return base
}

func trimDeleted(p string) string { return strings.TrimSuffix(p, " (deleted)") }

// trimVersion cuts a version from the end: python3.11 is python, php-fpm8.2 is php-fpm.
func trimVersion(s string) string {
	if t := strings.TrimRight(s, "0123456789."); t != "" {
		return strings.TrimRight(t, "-")
	}
	return s
}

func firstOf(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

// clean makes a name fit for a label and an eye: valid UTF-8, printable, at most MaxName bytes, a copy of its own.
func clean(s string) string {
	if len(s) > 4*MaxName {
		s = s[:4*MaxName]
	}
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '_'
		}
		if b.Len()+utf8.RuneLen(r) > MaxName {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
