package mysql

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// lookAt is how many bytes of a command's payload are looked at; the rest is passed over.
const lookAt = 16<<10 + 512

// clientState is where the client's direction is.
type clientState struct {
	goesOn bool // the command goes on in the next packet
	silent bool // it gets no answer
	astray bool // where it ends went by unseen
}

// clientNext reads what the client sends.
func (p *parser) clientNext(c *protocol.Chunk) (int, *protocol.Message, error) {
	if len(c.Data) < headerSize {
		if s := &p.client; c.Then == protocol.Hole && (s.goesOn || s.astray || p.uploading) {
			*s = clientState{astray: true}
			return len(c.Data) + int(c.Missing), nil, nil
		}
		return 0, nil, nil
	}
	if p.client.astray {
		begins := protocol.No
		if c.Turn {
			begins = resumes(c.Data)
		}
		switch {
		case begins == protocol.Yes:
		case c.Then == protocol.Hole:
			return len(c.Data) + int(c.Missing), nil, nil
		case begins == protocol.More && c.Then == protocol.Continues:
			return 0, nil, nil
		default:
			return len(c.Data), nil, nil
		}
	}
	h := readHeader(c.Data)
	switch {
	case p.client.goesOn:
		return p.goOn(c, h)
	case p.answer.active && (p.answer.mode == events || p.answer.mode == eventGoesOn):
		return h.size(), nil, nil // a replica says how far it is
	case h.seq == 0 && !p.uploading:
		return p.command(c, h)
	case p.uploading:
		return p.upload(c, h)
	case p.logging:
		return h.size(), nil, nil
	case !p.shaken:
		return p.handshake(c, h)
	}
	return 0, nil, protocol.ErrSyntax
}

// goOn passes over a further packet of a command of 16 MiB and more.
func (p *parser) goOn(c *protocol.Chunk, h header) (int, *protocol.Message, error) {
	if h.length == fullPacket {
		return h.size(), nil, nil
	}
	silent := p.client.silent
	p.client = clientState{}
	if silent {
		return h.size(), nil, nil
	}
	return h.size(), endOf(c, protocol.Request), nil
}

// endOf is the end of the open message.
func endOf(c *protocol.Chunk, k protocol.Kind) *protocol.Message {
	m := c.Message
	m.Reset()
	m.Kind, m.Part = k, protocol.PartEnd
	return m
}

// upload passes over a file's bytes. An empty packet ends it.
func (p *parser) upload(c *protocol.Chunk, h header) (int, *protocol.Message, error) {
	switch {
	case h.seq == 0 && c.Turn: // the server has refused the file
		p.uploading = false
		return p.command(c, h)
	case h.length > 0:
		return h.size(), nil, nil
	}
	p.uploading = false
	return h.size(), endOf(c, protocol.Request), nil
}

// command reads a command.
func (p *parser) command(c *protocol.Chunk, h header) (int, *protocol.Message, error) {
	if h.length == 0 {
		return 0, nil, protocol.ErrSyntax
	}
	if len(c.Data) == headerSize {
		return 0, nil, nil
	}
	cmd := command(c.Data[headerSize])
	k := &commands[cmd]
	if !cmd.plausible(h.length) || cmd == connect {
		return 0, nil, protocol.ErrSyntax
	}
	body, whole := p.payload(c, h)
	if !whole && c.Then != protocol.Hole {
		return 0, nil, nil
	}
	p.shaken, p.logging, p.client = true, false, clientState{silent: k.silent, goesOn: h.length == fullPacket}
	if k.silent {
		if cmd == comStmtClose && len(body) >= 5 {
			p.statements.remove(binary.LittleEndian.Uint32(body[statementID:]))
		}
		return h.size(), nil, nil
	}
	m := c.Message
	m.Reset()
	m.Truncated, m.Waiting, m.Upkeep = !whole, k.waiting, k.upkeep
	m.Form = uint64(makeForm(cmd, h.seq+1, 0))
	if len(p.operations) == 0 {
		p.operation("")
	}
	if p.client.goesOn || cmd == comChangeUser {
		m.Part = protocol.PartHead
		m.Form |= uint64(long)
	}
	m.Attrs.SetString(protocol.DBSystem, p.system())
	p.describe(m, cmd, body, whole && h.length <= lookAt)
	if known := p.inSchema && (!p.moving || form(m.Form).command().moves()); known && len(p.schema) > 0 {
		m.Attrs.Set(protocol.DBNamespace, p.schema)
	} else if !known {
		m.Attrs.SetString(protocol.DBNamespace, protocol.Unknown)
		m.Unresolved = true
	}
	return h.size(), m, nil
}

