package packet_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

// turns is a conversation in which the two ends take turns, with the turn that each byte was sent in.
type turns struct {
	*talk
	streams [2]string
	of      [2][]uint32 // by event.Dir, of each byte
}

func takeTurns(t testing.TB, r *rand.Rand, n int) *turns {
	k := &turns{talk: newTalk(t, clientEnd, serverEnd)}
	k.next = [2]uint32{r.Uint32(), r.Uint32()}
	k.acked = [2]uint32{k.next[1], k.next[0]}
	k.open()
	for i := range n {
		end := i % 2
		data := strings.Repeat(string(rune('a'+i%26)), 1+r.IntN(12)) + fmt.Sprint(i, ".")
		k.say(end, data, 1+r.IntN(8))
		if r.IntN(3) == 0 {
			k.add(1-end, segment{}) // a bare acknowledgement
		}
		k.streams[end] += data
		for range data {
			k.of[end] = append(k.of[end], uint32(i))
		}
	}
	k.end()
	return k
}

// shuffle moves packets behind others by up to n places, as a network does, and repeats some. The handshake stays in front.
func shuffle(r *rand.Rand, packets []packet.Packet, n int) []packet.Packet {
	type placed struct {
		packet.Packet
		at int
	}
	var list []placed
	for i, p := range packets {
		if i < 3 {
			list = append(list, placed{p, -3 + i})
			continue
		}
		list = append(list, placed{p, i*2 + r.IntN(2*n+1)})
		if r.IntN(8) == 0 {
			list = append(list, placed{p, i*2 + r.IntN(4*n+1)})
		}
	}
	slices.SortStableFunc(list, func(a, b placed) int { return a.at - b.at })
	out := make([]packet.Packet, len(list))
	for i, p := range list {
		out[i] = p.Packet
		out[i].Time = epoch.Add(time.Duration(i) * time.Millisecond)
	}
	return out
}

// agree checks that all that was emitted is where and when it was sent.
func (k *turns) agree(t testing.TB, h *heard) {
	t.Helper()
	for d, whole := range k.streams {
		got := h.stream(event.Dir(d))
		if len(got) > len(whole) {
			t.Fatalf("%d: %d bytes of %d", d, len(got), len(whole))
		}
		for i := range got {
			if got[i] != '_' && got[i] != whole[i] {
				t.Fatalf("%v is\n%s, want\n%s", event.Dir(d), got, whole)
			}
		}
	}
	for _, s := range h.segments {
		if want := k.of[s.Dir][s.Off]; s.Turns && s.Turn != want {
			t.Fatalf("%v %q at %d has turn %d, want %d", s.Dir, s.Data, s.Off, s.Turn, want)
		}
	}
}

// TestShuffled: a network that delays, overtakes and repeats changes nothing.
func TestShuffled(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		k := takeTurns(t, r, 40)
		rec, c := run(t, packet.Config{}, shuffle(r, k.packets, 6))
		h := rec.order[0]
		k.agree(t, h)
		if len(rec.order) != 1 || h.stream(0) != k.streams[0] || h.stream(1) != k.streams[1] || h.missing() != 0 || c.Holes != 0 ||
			h.closed == nil || h.closed.Reason != event.CloseNormal || !h.closed.Turns {
			t.Fatalf("seed %d: %d missing, closed %+v, %+v", seed, h.missing(), h.closed, c)
		}
	}
}

