package mysql

// Bounds of the statements that a connection has prepared: their number, and the bytes of their names and texts.
const (
	maxStatements     = 1024
	maxStatementBytes = 256 << 10
)

// statement is what is known of a prepared one.
type statement struct {
	id         uint32
	operation  string
	collection []byte
	text       []byte

	newer, older *statement
}

func (s *statement) size() int { return len(s.collection) + len(s.text) }

// set makes s a copy of what is given.
func (s *statement) set(operation string, collection, text []byte) {
	s.operation = operation
	s.collection = append(s.collection[:0], collection...)
	s.text = append(s.text[:0], text...)
}

// statements are those that a connection has prepared, by id. The one that was used longest ago makes room.
type statements struct {
	byID           map[uint32]*statement
	newest, oldest *statement
	free           *statement // linked by older
	bytes          int
}

// put adds a statement, or replaces the one of that id.
func (l *statements) put(id uint32, operation string, collection, text []byte) {
	l.remove(id)
	if l.byID == nil {
		l.byID = map[uint32]*statement{}
	}
	s := l.free
	if s == nil {
		s = &statement{}
	} else {
		l.free = s.older
	}
	s.id = id
	s.set(operation, collection, text)
	l.bytes += s.size()
	l.byID[id] = s
	l.link(s)
	for len(l.byID) > maxStatements || l.bytes > maxStatementBytes {
		l.remove(l.oldest.id)
	}
}

// get returns the statement of that id, nil when it is not known.
func (l *statements) get(id uint32) *statement {
	s := l.byID[id]
	if s != nil && s != l.newest {
		l.unlink(s)
		l.link(s)
	}
	return s
}

// remove forgets a statement.
func (l *statements) remove(id uint32) {
	s := l.byID[id]
	if s == nil {
		return
	}
	delete(l.byID, id)
	l.unlink(s)
	l.bytes -= s.size()
	if cap(s.text) > 4<<10 {
		s.text = nil
	}
	s.newer, s.older = nil, nil
	if l.free == nil { // one is enough for a client that prepares, executes and closes
		l.free = s
	}
}

// clear forgets all.
func (l *statements) clear() { *l = statements{} }

func (l *statements) link(s *statement) {
	s.older, s.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = s
	} else {
		l.oldest = s
	}
	l.newest = s
}

func (l *statements) unlink(s *statement) {
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		l.newest = s.older
	}
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		l.oldest = s.newer
	}
}