// payload is what there is to look at of a packet's payload, and whether that is all that is wanted of it.
func (p *parser) payload(c *protocol.Chunk, h header) (body []byte, whole bool) {
	want := min(h.length, lookAt)
	body = c.Data[headerSize:]
	if len(body) < want {
		return body, false
	}
	return body[:want], true
}

// describe sets what a command does, and to what. all: body is all of it.
func (p *parser) describe(m *protocol.Message, cmd command, body []byte, all bool) {
	a := &m.Attrs
	if operation := commands[cmd].operation; operation != "" { // else the statement's
		a.SetString(protocol.DBOperation, operation)
	}
	switch cmd {
	case comQuery:
		text, ok := p.queryText(body[1:])
		if !ok {
			a.SetString(protocol.DBOperation, other)
			return
		}
		p.describeText(m, text, !all)
	case comStmtPrepare:
		s := p.text.Read(body[1:], !all)
		setStatement(a, s.Collection, s.Text)
		if p.hasLast = !m.Truncated; p.hasLast {
			p.last.set(s.Operation, s.Collection, s.Text)
		}
		m.Form |= uint64(makeForm(0, 0, p.operation(s.Operation)))
		if s.Operation == "SET" {
			p.set(body[1:])
		}
	case comStmtExecute, comStmtBulkExecute, comStmtFetch, comStmtReset:
		p.describePrepared(m, cmd, body)
	case comInitDB:
		p.move(body[1:])
	case comChangeUser:
		p.changeUser(body)
	case comFieldList:
		if table, next := nulString(body, 1); next > 0 && len(table) <= maxName && printable(table) {
			a.Set(protocol.DBCollection, table)
		}
	}
}

// describeText sets what a statement's text says.
func (p *parser) describeText(m *protocol.Message, text []byte, cut bool) {
	s := p.text.Read(text, cut)
	a := &m.Attrs
	switch {
	case s.Operation != "":
		a.SetString(protocol.DBOperation, s.Operation)
	case m.Truncated:
		a.SetString(protocol.DBOperation, protocol.Unknown)
		m.Unresolved = true
	default:
		a.SetString(protocol.DBOperation, other)
	}
	setStatement(a, s.Collection, s.Text)
	switch {
	case s.Moves: // which statements were carried out is not told
		p.inSchema, p.was = false, false
	case s.Namespace != nil:
		p.move(s.Namespace)
		m.Form = m.Form&^0xff | uint64(comInitDB) // an error takes it back
	case s.Operation == "LOAD":
		m.Part = protocol.PartHead // a file may follow
	case s.Operation == "SET":
		p.set(text)
	}
}

// describePrepared sets what a prepared statement does.
func (p *parser) describePrepared(m *protocol.Message, cmd command, body []byte) {
	a := &m.Attrs
	operation := commands[cmd].operation
	var s *statement
	if len(body) >= 5 {
		s = p.statement(binary.LittleEndian.Uint32(body[statementID:]))
	}
	if s == nil {
		m.Unresolved = true
		if operation == "" {
			operation = protocol.Unknown
		}
		a.SetString(protocol.DBOperation, operation)
		a.SetString(protocol.DBCollection, protocol.Unknown)
		return
	}
	if operation == "" {
		if operation = s.operation; operation == "USE" { // to which database is not remembered
			p.inSchema, p.was = false, false
		}
	}
	if operation == "" {
		operation = other
	}
	a.SetString(protocol.DBOperation, operation)
	setStatement(a, s.collection, s.text)
}

func setStatement(a *protocol.Attrs, collection, text []byte) {
	if len(collection) > 0 {
		a.Set(protocol.DBCollection, collection)
	}
	if len(text) > 0 {
		a.Set(protocol.DBQueryText, text)
	}
}

// lastPrepared is the id that stands for the statement prepared last (MariaDB: a client need not wait for the id).
const lastPrepared = 0xffffffff

func (p *parser) statement(id uint32) *statement {
	if id != lastPrepared {
		return p.statements.get(id)
	}
	if p.hasLast {
		return &p.last
	}
	return nil
}