// TestMissed: what capture missed is told once for each run, in its place, and costs nothing else.
func TestMissed(t *testing.T) {
	exact := 0
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 2))
		k := takeTurns(t, r, 40)
		missed := 1 + r.IntN(3)
		packets := slices.Clone(k.packets)
		for range missed { // runs of one or two packets, but not the handshake
			at := 3 + r.IntN(len(packets)-5)
			packets = slices.Delete(packets, at, min(at+1+r.IntN(2), len(packets)))
		}
		seen := [2][]bool{make([]bool, len(k.streams[0])), make([]bool, len(k.streams[1]))}
		k.mark(seen, packets)
		if seed%2 == 0 {
			packets = shuffle(r, packets, 2)
		}
		rec, c := run(t, packet.Config{}, packets)
		h := rec.order[0]
		k.agree(t, h)
		for d := range seen {
			got := h.stream(event.Dir(d))
			for i, s := range seen[d] {
				if s != (i < len(got) && got[i] != '_') {
					t.Fatalf("seed %d: byte %d of direction %d was captured: %v, emitted: %v\n%s", seed, i, d, s, !s, got)
				}
			}
		}
		holes := slices.Contains(seen[0], false) || slices.Contains(seen[1], false)
		told := h.missing()
		if h.closed == nil { // an end that was missed: nothing shows what is missing before it
			told = c.Holes
		}
		if holes != (told > 0) || told > uint64(2*missed) || told != c.Holes || c.HeldBytes != 0 {
			t.Fatalf("seed %d: holes %v, %d missing, %+v", seed, holes, h.missing(), c)
		}
		if h.segments[len(h.segments)-1].Turns {
			exact++
		}
	}
	if exact < 400 {
		t.Errorf("turns were numbered exactly in %d of 600", exact)
	}
}

// mark sets the bytes that packets, raw IPv4 and without options, carry.
func (k *turns) mark(seen [2][]bool, packets []packet.Packet) {
	base := [2]uint32{}
	for i := range 2 {
		base[i] = k.next[i] - 1 - uint32(len(k.streams[i])) // less the FIN
	}
	for _, p := range packets {
		end := 0
		if p.Data[12+3] == k.ends[1].Addr().As4()[3] {
			end = 1
		}
		tcp := p.Data[20:]
		off := uint32(tcp[4])<<24 | uint32(tcp[5])<<16 | uint32(tcp[6])<<8 | uint32(tcp[7])
		for i := range tcp[20:] {
			seen[end][off-base[end]+uint32(i)] = true
		}
	}
}

// TestMissedAnswer: a whole answer that was missed leaves its number between its request and the next.
func TestMissedAnswer(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open()
	for range 3 {
		k.say(0, "request", 7).say(1, "answer", 6)
	}
	k.packets = slices.Delete(k.packets, 6, 7) // the second answer
	r, c := run(t, packet.Config{}, k.packets)
	h := r.only()
	var seqs, turns []uint64
	for _, s := range h.segments {
		seqs, turns = append(seqs, s.Seq), append(turns, uint64(s.Turn))
	}
	if want := []uint64{0, 1, 2, 4, 5}; !slices.Equal(seqs, want) || !slices.Equal(turns, want) || c.Holes != 1 || c.HoleBytes != 6 {
		t.Errorf("numbers %v, turns %v, want %v; %+v", seqs, turns, want, c)
	}
	if s := h.segments[4]; s.Off != 12 {
		t.Errorf("the third answer is at %d", s.Off)
	}
}

// TestMissedEnd: what is missing at the end shows in Closed, also where the connection is only reset.
func TestMissedEnd(t *testing.T) {
	for _, rst := range []bool{false, true} {
		k := newTalk(t, clientEnd, serverEnd).open().say(0, "request", 7).say(1, "answer", 6)
		k.packets = k.packets[:len(k.packets)-1]
		k.add(0, segment{})
		if rst {
			k.add(0, segment{rst: true})
		} else {
			k.end()
		}
		r, _ := run(t, packet.Config{}, k.packets)
		if c := r.only().closed; c == nil || c.Seq != 2 || c.Received != 6 || c.Sent != 7 || !c.Turns || c.Turn != 1 {
			t.Errorf("reset %v: closed %+v", rst, c)
		}
	}
}

