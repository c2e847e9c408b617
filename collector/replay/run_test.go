package replay_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
	"github.com/toposcope/toposcope/collector/replay"
)

// ear takes events.
type ear struct {
	segments []string
	ticks    []time.Time
	at       chan int // gets the number of segments when there is one more
}

func (e *ear) Handle(ev event.Event) {
	if s, ok := ev.(*event.Segment); ok {
		e.segments = append(e.segments, string(s.Data))
		if e.at != nil {
			e.at <- len(e.segments)
		}
	}
}

func (e *ear) Tick(now time.Time) { e.ticks = append(e.ticks, now) }

// datagram makes a raw packet.
func datagram(t testing.TB, data string) string {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
	udp := &layers.UDP{SrcPort: 40000, DstPort: 53}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ip, udp, gopacket.Payload(data)); err != nil {
		t.Fatal(err)
	}
	return string(b.Bytes())
}

// TestRun: packets' times are the clock, in steps, also where none come for long.
func TestRun(t *testing.T) {
	one, two := datagram(t, "one"), datagram(t, "two")
	name := write(t, classic(binary.LittleEndian, 0xa1b23c4d, 101, 1, got{epoch, 101, one, len(one)},
		got{epoch.Add(time.Hour), 101, two, len(two)}, got{epoch.Add(time.Minute), 101, two, len(two)}))
	f, err := replay.Open(t.Context(), name, replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var e ear
	p := replay.New(f, packet.Config{}, &e)
	err = p.Run(t.Context())
	if c := p.Counters(); err != nil || !slices.Equal(e.segments, []string{"one", "two", "two"}) || c.Datagrams != 3 {
		t.Errorf("%q, %+v, %v", e.segments, c, err)
	}
	for i, at := range e.ticks {
		step := 50 * time.Millisecond
		if i <= 300 && !at.Equal(epoch.Add(time.Duration(i)*step)) {
			t.Fatalf("tick %d is at %v", i, at)
		}
	}
	if n := len(e.ticks); n != 303 || !e.ticks[301].Equal(epoch.Add(time.Hour)) || !e.ticks[302].After(e.ticks[301]) {
		t.Errorf("%d ticks", n)
	}
	read, size := f.Progress()
	if info, _ := os.Stat(name); read != size || size != info.Size() {
		t.Errorf("%d of %d bytes read", read, size)
	}
}

// TestFollow: a file is read as it is written, in pieces that end anywhere, until the context ends.
func TestFollow(t *testing.T) {
	for _, compress := range []bool{false, true} {
		var packets []got
		want := []string{"one", "two", "three"}
		for i, text := range want {
			d := datagram(t, text)
			packets = append(packets, got{epoch.Add(time.Duration(i) * time.Second), 101, d, len(d)})
		}
		file := classic(binary.BigEndian, 0xa1b2c3d4, 101, time.Microsecond, packets...)
		if compress {
			file = zip(t, file)
		}
		name := write(t, nil)
		w, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		e := ear{at: make(chan int, len(want))}
		done := make(chan error, 1)
		go func() {
			f, err := replay.Open(ctx, name, replay.Options{Follow: true})
			if err == nil {
				defer f.Close()
				err = replay.New(f, packet.Config{}, &e).Run(ctx)
			}
			done <- err
		}()
		for len(file) > 0 {
			n := min(37, len(file))
			if _, err := w.Write(file[:n]); err != nil {
				t.Fatal(err)
			}
			file = file[n:]
			time.Sleep(time.Millisecond)
		}
		for range want {
			select {
			case <-e.at:
			case <-ctx.Done():
				t.Fatal("not all was read")
			}
		}
		cancel()
		if err := <-done; err != nil || !slices.Equal(e.segments, want) {
			t.Errorf("compressed %v: %q, %v", compress, e.segments, err)
		}
	}
}

// TestPipe: a pipe is read to its end, and time goes on while it is silent.
func TestPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := mkfifo(name); err != nil {
		t.Skip(err)
	}
	d := datagram(t, "one")
	go func() {
		w, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer w.Close()
		_, _ = w.Write(classic(binary.LittleEndian, 0xa1b2c3d4, 101, time.Microsecond, got{epoch, 101, d, len(d)}))
		time.Sleep(200 * time.Millisecond)
	}()
	f, err := replay.Open(t.Context(), name, replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var e ear
	if err := replay.New(f, packet.Config{}, &e).Run(t.Context()); err != nil || len(e.segments) != 1 || len(e.ticks) < 2 {
		t.Errorf("%q, %d ticks, %v", e.segments, len(e.ticks), err)
	}
}
