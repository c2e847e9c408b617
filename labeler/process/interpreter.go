package process

import (
	"path"
	"slices"
	"strings"
)

// interpreter says how a language's command line is read, as far as finding its script goes. Option letters are read as
// getopt does: they may stand together, and a letter's value may be attached or the next argument.
type interpreter struct {
	show     string // the name to show; "" shows what was typed (sh, bash)
	code     string // letters whose value is code, or that read code from standard input: there is no script
	value    string // letters with a value
	attached string // letters whose value, if any, is attached
	module   string // letters whose value is a module's name
	script   string // letters whose value is the script

	longCode, longValue, longScript []string

	// verbs are first words that are no script: true, the script follows; false, the verb says enough.
	verbs map[string]bool
}

// The languages, by the name of their program without its version. See each program's own manual page.
var interpreters = map[string]*interpreter{
	"python": &python, "pypy": &python,
	"node": &node, "nodejs": &node,
	"ruby": {show: "ruby", code: "e", value: "rICE", attached: "FiKTWx0"},
	"php":  &php, "php-cgi": &php,
	"perl": {show: "perl", code: "eE", value: "I", attached: "CDFMdimx0V"},
	"sh":   &shell, "bash": &shell, "dash": &shell, "ash": &shell, "zsh": &shell, "ksh": &shell, "mksh": &shell,
	"lua": {show: "lua", code: "e", value: "l"}, "luajit": {show: "luajit", code: "e", value: "l", attached: "jOb"},
	"tclsh": {show: "tclsh"}, "wish": {show: "wish"},
	"R": {
		show: "R", code: "e", value: "g", script: "f", longCode: []string{"--args"}, longScript: []string{"--file"},
		longValue: []string{"--gui"}, verbs: map[string]bool{"CMD": false},
	},
	"deno": {
		show: "deno", value: "cL",
		longValue: []string{"--config", "--import-map", "--log-level", "--cert", "--location", "--seed"},
		verbs: map[string]bool{
			"run": true, "serve": true, "eval": false, "task": false, "test": false, "repl": false, "bench": false, "jupyter": false,
		},
	},
	"bun": {
		show: "bun", code: "ep", value: "rc", longCode: []string{"--eval", "--print"},
		longValue: []string{"--preload", "--require", "--import", "--config", "--cwd", "--env-file", "--port"},
		verbs:     map[string]bool{"run": true, "x": true, "test": false, "repl": false, "exec": false},
	},
	"dotnet": {
		show: "dotnet",
		longValue: []string{
			"--runtimeconfig", "--depsfile", "--additionalprobingpath", "--additional-deps", "--fx-version", "--roll-forward",
		},
		verbs: map[string]bool{"exec": true, "run": false, "watch": false, "test": false, "build": false, "msbuild": false},
	},
	"mono": {show: "mono", longValue: []string{"--config"}},
}

var (
	python = interpreter{
		show: "python", code: "c", value: "WXQ", module: "m", longValue: []string{"--check-hash-based-pycs"},
	}
	node = interpreter{
		show: "node", code: "ep", value: "rC", longCode: []string{"--eval", "--print"},
		longValue: []string{
			"--require", "--import", "--loader", "--experimental-loader", "--conditions", "--env-file", "--title",
			"--icu-data-dir", "--openssl-config", "--input-type", "--watch-path", "--run", "--env-file-if-exists",
			"--diagnostic-dir", "--redirect-warnings", "--report-dir", "--report-directory", "--tls-keylog",
			"--unhandled-rejections", "--dns-result-order", "--disable-warning", "--cpu-prof-dir", "--heapsnapshot-signal",
			"--trace-event-categories", "--stack-trace-limit", "--experimental-config-file", "--localstorage-file",
		},
	}
	php   = interpreter{show: "php", code: "rBRE", value: "cdztSF", script: "f"}
	shell = interpreter{code: "cs", value: "oO", longValue: []string{"--rcfile", "--init-file"}}
)

func interpreterOf(base string) (*interpreter, bool) {
	if in, ok := interpreters[base]; ok {
		return in, true
	}
	in, ok := interpreters[trimVersion(strings.TrimSuffix(base, "-dbg"))]
	return in, ok
}

// name names a program of this language. base is the interpreter's own file name.
func (in *interpreter) name(base string, args []string) string {
	show := in.show
	if typed := typedName(args); show == "" {
		show = base
		if other, ok := interpreters[typed]; ok && other == in { // dash called as sh
			show = typed
		}
	}
	if len(args) == 0 {
		return show
	}
	if title, rest := titled(args); title != "" {
		if _, ok := interpreterOf(title); !ok {
			return titleName(title, args[0])
		}
		args = rest
	}
	found, rest := in.find(args[1:])
	switch {
	case found.module:
		if app := serverApp(found.name, rest); app != "" {
			return app
		}
		return show + " -m " + found.name
	case found.name == "":
		return show
	case found.verb:
		return show + " " + found.name
	default:
		return scriptName(show, found.name, rest)
	}
}

