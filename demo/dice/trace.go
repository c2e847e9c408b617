package dice

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Header is the name under which a Trace travels, in HTTP's headers and in gRPC's metadata (W3C Trace Context, section 3.2).
const Header = "traceparent"

// Trace names a customer's request (ID) and one call that is made for it (Span).
type Trace struct {
	ID   [16]byte
	Span [8]byte
}

// String is t as the value of Header, sampled.
func (t Trace) String() string { return fmt.Sprintf("00-%x-%x-01", t.ID, t.Span) }

// ParseTrace reads the value of Header. What is none, or is of another version, gives a trace drawn at random: a request from
// outside the shop is served like any other, only not the same way twice.
func ParseTrace(text string) Trace {
	var t Trace
	var flags [1]byte
	if len(text) == 55 && text[:3] == "00-" && text[35] == '-' && text[52] == '-' &&
		unhex(t.ID[:], text[3:35]) && unhex(t.Span[:], text[36:52]) && unhex(flags[:], text[53:]) && t != (Trace{}) {
		return t
	}
	return New(rand.Uint64(), "outside").Trace()
}

func unhex(to []byte, text string) bool {
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}

// Dice are the dice that the process called name throws for t.
func (t Trace) Dice(name string) *Dice {
	id := binary.BigEndian.Uint64(t.ID[:8]) ^ bits.RotateLeft64(binary.BigEndian.Uint64(t.ID[8:]), 1)
	return &Dice{rand.New(rand.NewPCG(id, binary.BigEndian.Uint64(t.Span[:])^hash(name)))}
}
