// Package regex stands in for github.com/dolthub/go-icu-regex, which go-mysql-server needs for MySQL's REGEXP functions and which
// compiles the ICU library from WebAssembly whenever a program starts: 0.7 s and 21 MB in each process of the shop, for functions
// that the shop does not use. Here they answer with an error.
package regex

import (
	"context"
	"errors"
)

// errNone is the answer to everything.
var errNone = errors.New("the demo's MySQL has no regular expressions")

// RegexFlags are ICU's.
type RegexFlags uint32

// The flags that go-mysql-server names.
const (
	RegexFlags_None             RegexFlags = 0
	RegexFlags_Unix_Lines       RegexFlags = 1
	RegexFlags_Case_Insensitive RegexFlags = 2
	RegexFlags_Multiline        RegexFlags = 8
	RegexFlags_Dot_All          RegexFlags = 32
)

// Regex is one regular expression, if there were any.
type Regex interface {
	SetRegexString(ctx context.Context, pattern string, flags RegexFlags) error
	SetMatchString(ctx context.Context, text string) error
	IndexOf(ctx context.Context, start, occurrence int, endIndex bool) (int, error)
	Matches(ctx context.Context, start, occurrence int) (bool, error)
	Replace(ctx context.Context, replacement string, position, occurrence int) (string, error)
	Substring(ctx context.Context, start, occurrence int) (string, bool, error)
	StringBufferSize() uint32
	Close() error
}

// CreateRegex makes a Regex that refuses.
func CreateRegex(uint32) Regex { return none{} }

// SetRegexLeakHandler takes what is to be called when a Regex is forgotten; here none can be.
func SetRegexLeakHandler(func()) {}

type none struct{}

func (none) SetRegexString(context.Context, string, RegexFlags) error  { return errNone }
func (none) SetMatchString(context.Context, string) error              { return errNone }
func (none) IndexOf(context.Context, int, int, bool) (int, error)      { return 0, errNone }
func (none) Matches(context.Context, int, int) (bool, error)           { return false, errNone }
func (none) Replace(context.Context, string, int, int) (string, error) { return "", errNone }
func (none) Substring(context.Context, int, int) (string, bool, error) { return "", false, errNone }
func (none) StringBufferSize() uint32                                  { return 0 }
func (none) Close() error                                              { return nil }
