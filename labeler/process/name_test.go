package process

import (
	"bufio"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// command is a line of testdata/commands.txt.
type command struct{ want, executable, comm, text string }

func readCommands(t testing.TB) (commands []command) {
	t.Helper()
	f, err := os.Open("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.SplitN(line, "|", 4)
		if len(parts) != 4 {
			t.Fatalf("line %q has no four columns", line)
		}
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		c := command{parts[0], unquote(t, parts[1]), parts[2], parts[3]}
		if c.executable == "-" {
			c.executable = ""
		}
		if c.comm == "-" {
			c.comm = path.Base(trimDeleted(c.executable))
			c.comm = c.comm[:min(15, len(c.comm))]
		}
		commands = append(commands, c)
	}
	return commands
}

func unquote(t testing.TB, s string) string {
	t.Helper()
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	plain, err := strconv.Unquote(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return plain
}

func (c command) args(t testing.TB) (args []string) {
	t.Helper()
	for s := c.text; s != ""; s = strings.TrimLeft(s, " ") {
		if quoted, err := strconv.QuotedPrefix(s); err == nil && s[0] == '"' {
			args, s = append(args, unquote(t, quoted)), s[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		args, s = append(args, word), rest
	}
	return args
}

func TestName(t *testing.T) {
	commands := readCommands(t)
	if len(commands) < 60 {
		t.Errorf("%d command lines, want the golden table to have 60 at least", len(commands))
	}
	for _, c := range commands {
		if got := Name(c.executable, c.comm, c.args(t)); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.executable, c.text, got, c.want)
		}
	}
}

func TestNameShowsNoSecret(t *testing.T) {
	for _, c := range readCommands(t) {
		got := Name(c.executable, c.comm, c.args(t))
		for _, secret := range []string{"hunter2", "secret", "SECRET", "abc", "pw@", "password", "token"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s %s: the name %q holds %q", c.executable, c.text, got, secret)
			}
		}
	}
}

func TestNameIsBounded(t *testing.T) {
	long := strings.Repeat("ä", 32<<10)
	many := make([]string, 1<<16)
	for i := range many {
		many[i] = "-x"
	}
	for _, c := range []struct {
		executable string
		args       []string
	}{
		{"/usr/bin/" + long, nil},
		{"/usr/bin/python3", []string{"python3", long + ".py"}},
		{"/usr/bin/java", append([]string{"java"}, many...)},
		{"/usr/bin/node", []string{long}},
		{"", []string{long}},
		{"   ", []string{" "}},
		{"/usr/bin/bash", []string{"bash", "\x00\xff\n"}},
	} {
		checkName(t, Name(c.executable, "", c.args))
	}
}

func checkName(t *testing.T, got string) {
	t.Helper()
	if got == "" || len(got) > MaxName || !utf8.ValidString(got) {
		t.Errorf("name %q: want 1 to %d bytes of UTF-8", got, MaxName)
	}
	if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("name %q is not printable at %d", got, i)
	}
}

func FuzzName(f *testing.F) {
	for _, c := range readCommands(f) {
		f.Add(c.executable, c.comm, strings.Join(c.args(f), "\x00"))
	}
	f.Fuzz(func(t *testing.T, executable, comm, cmdline string) {
		checkName(t, Name(executable, comm, splitArgs([]byte(cmdline))))
	})
}

func TestServiceOf(t *testing.T) {
	for _, c := range []struct{ environ, name, namespace string }{
		{"", "", ""},
		{"PATH=/bin\x00OTEL_SERVICE_NAME=cart\x00HOME=/", "cart", ""},
		{"OTEL_RESOURCE_ATTRIBUTES=service.name=cart,service.namespace=shop,x=y", "cart", "shop"},
		{"OTEL_SERVICE_NAME=cart\x00OTEL_RESOURCE_ATTRIBUTES=service.name=other, service.namespace = shop ", "cart", "shop"},
		{"OTEL_RESOURCE_ATTRIBUTES=service.name=a%20b%2Cc", "a b,c", ""},
		{"OTEL_RESOURCE_ATTRIBUTES=service.name=100%", "100%", ""},
		{"OTEL_RESOURCE_ATTRIBUTES=,,=,service.name", "", ""},
		{"OTEL_SERVICE_NAME=\x00OTEL_RESOURCE_ATTRIBUTES=service.name=cart", "cart", ""},
		{"MY_OTEL_SERVICE_NAME=x\x00OTEL_SERVICE_NAMES=y", "", ""},
		{"OTEL_SERVICE_NAME=a\nb\xff", "a_b_", ""},
	} {
		name, namespace := serviceOf([]byte(c.environ))
		if name != c.name || namespace != c.namespace {
			t.Errorf("%q: %q in %q, want %q in %q", c.environ, name, namespace, c.name, c.namespace)
		}
	}
}
