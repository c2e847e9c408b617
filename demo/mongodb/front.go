package mongodb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/toposcope/toposcope/demo/fault"
)

// The wire protocol, as far as the front reads it: a header of 16 bytes (length, request ID, response to, opcode), and of OP_MSG the
// flags and a first section of kind 0, which is the command.
const (
	headerSize = 16
	opMsg      = 2013
	maxMessage = 48_000_000
)

// upkeep are the commands that drivers send for themselves; they meet no faults.
func upkeep() []string {
	return []string{"hello", "isMaster", "ismaster", "ping", "buildInfo", "endSessions", "killCursors", "saslStart", "saslContinue"}
}

// front takes connections at listener and hands on to back what no fault meets.
type front struct {
	listener net.Listener
	back     dialer
	faults   *fault.Fates
	closing  chan struct{} // closed when all is to end
	open
}

// serve takes connections until the listener is closed.
func (f *front) serve() error {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		f.wg.Go(func() { f.converse(client) })
	}
}

// converse serves one connection until either end closes it.
func (f *front) converse(client net.Conn) {
	f.add(client)
	defer f.close(client)
	back, err := f.back.DialContext(context.Background(), "", "")
	if err != nil {
		return // the client sees its connection close
	}
	f.add(back)
	defer f.close(back)
	answers := &answers{Conn: client}
	f.wg.Go(func() {
		_, _ = io.Copy(answers, back)
		f.close(client) // no more answers: no more questions
	})
	for in := bufio.NewReader(client); ; {
		message, err := read(in)
		if err != nil {
			return
		}
		to, answer := io.Writer(back), message
		if command := commandOf(message); command != "" && !slices.Contains(upkeep(), command) {
			slow, failed := f.faults.Draw(command)
			select {
			case <-time.After(slow):
			case <-f.closing:
				return
			}
			if failed {
				to, answer = answers, refusal(message)
			}
		}
		if _, err := to.Write(answer); err != nil {
			return
		}
	}
}

// answers is a connection that two write to, each whole messages at a time: to one that waits for an answer nothing else comes.
type answers struct {
	net.Conn
	mu sync.Mutex
}

func (a *answers) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Conn.Write(b)
}

// read reads a message.
func read(from io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n < headerSize || n > maxMessage {
		return nil, errors.New("no message of MongoDB's")
	}
	message := make([]byte, n)
	copy(message, size[:])
	_, err := io.ReadFull(from, message[4:])
	return message, err
}

// commandOf is the name of the command in message, "" where it is no OP_MSG that begins with one.
func commandOf(message []byte) string {
	const section = headerSize + 4
	if binary.LittleEndian.Uint32(message[12:]) != opMsg || len(message) <= section || message[section] != 0 {
		return ""
	}
	first, err := bson.Raw(message[section+1:]).IndexErr(0)
	if err != nil {
		return ""
	}
	return first.Key()
}

// refusal is the answer to message that says that it took too long.
func refusal(message []byte) []byte {
	document, err := bson.Marshal(bson.D{
		{Key: "ok", Value: 0.0},
		{Key: "errmsg", Value: "operation exceeded time limit"},
		{Key: "code", Value: int32(50)},
		{Key: "codeName", Value: "MaxTimeMSExpired"},
	})
	if err != nil {
		panic(err) // a document without anything that could be wrong
	}
	var b []byte
	for _, n := range []uint32{uint32(headerSize + 5 + len(document)), 0, binary.LittleEndian.Uint32(message[4:]), opMsg, 0} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return append(append(b, 0), document...)
}
