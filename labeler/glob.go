package labeler

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds that keep matching cheap whatever is configured and whatever a process calls itself.
const (
	maxPattern = 256
	maxSubject = 4096
)

// glob matches whole strings: "*" stands for any run of characters, slashes and none included, "?" for one character, all
// else for itself. There is no escape.
//
// A pattern is cut at its stars and each part is sought once from where the one before it ended, leftmost first, which is
// enough since a star takes any rest. The time is thus bounded by the product of both lengths, and linear without "?".
type glob struct {
	first, last string   // before the first star, behind the last
	middle      []string // between stars
	star        bool     // false: first is all
	wild        bool     // some part has a "?"
}

func compileGlob(pattern string) (glob, error) {
	switch {
	case len(pattern) > maxPattern:
		return glob{}, fmt.Errorf("the pattern has %d bytes, %d are allowed", len(pattern), maxPattern)
	case !utf8.ValidString(pattern):
		return glob{}, fmt.Errorf("the pattern %q is not UTF-8", pattern)
	}
	parts := strings.Split(pattern, "*")
	g := glob{first: parts[0], wild: strings.Contains(pattern, "?"), star: len(parts) > 1}
	if !g.star {
		return g, nil
	}
	g.last = parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		if p != "" {
			g.middle = append(g.middle, p)
		}
	}
	return g, nil
}

func (g *glob) match(s string) bool {
	if !g.star && !g.wild {
		return s == g.first
	}
	if len(s) > maxSubject {
		s = s[:maxSubject]
	}
	if g.wild {
		return g.matchWild(s)
	}
	if len(s) < len(g.first)+len(g.last) || s[:len(g.first)] != g.first || s[len(s)-len(g.last):] != g.last {
		return false
	}
	s = s[len(g.first) : len(s)-len(g.last)]
	for _, part := range g.middle {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

func (g *glob) matchWild(s string) bool {
	n, ok := prefix(s, g.first)
	if !ok || !g.star {
		return ok && n == len(s)
	}
	s = s[n:]
	if n, ok = suffix(s, g.last); !ok {
		return false
	}
	s = s[:len(s)-n]
	for _, part := range g.middle {
		n, ok := 0, false
		for !ok {
			if n, ok = prefix(s, part); ok {
				break
			}
			if s == "" {
				return false
			}
			_, size := utf8.DecodeRuneInString(s)
			s = s[size:]
		}
		s = s[n:]
	}
	return true
}

// prefix tells whether s begins with part, in which "?" is any character, and how many bytes that takes.
func prefix(s, part string) (n int, ok bool) {
	for i := range len(part) {
		if n == len(s) {
			return 0, false
		}
		switch {
		case part[i] == '?':
			_, size := utf8.DecodeRuneInString(s[n:])
			n += size
		case part[i] == s[n]:
			n++
		default:
			return 0, false
		}
	}
	return n, true
}

// suffix is prefix from the end.
func suffix(s, part string) (n int, ok bool) {
	for i := len(part) - 1; i >= 0; i-- {
		if n == len(s) {
			return 0, false
		}
		switch {
		case part[i] == '?':
			_, size := utf8.DecodeLastRuneInString(s[:len(s)-n])
			n += size
		case part[i] == s[len(s)-n-1]:
			n++
		default:
			return 0, false
		}
	}
	return n, true
}