// TestSentAgain: bytes that nobody has acknowledged are waited for, and the bytes behind them have the time at which they
// could be read.
func TestSentAgain(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open().say(0, "request", 7).say(1, "one two three", 5)
	p := k.packets[4] // the answer's first segment
	k.packets = slices.Delete(k.packets, 4, 5)
	p.Time = k.at.Add(3 * time.Second)
	p.Data[5] = 99 // IP's identification
	k.packets = append(k.packets, p)
	r, c := run(t, packet.Config{}, k.packets)
	h := r.only()
	if h.stream(event.Received) != "one two three" || c.Holes != 0 || c.Retransmits != 1 {
		t.Errorf("%q, %+v", h.stream(event.Received), c)
	}
	for _, s := range h.segments[1:] {
		if !s.Time.Equal(p.Time) {
			t.Errorf("%q has time %v, want %v", s.Data, s.Time, p.Time)
		}
	}
	// Not for ever: perhaps only one direction is captured.
	k.packets = append(k.packets[:len(k.packets)-1], raw(epoch.Add(9*time.Second), nil), raw(epoch.Add(11*time.Second), nil))
	for i, want := range []string{"", "_____wo three"} {
		a := newRecorder(t)
		as := packet.New(packet.Config{}, a.handle)
		for j := range k.packets[:len(k.packets)-1+i] {
			as.Packet(&k.packets[j])
			as.Tick(k.packets[j].Time)
		}
		if got := a.only().stream(event.Received); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestAcknowledged: bytes that the other end has will not be sent again, so they are waited for only as long as interfaces of one
// host may be apart. Should they come later still, they are welcome, but nobody can number the turns any more.
func TestAcknowledged(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open().say(0, "request", 7).say(1, "answer", 6).say(0, "again", 5)
	late := k.packets[4]
	k.packets = slices.Delete(k.packets, 4, 5)
	r := newRecorder(t)
	a := packet.New(packet.Config{}, r.handle)
	for i := range k.packets {
		a.Packet(&k.packets[i])
	}
	h := r.only()
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{40 * time.Millisecond, "request"}, {60 * time.Millisecond, "requestagain"}} {
		a.Tick(k.at.Add(c.after))
		if got := h.stream(event.Sent); got != c.want {
			t.Errorf("after %v: %q, want %q", c.after, got, c.want)
		}
	}
	if s := h.segments[1]; s.Seq != 2 || s.Turn != 2 || !s.Turns {
		t.Errorf("%+v", s)
	}
	late.Time = k.at.Add(100 * time.Millisecond)
	a.Packet(&late)
	if s := h.segments[2]; string(s.Data) != "answer" || s.Off != 0 || s.Seq != 3 || s.Turns {
		t.Errorf("%+v", s)
	}
	if c := a.Counters(); c.Holes != 1 {
		t.Errorf("%+v", c)
	}
}

// TestExistingKeepAlive: a probe that is the first to be seen of a direction is one number short of its bytes.
func TestExistingKeepAlive(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open()
	k.packets = nil
	k.next[0]--
	k.add(0, segment{})
	k.next[0]++
	k.acked[1] = k.next[0]
	k.add(1, segment{})
	k.say(0, "request", 7).say(1, "answer", 6)
	r, c := run(t, packet.Config{}, k.packets)
	h := r.only()
	if h.stream(event.Sent) != "request" || h.stream(event.Received) != "answer" || c.Holes != 0 || h.segments[0].Off != 0 {
		t.Errorf("%q, %q, %+v", h.stream(event.Sent), h.stream(event.Received), c)
	}
}

// TestAcknowledgedHole is the same within one direction.
func TestAcknowledgedHole(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open().say(0, "one two three", 4)
	k.packets = slices.Delete(k.packets, 4, 5)
	k.add(1, segment{}) // has it all
	r := newRecorder(t)
	a := packet.New(packet.Config{}, r.handle)
	for i := range k.packets {
		a.Packet(&k.packets[i])
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{40 * time.Millisecond, "one "}, {60 * time.Millisecond, "one ____three"}} {
		a.Tick(k.at.Add(c.after))
		if got := r.only().stream(event.Sent); got != c.want {
			t.Errorf("after %v: %q, want %q", c.after, got, c.want)
		}
	}
}
