package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// doc is a file's tree, in which an error's place is looked up.
type doc struct{ root *yaml.Node }

// document parses data without giving it a meaning.
func document(data []byte) (doc, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	if err := d.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return doc{}, nil
		}
		return doc{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return doc{}, errors.New("there must be one YAML document")
	}
	top := root.Content[0]
	if top.Kind != yaml.MappingNode && top.ShortTag() != "!!null" {
		return doc{}, fmt.Errorf("line %d: the file must be a mapping of sections", top.Line)
	}
	return doc{top}, nil
}

// explain gives err the form "file:line: key: what is wrong", in one line. Several errors are joined.
func (d doc) explain(path string, err error) error {
	var types *yaml.TypeError
	var field *fieldError
	switch {
	case errors.As(err, &types):
		texts := make([]string, 0, len(types.Errors))
		for _, e := range types.Errors {
			texts = append(texts, d.typeError(path, e))
		}
		return errors.New(strings.Join(texts, "; "))
	case errors.As(err, &field):
		if line := d.line(field.path); line > 0 {
			return fmt.Errorf("%s:%d: %w", path, line, field)
		}
		return fmt.Errorf("%s: %w", path, field)
	}
	// A type of Prometheus's has refused its value and does not say where: it is looked for by the value it quotes.
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " ")
	if n, at := d.quoted(text); n != nil {
		return fmt.Errorf("%s:%d: %s: %s", path, n.Line, pathString(at), text)
	}
	if line, key := d.section(); key != "" {
		return fmt.Errorf("%s:%d: %s: %s", path, line, key, text)
	}
	return fmt.Errorf("%s: %s", path, text)
}

// The forms of the decoder's messages.
var (
	unknownKey = regexp.MustCompile(`^line (\d+): field (.+) not found in type .+$`)
	wrongType  = regexp.MustCompile("^line (\\d+): cannot unmarshal (\\S+)(?: `(.*)`)? into (.+)$")
	keyTwice   = regexp.MustCompile(`^line (\d+): mapping key "(.+)" already defined at line (\d+)$`)
	otherLine  = regexp.MustCompile(`(?s)^line (\d+): (.+)$`)
)

// typeError rewrites one message of the decoder.
func (d doc) typeError(file, text string) string {
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		line := number(m[1])
		in := ""
		d.walk(func(n *yaml.Node, at []any, key *yaml.Node) bool {
			if key == nil || key.Line != line || key.Value != m[2] {
				return false
			}
			if len(at) > 1 {
				in = " in " + pathString(at[:len(at)-1])
			}
			return true
		})
		return fmt.Sprintf("%s:%d: unknown key %q%s", file, line, m[2], in)
	}
	if m := keyTwice.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s:%s: key %q is there already, at line %s", file, m[1], m[2], m[3])
	}
	if m := wrongType.FindStringSubmatch(text); m != nil {
		line, value := number(m[1]), strings.TrimSuffix(m[3], "...")
		key := ""
		d.walk(func(n *yaml.Node, at []any, _ *yaml.Node) bool {
			if n.Line != line || n.ShortTag() != m[2] || !strings.HasPrefix(n.Value, value) {
				return false
			}
			key = pathString(at) + ": "
			return true
		})
		got := "a section"
		switch m[2] {
		case "!!seq":
			got = "a list"
		case "!!map":
		default:
			got = strconv.Quote(m[3])
		}
		return fmt.Sprintf("%s:%d: %s%s is not %s", file, line, key, got, kindOf(m[4]))
	}
	if m := otherLine.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s:%s: %s", file, m[1], strings.ReplaceAll(m[2], "\n", " "))
	}
	return file + ": " + strings.ReplaceAll(text, "\n", " ")
}

// kindOf says what a Go type is in a file.
func kindOf(t string) string {
	t = strings.TrimPrefix(t, "*")
	switch {
	case t == "config.Bytes":
		return "a size such as 512MiB"
	case t == "bool":
		return "true or false"
	case t == "string":
		return "a text"
	case t == "uint16":
		return "a number from 0 to 65535"
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number"
	case strings.HasPrefix(t, "float"):
		return "a number"
	case strings.HasPrefix(t, "[]"):
		return "a list"
	}
	return "a section"
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // the expressions let digits through only
	return n
}

// walk visits each value of the tree with its path and, in a mapping, its key, until visit returns true.
func (d doc) walk(visit func(n *yaml.Node, at []any, key *yaml.Node) bool) {
	if d.root != nil {
		walk(d.root, nil, nil, visit)
	}
}

func walk(n *yaml.Node, at []any, key *yaml.Node, visit func(*yaml.Node, []any, *yaml.Node) bool) bool {
	if visit(n, at, key) {
		return true
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if walk(n.Content[i+1], append(at[:len(at):len(at)], n.Content[i].Value), n.Content[i], visit) {
				return true
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if walk(c, append(at[:len(at):len(at)], i), nil, visit) {
				return true
			}
		}
	}
	return false
}

// line finds the line of a path, or of as much of it as the file has.
func (d doc) line(want string) int {
	line, longest := 0, 0
	d.walk(func(n *yaml.Node, at []any, key *yaml.Node) bool {
		s := pathString(at)
		if s == "" || !strings.HasPrefix(want, s) || len(s) <= longest {
			return false
		}
		longest, line = len(s), n.Line
		if key != nil {
			line = key.Line
		}
		return s == want
	})
	return line
}

// quoted finds the value that a message quotes.
func (d doc) quoted(text string) (found *yaml.Node, path []any) {
	d.walk(func(n *yaml.Node, at []any, _ *yaml.Node) bool {
		if n.Kind != yaml.ScalarNode || n.Value == "" || !strings.Contains(text, strconv.Quote(n.Value)) {
			return false
		}
		found, path = n, at
		return true
	})
	return found, path
}

// section finds the first section that cannot be read by itself.
func (d doc) section() (line int, key string) {
	if d.root == nil || d.root.Kind != yaml.MappingNode {
		return 0, ""
	}
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		k := d.root.Content[i]
		alone := &yaml.Node{Kind: yaml.MappingNode, Content: d.root.Content[i : i+2]}
		data, err := yaml.Marshal(alone)
		if err == nil && decode(data, Default(nil)) != nil {
			return k.Line, k.Value
		}
	}
	return 0, ""
}