// found is what an interpreter was told to run; the zero value stands for code, standard input or nothing.
type found struct {
	name         string
	module, verb bool
}

// find reads options up to the script. rest are the script's own arguments.
func (in *interpreter) find(args []string) (f found, rest []string) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "-", arg == "":
			return found{}, nil
		case arg == "--":
			if len(args) == 0 || in == &php { // PHP then reads its code from standard input
				return found{}, nil
			}
			return found{name: args[0]}, args[1:]
		case strings.HasPrefix(arg, "--"):
			done := false
			if f, args, done = in.long(arg, args); done {
				return f, args
			}
		case arg[0] == '-', arg[0] == '+' && in == &shell:
			done := false
			if f, args, done = in.letters(arg[1:], args); done {
				return f, args
			}
		default:
			if follows, ok := in.verbs[arg]; ok && follows {
				continue
			} else if ok {
				return found{name: arg, verb: true}, args
			}
			return found{name: arg}, args
		}
	}
	return found{}, nil
}

func (in *interpreter) long(arg string, args []string) (f found, rest []string, done bool) {
	name, value, attached := strings.Cut(arg, "=")
	switch {
	case slices.Contains(in.longCode, name):
		return found{}, nil, true
	case slices.Contains(in.longScript, name) && attached:
		return found{name: value}, args, true
	case attached:
	case slices.Contains(in.longScript, name) && len(args) > 0:
		return found{name: args[0]}, args[1:], true
	case slices.Contains(in.longValue, name) && len(args) > 0:
		return found{}, args[1:], false
	}
	return found{}, args, false
}

func (in *interpreter) letters(letters string, args []string) (f found, rest []string, done bool) {
	for i := range len(letters) {
		c, tail := letters[i], letters[i+1:]
		has := func(set string) bool { return strings.IndexByte(set, c) >= 0 }
		if has(in.code) {
			return found{}, nil, true
		}
		if has(in.attached) {
			return found{}, args, false
		}
		if !has(in.value) && !has(in.module) && !has(in.script) {
			continue
		}
		if tail == "" {
			if len(args) == 0 {
				return found{}, nil, true
			}
			tail, args = args[0], args[1:]
		}
		switch {
		case has(in.module) && dotted(tail):
			return found{name: tail, module: true}, args, true
		case has(in.module):
			return found{}, nil, true
		case has(in.script):
			return found{name: tail}, args, true
		}
		return found{}, args, false
	}
	return found{}, args, false
}

// scriptName shows a script: its base name behind the language's, or alone when it is a command of its own.
func scriptName(show, script string, rest []string) string {
	if scheme, tail, ok := strings.Cut(script, "://"); ok && !strings.Contains(scheme, "/") {
		script, _, _ = strings.Cut(tail, "?") // a URL may carry credentials before its host and behind its path
		script, _, _ = strings.Cut(script, "#")
	}
	base := path.Base(script)
	if base == "." || base == "/" || base == ".." || descriptor(script) {
		return show
	}
	switch path.Base(path.Dir(script)) {
	case "bin", "sbin", ".bin", "libexec", "exe":
		base = baseName(base)
		if ext := path.Ext(base); ext == "" || ext == base {
			return firstOf(serverApp(base, rest), base)
		}
	}
	return show + " " + base
}

// descriptor tells scripts that are an open file and have no name of their own.
func descriptor(script string) bool {
	for _, prefix := range []string{"/dev/fd/", "/dev/stdin", "/proc/self/fd/"} {
		if strings.HasPrefix(script, prefix) {
			return true
		}
	}
	return false
}

// titled tells whether a program has written a title over its command line, and gives the title's first word. When that
// word is the interpreter itself the title still is a command line, and rest are its words.
func titled(args []string) (title string, rest []string) {
	if len(args) != 1 {
		return "", nil
	}
	word := typedName(args)
	if word == "" || !strings.ContainsAny(args[0], " :[") && interpretersKnow(word) {
		return "", nil
	}
	return word, strings.Fields(args[0])
}

func interpretersKnow(word string) bool {
	_, ok := interpreterOf(word)
	return ok
}

// titleName reads titles such as "gunicorn: master [shop.wsgi]" and "puma 6.4.2 (tcp://0.0.0.0:3000) [shop]".
func titleName(word, title string) string {
	if _, after, ok := strings.Cut(title[1:], "["); ok {
		if app, _, ok := strings.Cut(after, "]"); ok && dotted(strings.Replace(app, ":", ".", 1)) {
			return word + " " + app
		}
	}
	return word
}
