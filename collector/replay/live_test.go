package replay_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
	"github.com/toposcope/toposcope/collector/replay"
)

// The test runs itself as client and server, each in a network namespace of its own.
const roleVariable = "TOPOSCOPE_REPLAY_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "server":
		err = runServer()
	case "client":
		err = runClient()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// What is exchanged: on each connection so many requests of random bytes, each answered with random bytes; both follow from
// the number of the connection.
const (
	liveConns    = 12
	liveRequests = 6
	livePort     = 7000
)

// dialogue is what the ends of connection n say.
func dialogue(n int) (requests, answers [][]byte) {
	r := rand.New(rand.NewPCG(uint64(n), 99))
	random := func(size int) []byte {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for range liveRequests {
		requests = append(requests, random(1+r.IntN(20_000)))
		answers = append(answers, random(1+r.IntN(150_000)))
	}
	return requests, answers
}

func runServer() error {
	l, err := net.Listen("tcp", fmt.Sprint("10.99.2.2:", livePort))
	if err != nil {
		return err
	}
	fmt.Println("listening")
	var all sync.WaitGroup
	for range liveConns {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		all.Go(func() {
			defer c.Close()
			in := bufio.NewReader(c)
			var n uint32
			if binary.Read(in, binary.BigEndian, &n) != nil {
				return
			}
			requests, answers := dialogue(int(n))
			for i := range requests {
				if _, err := io.ReadFull(in, requests[i]); err != nil {
					return
				}
				if _, err := c.Write(answers[i]); err != nil {
					return
				}
			}
			_, _ = in.ReadByte() // the client closes first
		})
	}
	all.Wait()
	return nil
}

func runClient() error {
	errs := make(chan error, liveConns)
	for n := range liveConns {
		go func() {
			errs <- func() error {
				c, err := net.Dial("tcp", fmt.Sprint("10.99.2.2:", livePort))
				if err != nil {
					return err
				}
				defer c.Close()
				requests, answers := dialogue(n)
				requests[0] = append(binary.BigEndian.AppendUint32(nil, uint32(n)), requests[0]...)
				for i := range requests {
					if _, err := c.Write(requests[i]); err != nil {
						return err
					}
					if _, err := io.ReadFull(c, answers[i]); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range liveConns {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

// record plays the dialogues over the network and returns the captures of its three places, and how many segments the ends had
// to send again.
func record(t *testing.T) (captures map[string]string, resent uint64) {
	t.Helper()
	n := newNetwork(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	dir := t.TempDir()
	files := map[string]string{"client": "client.pcap", "router": "router.pcap", "server": "server.pcap"}
	for k := range files {
		files[k] = filepath.Join(dir, files[k])
	}
	stops := []func(){
		n.capture("c", "eth0", files["client"]), n.capture("r", "any", files["router"]), n.capture("s", "eth0", files["server"], "--nano"),
	}
	server := n.run(ctx, "server")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := n.run(ctx, "client").Run(); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Fatal(err)
	}
	for n.busy("c") || n.busy("s") { // a FIN may have to be sent again
		if ctx.Err() != nil {
			t.Fatal("connections do not end")
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond) // for tcpdump to read what there is
	for _, stop := range stops {
		stop()
	}
	return files, n.resent("c") + n.resent("s")
}

// streams collects what connections carried.
type streams struct {
	t       *testing.T
	open    map[event.ConnID]*[2]bytes.Buffer
	all     []*[2]bytes.Buffer
	closed  int
	resent  uint64
	unknown int
}

func (s *streams) Tick(time.Time) {}

func (s *streams) Handle(ev event.Event) {
	switch e := ev.(type) {
	case *event.Opened:
		if e.Role != event.RoleClient || e.Flow.Remote.Port() != livePort {
			s.unknown++
		}
		s.open[e.Conn] = &[2]bytes.Buffer{}
		s.all = append(s.all, s.open[e.Conn])
	case *event.Segment:
		b := &s.open[e.Conn][e.Dir]
		if uint64(b.Len()) != e.Off || e.Size != len(e.Data) {
			s.t.Fatalf("%v at %d after %d bytes", e.Dir, e.Off, b.Len())
		}
		b.Write(e.Data)
	case *event.Closed:
		s.closed++
		s.resent += e.Stats.Retransmits
	}
}

// TestNetwork: connections over a network that loses packets, captured at either end and on the way, where each packet is seen on
// two interfaces: every byte is there once, whatever was lost and sent again.
func TestNetwork(t *testing.T) {
	files, resent := record(t)
	for place, file := range files {
		f, err := replay.Open(t.Context(), file, replay.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		s := streams{t: t, open: map[event.ConnID]*[2]bytes.Buffer{}}
		p := replay.New(f, packet.Config{}, &s)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := p.Counters()
		if len(s.all) != liveConns || s.closed != liveConns || s.unknown != 0 || c.Holes != 0 || c.Malformed != 0 {
			t.Errorf("%s: %d connections, %d closed, %+v", place, len(s.all), s.closed, c)
		}
		for _, b := range s.all {
			n := int(binary.BigEndian.Uint32(b[event.Sent].Bytes()))
			requests, answers := dialogue(n)
			if !bytes.Equal(b[event.Sent].Bytes()[4:], slices.Concat(requests...)) || !bytes.Equal(b[event.Received].Bytes(), slices.Concat(answers...)) {
				t.Errorf("%s: the bytes of connection %d differ", place, n)
			}
		}
		if copies := c.Duplicates > c.Segments/2; copies != (place == "router") {
			t.Errorf("%s: %d copies of %d segments", place, c.Duplicates, c.Segments)
		}
		t.Logf("%s: %d packets, %d segments, %d reordered, %d sent again, %d copies", place, c.Packets, c.Segments, c.Reordered, s.resent, c.Duplicates)
		if place == "router" && (float64(s.resent) < 0.95*float64(resent) || s.resent > resent) {
			t.Errorf("%d segments were sent again, %d by the kernels' count", s.resent, resent)
		}
		compare(t, place, file, &s)
	}
}

// compare asks tshark about the same file. How often a segment was sent again it only guesses, so that is not compared.
func compare(t *testing.T, place, file string, s *streams) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skipf("the comparison with tshark: %v", err)
	}
	tshark := func(args ...string) []string {
		cmd := exec.Command("tshark", append([]string{"-n", "-r", file}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		return strings.Fields(string(out))
	}
	// The highest relative number of each direction of each stream is its length, SYN and FIN included.
	ends := map[string]int{}
	rows := tshark("-T", "fields", "-E", "separator=;", "-e", "tcp.stream", "-e", "tcp.srcport", "-e", "tcp.nxtseq")
	for _, row := range rows {
		f := strings.Split(row, ";")
		direction := f[0] + map[bool]string{true: " answers"}[f[1] == strconv.Itoa(livePort)]
		n, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatalf("tshark: %q", row)
		}
		ends[direction] = max(ends[direction], n)
	}
	var theirs, ours []int
	for _, n := range ends {
		theirs = append(theirs, n)
	}
	for _, b := range s.all {
		ours = append(ours, b[0].Len()+2, b[1].Len()+2)
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	if !slices.Equal(theirs, ours) {
		t.Errorf("%s: tshark has streams of %v bytes, we %v", place, theirs, ours)
	}
	if missing := tshark("-Y", "tcp.analysis.ack_lost_segment", "-T", "fields", "-e", "frame.number"); len(missing) != 0 {
		t.Errorf("%s: tshark misses bytes before frames %v", place, missing)
	}
}
