package postgresql

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/sqltext"
)

// Bounds of what is remembered of a connection. Past the first two any one is forgotten for a new one: drivers keep some hundreds of
// statements. Of texts, which are only shown, no more is kept than the last two say.
const (
	maxStatements = 2048
	maxPortals    = 256
	maxTexts      = 64 << 10
	textPortals   = 16 // named ones that have the text as well
)

// statement is what a text says, in memory of its own that is used again.
type statement struct {
	operation  string // "" for none: it was prepared before capture began, or not seen
	unresolved bool   // the operation could not be told
	cut        bool   // not all of its text was captured
	buf        []byte // the collection, then the text
	collection int    // length of it
}

func (s *statement) set(operation string, collection, text []byte) {
	s.operation, s.collection, s.unresolved, s.cut = operation, len(collection), false, false
	s.buf = append(append(s.buf[:0], collection...), text...)
}

// copyFrom makes s what from is; whole: with its text.
func (s *statement) copyFrom(from *statement, whole bool) {
	kept := from.buf
	if !whole {
		kept = kept[:from.collection]
	}
	buf := append(s.buf[:0], kept...)
	*s = *from
	s.buf = buf
}

// unknown makes s one of which nothing is known.
func (s *statement) unknown() { *s = statement{buf: s.buf[:0]} }

func (s *statement) text() []byte { return s.buf[s.collection:] }

// describe sets what s says in a request. as, if not "", is the operation in place of the statement's own.
func (s *statement) describe(m *protocol.Message, as string) {
	m.Truncated = m.Truncated || s.cut
	m.Attrs.SetString(protocol.DBSystem, Name)
	if s.operation == "" {
		m.Unresolved = true
		if as == "" {
			as = protocol.Unknown
		}
		m.Attrs.SetString(protocol.DBOperation, as)
		m.Attrs.SetString(protocol.DBCollection, protocol.Unknown)
		return
	}
	if as == "" {
		as = s.operation
		m.Unresolved = m.Unresolved || s.unresolved
	}
	m.Upkeep = m.Upkeep || s.operation == opPing
	m.Waiting = m.Waiting || s.operation == opStartReplication
	m.Attrs.SetString(protocol.DBOperation, as)
	if s.collection > 0 {
		m.Attrs.Set(protocol.DBCollection, s.buf[:s.collection])
	}
	if text := s.text(); len(text) > 0 {
		m.Attrs.Set(protocol.DBQueryText, text)
	}
}

// opStartReplication is the command that turns a connection into a stream of changes.
const opStartReplication = "START_REPLICATION"

// replication are the commands of a walsender (PostgreSQL documentation, "Streaming Replication Protocol"), which are no SQL.
var replication = [...]string{
	opStartReplication, "IDENTIFY_SYSTEM", "CREATE_REPLICATION_SLOT", "DROP_REPLICATION_SLOT", "READ_REPLICATION_SLOT",
	"ALTER_REPLICATION_SLOT", "TIMELINE_HISTORY", "BASE_BACKUP", "UPLOAD_MANIFEST",
}

// read makes s what a text says; cut: its end is missing.
func (s *statement) read(r *sqltext.Reader, text []byte, cut bool) {
	st := r.Read(text, cut)
	s.set(st.Operation, st.Collection, st.Text)
	if s.operation != "" {
		return
	}
	for _, name := range replication {
		if len(text) >= len(name) && bytes.EqualFold(text[:len(name)], []byte(name)) {
			s.operation = name
			return
		}
	}
	if !cut && isBlank(text) {
		s.operation = opPing
		return
	}
	if s.operation = opOther; cut {
		s.operation, s.unresolved = protocol.Unknown, true
	}
}

// isBlank reports whether a text holds blanks, comments (they may be nested) and semicolons alone.
func isBlank(text []byte) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch b := text[i]; {
		case b == '/' && next == '*':
			depth++
			i++
		case depth > 0 && b == '*' && next == '/':
			depth--
			i++
		case depth > 0, b <= ' ', b == ';':
		case b == '-' && next == '-':
			for i < len(text) && text[i] != '\n' && text[i] != '\r' {
				i++
			}
		default:
			return false
		}
	}
	return true
}

// memory is what a connection has prepared. The ones without a name are those of most drivers.
type memory struct {
	statement, portal   statement
	statements, portals map[string]*statement
	simple              statement // the one of a simple Query
	none                statement // one that is not known
	texts               int       // bytes of the texts of statements
}

// lost forgets what may mean something else by now: bytes of the client's were lost. named: the statements with names too.
func (s *memory) lost(named bool) {
	s.statement.unknown()
	s.unbind()
	if named {
		s.forget()
	}
}

// forget lets all statements with names go.
func (s *memory) forget() { s.statements, s.texts = nil, 0 }

// prepare is the place of the statement of that name, to be filled in, and then handed to prepared.
func (s *memory) prepare(name []byte) *statement {
	if len(name) == 0 {
		return &s.statement
	}
	if s.statements == nil {
		s.statements = make(map[string]*statement)
	}
	return place(s.statements, s.drop, name, maxStatements)
}

// prepared accounts for the statement of that name, which was filled in.
func (s *memory) prepared(name []byte, st *statement) {
	if len(name) == 0 {
		return
	}
	if s.texts+len(st.text()) > maxTexts {
		st.buf = bytes.Clone(st.buf[:st.collection])
	}
	s.texts += len(st.text())
}

// drop takes the statement of that name out of the account.
func (s *memory) drop(st *statement) { s.texts -= len(st.text()) }

// bind makes the portal of that name one of a statement, nil when that is not known. It returns the portal.
func (s *memory) bind(portal []byte, from *statement) *statement {
	to := &s.portal
	if len(portal) > 0 {
		if s.portals == nil {
			s.portals = make(map[string]*statement)
		}
		to = place(s.portals, func(*statement) {}, portal, maxPortals)
	}
	if from != nil {
		to.copyFrom(from, len(s.portals) <= textPortals)
	} else {
		to.unknown()
	}
	return to
}

// unbind forgets all portals.
func (s *memory) unbind() {
	s.portal.unknown()
	s.portals = nil
}

// find is the statement of that name, nil when it is not known.
func (s *memory) find(name []byte) *statement {
	if len(name) == 0 {
		return &s.statement
	}
	return s.statements[string(clipName(name))]
}

// open is the portal of that name, nil when it is not known.
func (s *memory) open(portal []byte) *statement {
	if len(portal) == 0 {
		return &s.portal
	}
	return s.portals[string(clipName(portal))]
}

// close forgets a statement ('S') or a portal ('P').
func (s *memory) close(what byte, name []byte) {
	switch name = clipName(name); {
	case len(name) == 0: // it is written over
	case what == 'P':
		delete(s.portals, string(name))
	case s.statements[string(name)] != nil:
		s.drop(s.statements[string(name)])
		delete(s.statements, string(name))
	}
}

// place is the entry of that name in m, which is made when there is none, at the cost of any other when there are too many.
func place(m map[string]*statement, drop func(*statement), name []byte, most int) *statement {
	name = clipName(name)
	st := m[string(name)]
	if st != nil {
		drop(st)
		return st
	}
	if len(m) >= most {
		for k, old := range m {
			drop(old)
			delete(m, k)
			break
		}
	}
	st = &statement{}
	m[string(name)] = st
	return st
}

// clipName cuts a name as the server does.
func clipName(name []byte) []byte { return name[:min(len(name), nameLimit)] }
