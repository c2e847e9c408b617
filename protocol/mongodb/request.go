package mongodb

import (
	"unicode/utf8"

	"github.com/toposcope/toposcope/protocol"
)

// Forms of requests: what must be known when the answer comes. See protocol.Message.Form. The lowest bits are the command's traits
// that are of answers, above all is the key of a getMore's cursor.
const (
	formWaiting   = uint64(ofAnswers+1) << iota // opens, or reads, a cursor that waits
	formDocuments                               // an old opcode, whose answer holds documents alone

	formBits = 8
)

// ask is what a walk has found of a request.
type ask struct {
	command                   *command
	collected, spaced, legacy bool
	waits, documents          bool
	cursor                    uint64 // of a getMore, its key
}

// named reports whether all names of the request are known.
func (a *ask) named() bool {
	return a.command != nil && a.spaced && (a.collected || a.command.traits&(ofCollection|getMore) == 0)
}

// visit takes in an element of a command.
func (a *ask) visit(at place, e *element, m *protocol.Message) place {
	if a.command == nil {
		if a.legacy && at == inCommand && (string(e.key) == "$query" || string(e.key) == "query") && e.kind == typeDocument {
			return inWrapped
		}
		a.name(e, m)
		return inSections
	}
	switch string(e.key) {
	case "$db":
		if db := e.text(); db != nil && !a.spaced {
			a.spaced = true
			setName(m, protocol.DBNamespace, db)
		}
	case "collection":
		if a.command.traits&getMore != 0 && !a.collected {
			a.collect(e, m)
		}
	case "maxTimeMS":
		a.wait(m, a.command.traits&getMore != 0) // no other getMore may have it
	case "maxAwaitTimeMS":
		a.wait(m, a.command.traits&hello != 0)
	case "tailable", "awaitData":
		v, _ := e.number()
		a.wait(m, v != 0 && a.command.traits&find != 0)
	case "pipeline":
		if a.command.traits&aggregate != 0 && e.kind == typeArray {
			return inPipeline
		}
	}
	return inSections
}

// name takes in the first element of a command.
func (a *ask) name(e *element, m *protocol.Message) {
	a.command = commands[string(e.key)]
	switch {
	case a.command != nil:
	case spelt(e.key):
		a.command = unlisted
		m.Attrs.Set(Command, e.key)
	default:
		a.command = unlisted
		m.Attrs.SetString(protocol.DBOperation, protocol.Unknown)
		m.Unresolved = true
		return
	}
	m.Attrs.SetString(protocol.DBOperation, a.command.name)
	m.Upkeep = a.command.traits&upkeep != 0
	switch {
	case a.command.traits&ofCollection != 0:
		a.collect(e, m)
	case a.command.traits&getMore != 0:
		id, _ := e.number()
		a.cursor = cursorKey(id)
	}
}

// collect takes in the name of a collection. An aggregate of a whole database has a number in its place.
func (a *ask) collect(e *element, m *protocol.Message) {
	a.collected = true
	switch name := e.text(); {
	case name != nil:
		setName(m, protocol.DBCollection, name)
	case e.kind == typeString || e.kind == typeSymbol:
		setName(m, protocol.DBCollection, nil)
	}
}

// wait notes that the request is one that may wait.
func (a *ask) wait(m *protocol.Message, waits bool) {
	a.waits, m.Waiting = a.waits || waits, m.Waiting || waits
}

// form is the request's.
func (a *ask) form() (f uint64) {
	f = a.cursor << formBits
	if a.documents {
		f |= formDocuments
	}
	if a.command == nil {
		return f
	}
	if a.waits && a.command.traits&hello == 0 {
		f |= formWaiting
	}
	return f | uint64(a.command.traits&ofAnswers)
}

// unsure reports whether a request of which not all was seen may be one that waits.
func (a *ask) unsure() bool {
	return a.command == nil || !a.waits && a.command.traits&(find|aggregate|getMore|hello) != 0
}

// maxName bounds the name of a collection or a database.
const maxName = 255

// setName sets k to a name that a client chose, or to unknown when that can be none.
func setName(m *protocol.Message, k protocol.Key, name []byte) {
	if !nameable(name) {
		m.Attrs.SetString(k, protocol.Unknown)
		m.Unresolved = true
		return
	}
	m.Attrs.Set(k, name)
}

// nameable reports whether a collection or a database may be called so: UTF-8 without control characters.
func nameable(name []byte) bool {
	if len(name) == 0 || len(name) > maxName || !utf8.Valid(name) {
		return false
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
