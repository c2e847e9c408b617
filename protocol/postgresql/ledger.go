package postgresql

import "bytes"

// ledger tells what a loss of the client's bytes has cost of what is known by name. A name gets another statement only after a Close or
// a DEALLOCATE, and those are answered: when the server's answers to what was lost have been seen, and let go of nothing, the names
// are still right. Else the connection would be without names for good, for drivers prepare once.
type ledger struct {
	// sent are the messages that a ReadyForQuery ends, heard the ReadyForQuery.
	sent, heard int
	// closes are Close messages that wait for their answer.
	closes int
	// deaf: the server's bytes have been lost since the last request.
	deaf bool
}

// kept reports, where the client's bytes go on after a loss, whether the names are still right, and begins anew.
func (l *ledger) kept() bool {
	kept := l.heard > l.sent && !l.deaf
	*l = ledger{sent: l.heard, heard: l.heard}
	return kept
}

// missed notes a loss of the server's bytes. What it says next ends with the ReadyForQuery of the last request.
func (l *ledger) missed() { l.deaf, l.heard = true, l.sent-1 }

// closed takes in a CloseComplete.
func (p *parser) closed() {
	if p.ledger.closes == 0 { // of a Close that was lost
		p.memory.forget()
		return
	}
	p.ledger.closes--
}

// completed takes in a CommandComplete. seen: its request was.
func (p *parser) completed(body []byte, seen bool) {
	switch tag, _, _ := cString(body); {
	case bytes.HasPrefix(tag, []byte("DISCARD ALL")), bytes.HasPrefix(tag, []byte("DEALLOCATE ALL")),
		!seen && bytes.HasPrefix(tag, []byte("DEALLOCATE")):
		p.memory.forget()
	}
}

// isReady takes in a ReadyForQuery.
func (p *parser) isReady() {
	p.ledger.heard++
	if p.server.failed { // Close messages of the batch were passed over
		p.ledger.closes = 0
	}
	p.server.failed = false
}

// resume goes on with what the client sends where a message begins after a loss.
func (p *parser) resume() {
	p.client, p.server.early = client{typed: p.client.typed}, early{}
	p.memory.lost(!p.ledger.kept())
}

// deafened begins anew with what the server sends, after a loss.
func (p *parser) deafened() {
	p.server, p.client.syncs = server{}, 0
	p.ledger.missed()
	p.escapes.forget(p.reader)
}
