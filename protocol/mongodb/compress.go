package mongodb

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/toposcope/toposcope/protocol"
)

// Compressors, by the number that OP_COMPRESSED has for them.
const (
	byNoop = iota
	bySnappy
	byZlib
	byZstd
)

var compressorNames = [...]string{byNoop: "noop", bySnappy: "snappy", byZlib: "zlib", byZstd: "zstd"}

// maxInflated bounds what is decompressed of an answer: its outcome stands at its end. Of a request the window is enough.
const maxInflated = 64 << 10

// inflaters are the decompressors of all connections. One is in use only during a call, so there are no more than goroutines.
type inflaters struct{ pool sync.Pool }

func newInflaters() *inflaters {
	return &inflaters{pool: sync.Pool{New: func() any { return &inflater{} }}}
}

func (i *inflaters) get() *inflater {
	return i.pool.Get().(*inflater) //nolint:errcheck,forcetypeassert // the pool holds nothing else
}

// put takes an inflater back, and all that it has made.
func (i *inflaters) put(f *inflater) {
	if f != nil {
		f.in = source{}
		i.pool.Put(f)
	}
}

// inflater decompresses beginnings.
type inflater struct {
	out  [maxInflated + 1]byte
	in   source
	zlib io.ReadCloser
	zstd *zstd.Decoder
}

// source reads one piece of bytes after another.
type source struct {
	head, data []byte
	frame      [zstdHeader]byte
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if len(s.head) == 0 {
		s.head, s.data = s.data, nil
	}
	if len(s.head) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.head)
	s.head = s.head[n:]
	return n, nil
}

// ReadByte implements io.ByteReader, so that nothing buffers.
func (s *source) ReadByte() (byte, error) {
	if len(s.head) == 0 {
		s.head, s.data = s.data, nil
	}
	if len(s.head) == 0 {
		return 0, io.EOF
	}
	b := s.head[0]
	s.head = s.head[1:]
	return b, nil
}

// decompress makes msg what has been compressed in it, as far as its beginning can be told. What it holds is valid until the
// inflater is put back.
func (p *parser) decompress(msg *message) (*inflater, error) {
	in := msg.payload
	msg.packed = true
	msg.op, msg.payload = opMsg, nil
	if len(in) <= compressedLen {
		msg.unread = true
		return nil, nil
	}
	h := header{op: binary.LittleEndian.Uint32(in)}
	size := int(int32(binary.LittleEndian.Uint32(in[4:])))
	if h.op == opCompressed || headerLen+size < h.shortest() || size > maxMessage-headerLen {
		return nil, protocol.ErrSyntax
	}
	whole := len(in) == msg.size
	msg.op, msg.size = h.op, size
	by := in[8]
	if int(by) >= len(compressorNames) {
		msg.unread = true
		return nil, nil
	}
	msg.compressor = compressorNames[by]
	limit := min(size, window)
	if msg.responseTo != 0 {
		limit = min(size, maxInflated)
	}
	f := p.cfg.inflate.get()
	n, err := f.inflate(by, in[compressedLen:], size, limit+1)
	switch short := errors.Is(err, io.ErrUnexpectedEOF); {
	case err != nil && (!short || whole), n > size, n < limit && err == nil:
		p.cfg.inflate.put(f)
		return nil, protocol.ErrSyntax
	}
	msg.payload = f.out[:min(n, limit)]
	msg.short = n < limit
	msg.unread = msg.short && n < h.shortest()-headerLen
	return f, nil
}

// inflate decompresses up to limit bytes of data, of which size have been compressed, into f.out. The error is
// io.ErrUnexpectedEOF when data ends before that; of what ends as it should there is none.
func (f *inflater) inflate(by byte, data []byte, size, limit int) (n int, err error) {
	switch by {
	case byNoop:
		if n = copy(f.out[:limit], data); n < min(limit, size) {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	case bySnappy:
		return snappy(f.out[:limit], data, size)
	case byZlib:
		f.in = source{head: data}
		return f.inflateZlib(limit)
	default:
		return f.inflateZstd(data, limit)
	}
}

func (f *inflater) inflateZlib(limit int) (n int, err error) {
	if f.zlib == nil {
		f.zlib, err = zlib.NewReader(&f.in)
	} else {
		err = f.zlib.(zlib.Resetter).Reset(&f.in, nil) //nolint:errcheck,forcetypeassert // documented of every reader
	}
	if err != nil {
		return 0, eof(err)
	}
	return fill(f.zlib, f.out[:limit])
}

// Frames of zstd (RFC 8878 section 3.1.1).
const (
	zstdMagic      = "\x28\xb5\x2f\xfd"
	zstdHeader     = 6      // of a frame that has a window and nothing else
	zstdWindow     = 8 << 3 // 256 KiB: more than is ever looked back at
	zstdReserved   = 1 << 3
	zstdSingle     = 1 << 5
	zstdChecksum   = 1 << 2
	zstdDictionary = 3
)

// inflateZstd decompresses the first blocks of a frame. They are given another header than their own, which may ask for a window as
// large as the message, and memory for it.
func (f *inflater) inflateZstd(data []byte, limit int) (n int, err error) {
	if len(data) < len(zstdMagic)+1 {
		return 0, io.ErrUnexpectedEOF
	}
	d := data[len(zstdMagic)]
	if string(data[:len(zstdMagic)]) != zstdMagic || d&(zstdReserved|zstdDictionary) != 0 {
		return 0, protocol.ErrSyntax
	}
	skip := len(zstdMagic) + 1 + [...]int{0, 2, 4, 8}[d>>6]
	switch {
	case d&zstdSingle == 0:
		skip++
	case d>>6 == 0:
		skip++
	}
	if len(data) < skip {
		return 0, io.ErrUnexpectedEOF
	}
	copy(f.in.frame[:], zstdMagic)
	f.in.frame[4], f.in.frame[5] = d&zstdChecksum, zstdWindow
	f.in.head, f.in.data = f.in.frame[:], data[skip:]
	if f.zstd == nil {
		f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(1<<18), zstd.WithDecoderMaxMemory(1<<20))
		if err != nil {
			return 0, err
		}
	}
	if err = f.zstd.Reset(&f.in); err != nil {
		return 0, eof(err)
	}
	return fill(f.zstd, f.out[:limit])
}

// fill reads until p is full or r ends, which is no error.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = r.Read(p[n:])
		n += more
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// eof makes an end where there must be more one error.
func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
