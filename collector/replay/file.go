package replay

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/toposcope/toposcope/collector/packet"
)

// Options of Open.
type Options struct {
	// Follow waits at the end of the file for more, until the context ends.
	Follow bool
}

// Stats tell what is to be known of a file beside its packets.
type Stats struct {
	Packets uint64
	// Truncated is set when the file ends within a packet: its writer was stopped, or has not finished.
	Truncated bool
	// Dropped are packets that never reached the file, by its own account (pcapng's interface statistics).
	Dropped uint64
	// BadTimes are packets whose time makes no sense; they have that of the packet before.
	BadTimes uint64
}

// File is an open capture.
type File struct {
	name   string
	file   *os.File
	size   int64
	read   atomic.Int64
	in     *bufio.Reader
	format format
	stats  Stats
	last   time.Time
	idle   func() // called while there is nothing to read, may be nil
}

// format reads the packets of one file format. An error of io.EOF is the end between two packets, io.ErrUnexpectedEOF one
// within.
type format interface {
	next(f *File, p *packet.Packet) error
}

const (
	// bufferSize is what is read at a time; a packet that fits is not copied.
	bufferSize = 512 << 10
	// maxPacket is the longest packet that is believed: libpcap's own limit is 256 KiB but for a few odd devices.
	maxPacket = 16 << 20
)

// Magic numbers, as a little-endian reader sees them.
const (
	magicMicros        = 0xa1b2c3d4
	magicNanos         = 0xa1b23c4d
	magicMicrosSwapped = 0xd4c3b2a1
	magicNanosSwapped  = 0x4d3cb2a1
	magicSection       = 0x0a0d0d0a
	magicGzip          = 0x8b1f // the first two bytes
)

// Open opens a capture file; "-" is standard input. Its errors are one line and name the file. ctx ends waiting for more.
func Open(ctx context.Context, name string, o Options) (*File, error) {
	f := &File{name: "standard input", file: os.Stdin, last: time.Unix(0, 0)}
	if name != "-" {
		f.name = name
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		f.file = file
	}
	if err := f.start(ctx, o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *File) start(ctx context.Context, o Options) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder, not a capture", f.name)
	}
	if info.Mode().IsRegular() {
		f.size = info.Size()
	}
	var r io.Reader = counted{f}
	if o.Follow || !info.Mode().IsRegular() {
		r = f.live(ctx, o.Follow)
	}
	return f.begin(r)
}

// begin reads what r begins with.
func (f *File) begin(r io.Reader) error {
	f.in = bufio.NewReaderSize(r, bufferSize)
	magic, err := f.in.Peek(4)
	if len(magic) >= 2 && binary.LittleEndian.Uint16(magic) == magicGzip {
		z, err := gzip.NewReader(f.in)
		if err != nil {
			return fmt.Errorf("%s: reading gzip: %w", f.name, err)
		}
		z.Multistream(false)
		f.in = bufio.NewReaderSize(&members{in: f.in, z: z}, bufferSize)
		magic, err = f.in.Peek(4)
		if err != nil && !end(err) {
			return fmt.Errorf("%s: reading gzip: %w", f.name, err)
		}
	} else if err != nil && !end(err) {
		return fmt.Errorf("reading %s: %w", f.name, err)
	}
	return f.recognise(magic)
}

func end(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// recognise chooses the format by a file's first bytes.
func (f *File) recognise(magic []byte) (err error) {
	switch {
	case len(magic) == 0:
		return fmt.Errorf("%s is empty", f.name)
	case len(magic) < 4:
		return fmt.Errorf("%s is not a capture: it has %d bytes", f.name, len(magic))
	}
	switch binary.LittleEndian.Uint32(magic) {
	case magicMicros, magicNanos, magicMicrosSwapped, magicNanosSwapped:
		f.format, err = newPcap(f)
	case magicSection:
		f.format = &pcapng{order: binary.LittleEndian}
	default:
		return fmt.Errorf("%s is not a capture: it begins like neither pcap nor pcapng", f.name)
	}
	return err
}

// Next fills p with the next packet, whose Data is valid until the next call. io.EOF is the end; any other error says in one
// line what is wrong with the file, and where.
func (f *File) Next(p *packet.Packet) error {
	err := f.format.next(f, p)
	switch {
	case err == nil:
		f.stats.Packets++
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		f.stats.Truncated = true
		return io.EOF
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return fmt.Errorf("%s, after packet %d: %w", f.name, f.stats.Packets, err)
	}
}

// Name is what the file is called in messages.
func (f *File) Name() string { return f.name }

// Stats are those so far. It is called from the goroutine that reads.
func (f *File) Stats() Stats { return f.stats }

// Progress is how many bytes of the file have been read, and how many it has; size 0: not known. It may be called from any
// goroutine.
func (f *File) Progress() (read, size int64) { return f.read.Load(), f.size }

// Close closes the file.
func (f *File) Close() error {
	if f.file == os.Stdin {
		return nil
	}
	return f.file.Close()
}

// bytes reads the next n bytes, which are valid until the next call. All of them are there, or there is an error:
// io.ErrUnexpectedEOF for less, io.EOF for none.
func (f *File) bytes(n int, buf *[]byte) ([]byte, error) {
	if n <= bufferSize {
		b, err := f.in.Peek(n)
		if len(b) == n {
			_, err = f.in.Discard(n)
			return b, err
		}
		if len(b) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	_, err := io.ReadFull(f.in, b)
	return b, err
}

// skip passes n bytes by.
func (f *File) skip(n int64) error {
	_, err := io.CopyN(io.Discard, f.in, n)
	return within(err)
}

// within makes the end of the file one within a packet.
func within(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// stamp sets p's time, to that of the packet before where it is beyond what nanoseconds since 1970 can tell.
func (f *File) stamp(p *packet.Packet, seconds, nanos int64) {
	const most = 1<<63/1_000_000_000 - 1
	if seconds < 0 || seconds > most {
		f.stats.BadTimes++
	} else {
		f.last = time.Unix(seconds, nanos)
	}
	p.Time = f.last
}

// members reads the members of a gzip file one after the other. The package's own way of doing so keeps the last bytes of one
// back until the next has come, which may be never.
type members struct {
	in    *bufio.Reader
	z     *gzip.Reader
	ended bool
}

func (m *members) Read(b []byte) (int, error) {
	for {
		if m.ended {
			if err := m.z.Reset(m.in); err != nil {
				return 0, err
			}
			m.z.Multistream(false)
			m.ended = false
		}
		n, err := m.z.Read(b)
		if errors.Is(err, io.EOF) {
			m.ended, err = true, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// counted counts what is read of the file itself.
type counted struct{ f *File }

func (c counted) Read(b []byte) (int, error) {
	n, err := c.f.file.Read(b)
	c.f.read.Add(int64(n))
	return n, err
}
