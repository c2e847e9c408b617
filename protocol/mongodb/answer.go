package mongodb

import "github.com/toposcope/toposcope/protocol"

// emptyArray is how many bytes an array without elements has.
const emptyArray = 5

// answer is what a walk has found of a reply.
type answer struct {
	form   uint64 // of its request, if that was asked
	asked  bool
	cursor int64
	// The codes of the command's error, the first write error, the write concern's and a bulkWrite's first failure.
	code, write, concern, failure int32

	said, ok                    bool // whether it worked
	coded, wrote, doubted, item bool // the codes are there, or could be
	fails                       bool // of a bulkWrite
	batch, empty, token         bool
	legacyError                 bool // getLastError's
	found                       bool // at the end of an answer that was not read in order
}

// of reports whether the command that is answered has a trait.
func (a *answer) of(t trait) bool { return a.form&uint64(t&ofAnswers) != 0 }

// visit takes in an element of a reply.
func (a *answer) visit(at place, e *element, m *protocol.Message) place {
	switch at {
	case inReply:
		return a.reply(e, m)
	case inCursor:
		return a.inCursor(e)
	case inErrors:
		a.wrote = true
		return inError
	case inError:
		number(e, "code", &a.write)
	case inConcern:
		number(e, "code", &a.concern)
		a.codeName(e, m)
	case inBatch:
		a.item = true
		return inItem
	case inItem:
		number(e, "code", &a.failure)
	}
	return inSections
}

// reply takes in an element of the reply itself.
func (a *answer) reply(e *element, m *protocol.Message) place {
	switch string(e.key) {
	case "ok":
		if v, ok := e.number(); ok && !a.said {
			a.said, a.ok = true, v != 0
		}
	case "code":
		if !a.coded {
			a.coded = number(e, "code", &a.code)
		}
	case "codeName":
		a.codeName(e, m)
	case "cursor":
		if e.kind == typeDocument {
			return inCursor
		}
	case "writeErrors":
		if e.kind == typeArray && e.size > emptyArray {
			return inErrors
		}
	case "writeConcernError":
		if e.kind == typeDocument && !a.doubted {
			a.doubted = true
			return inConcern
		}
	case "nErrors":
		v, _ := e.number()
		a.fails = a.of(bulk) && v > 0
	case "err":
		a.legacyError = a.of(lastError) && e.kind == typeString
	}
	return inSections
}

// inCursor takes in an element of the cursor.
func (a *answer) inCursor(e *element) place {
	switch string(e.key) {
	case "id":
		a.cursor, _ = e.number()
	case "postBatchResumeToken":
		a.token = true
	case "nextBatch":
		a.empty = e.size == emptyArray
		a.batch = !a.empty
	case "firstBatch":
		a.batch = e.size > emptyArray && !a.of(bulk)
		if a.of(bulk) && e.kind == typeArray {
			return inBatch
		}
	}
	return inSections
}

// number reads the number that is called key into v. It reports whether e is it.
func number(e *element, key string, v *int32) bool {
	n, ok := e.number()
	if !ok || string(e.key) != key || int64(int32(n)) != n {
		return false
	}
	*v = int32(n)
	return true
}

// codeName keeps the code's name.
func (a *answer) codeName(e *element, m *protocol.Message) {
	if name := e.text(); string(e.key) == "codeName" && spelt(name) && m.Attrs.Get(CodeName) == nil {
		m.Attrs.Set(CodeName, name)
	}
}

// merge adds what the end of the reply has told.
func (a *answer) merge(end *answer) {
	a.found = true
	if !a.said {
		a.said, a.ok = end.said, end.ok
	}
	if !a.coded {
		a.coded, a.code = end.coded, end.code
	}
	if !a.doubted {
		a.doubted, a.concern = end.doubted, end.concern
	}
	if !a.wrote {
		a.wrote, a.write = end.wrote, end.write
	}
	a.fails = a.fails || end.fails
}

// judge says in m what the answer means.
func (a *answer) judge(m *protocol.Message, open *cursors) {
	switch {
	case a.said && !a.ok:
		a.fail(m, a.coded, a.code)
	case a.wrote:
		a.fail(m, a.write != 0, a.write)
	case a.fails:
		a.fail(m, a.failure != 0, a.failure)
	case a.doubted:
		a.fail(m, a.concern != 0, a.concern)
	case a.legacyError:
		a.fail(m, a.coded, a.code)
	case !a.said && !a.batch, // no error comes with documents
		a.found && !a.of(reads): // what is between may be write errors
		m.Unresolved = true
	}
	a.await(m, open)
}

// await says in m whether the answer came of a cursor that waits, and remembers the cursor.
func (a *answer) await(m *protocol.Message, open *cursors) {
	waits, known := a.form&formWaiting != 0, true
	if a.of(getMore) && !waits {
		waits, known = open.waits(a.form >> formBits)
		waits = waits || a.token || a.empty && a.cursor != 0
		known = known || waits
		m.Unresolved = m.Unresolved || !known && m.Outcome == protocol.OK // it was opened before capture
	}
	m.Waiting = waits
	if a.asked && known {
		open.add(cursorKey(a.cursor), waits)
	}
}

// codeCommandNotFound is what a server says that does not know a command.
const codeCommandNotFound = 59

// fail says in m that the request has failed. A driver that offers upkeep to a server which does not know it has met no failure:
// it does without.
func (a *answer) fail(m *protocol.Message, coded bool, code int32) {
	m.Outcome, m.Error = protocol.Failed, ErrorOther
	if coded && code == codeCommandNotFound && a.of(upkeep) {
		m.Outcome = protocol.Rejected
	}
	switch text := codeText(code); {
	case coded && text != "":
		m.Error = text
		m.Attrs.SetString(protocol.DBStatusCode, text)
	case !coded && m.Truncated:
		m.Error, m.Unresolved = protocol.Unknown, true
	}
}
