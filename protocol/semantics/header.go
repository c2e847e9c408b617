package semantics

import "sync"

// Field numbers the header fields that somebody reads; all others are None.
type Field uint8

// Fields that HTTP itself reads. A Layer's own come after them; see Header.Own.
const (
	None    Field = iota
	Unnamed       // its name refers to something that was not seen
	Method
	Path
	Authority
	Scheme
	Status
	Protocol // of an extended CONNECT (RFC 8441)
	Host
	ContentType
	UserAgent
	Traceparent
	Prefer
	own
)

var names = [own]string{
	Method: ":method", Path: ":path", Authority: ":authority", Scheme: ":scheme", Status: ":status", Protocol: ":protocol",
	Host: "host", ContentType: "content-type", UserAgent: "user-agent", Traceparent: "traceparent", Prefer: "prefer",
}

// Fields knows the number of each field's name. It does not change, and may be used from any goroutine.
type Fields struct {
	numbers map[string]Field
	count   int
	layers  []Layer
	owned   [][]Field // of each layer
	headers sync.Pool // of *Header
}

// NewFields numbers the fields that HTTP and layers read.
func NewFields(layers ...Layer) *Fields {
	f := &Fields{numbers: make(map[string]Field), count: int(own), layers: layers}
	for i, name := range names {
		if name != "" {
			f.numbers[name] = Field(i)
		}
	}
	for _, l := range layers {
		var owned []Field
		for _, name := range l.Fields() {
			if f.numbers[name] == None {
				f.numbers[name] = Field(f.count)
				f.count++
			}
			owned = append(owned, f.numbers[name])
		}
		f.owned = append(f.owned, owned)
	}
	return f
}

// Number returns the number of the field of that name, which is in lower case; None when nobody reads it.
func (f *Fields) Number(name []byte) Field { return f.numbers[string(name)] }

// Layers are the layers, in the order in which they are asked.
func (f *Fields) Layers() []Layer { return f.layers }

// maxLoose bounds how many fields of a header are kept whose names are not known.
const maxLoose = 8

// Loose is a field of a header whose name refers to something that was not seen.
type Loose struct {
	// Value is nil when that is not known either.
	Value []byte
	// Ref and NameRef are its source's own marks for it and for its name.
	Ref, NameRef int64
	// Named is set by who has found out its name for certain; see Header.Name.
	Named Field
}

// Header returns an empty header that is out of use. Release takes it back.
func (f *Fields) Header() *Header {
	h, ok := f.headers.Get().(*Header)
	if !ok {
		h = f.newHeader()
	}
	h.reset()
	return h
}

// Release takes back a header that nobody uses any more.
func (f *Fields) Release(h *Header) { f.headers.Put(h) }

// Header is what is of interest in a header block, or in a head of HTTP/1. Its values are valid until the next block of the same
// direction is read.
type Header struct {
	// Unresolved is set when some field refers to something that was not seen: one that is absent may be that one.
	Unresolved bool

	fields *Fields
	values [][]byte
	own    []Field // of the layer that is being asked
	loose  []Loose
	lost   uint64 // a bit for each field of known name whose value was not seen
	buf    []byte // of a copy
}

func (f *Fields) newHeader() *Header {
	return &Header{fields: f, values: make([][]byte, f.count), loose: make([]Loose, 0, maxLoose)}
}

func (h *Header) reset() {
	clear(h.values)
	h.Unresolved, h.loose, h.lost, h.buf = false, h.loose[:0], 0, h.buf[:0]
}

// Set sets field f, unless it is set: what comes twice is malformed, or of no interest.
func (h *Header) Set(f Field, value []byte) {
	if h.values[f] == nil && f > Unnamed {
		if value == nil {
			value = empty
		}
		h.values[f] = value
	}
}

var empty = []byte{}

// AddLoose adds a field whose name is not known.
func (h *Header) AddLoose(l Loose) {
	h.Unresolved = true
	if len(h.loose) < maxLoose {
		h.loose = append(h.loose, l)
	}
}

// Lost notes that field f is there, with a value that was not seen.
func (h *Header) Lost(f Field) {
	h.Unresolved = true
	h.lost |= 1 << (f & 63)
}

// OwnLost reports whether the i-th of the layer's own fields is there with a value that was not seen.
func (h *Header) OwnLost(i int) bool { return h.lost&(1<<(h.own[i]&63)) != 0 }

// Get is the value of field f, nil when it is absent.
func (h *Header) Get(f Field) []byte { return h.values[f] }

// Own is the value of the i-th of the layer's own fields, nil when it is absent.
func (h *Header) Own(i int) []byte { return h.values[h.own[i]] }

// Loose are the fields whose names are not known, the first few of them; all reports whether there are no more.
func (h *Header) Loose() (list []Loose, all bool) { return h.loose, len(h.loose) < maxLoose }

// Name notes that the i-th loose field is, for certain, f. Its source will know it from now on.
func (h *Header) Name(i int, f Field) { h.loose[i].Named = f }

// OwnField is the number of the i-th of the layer's own fields.
func (h *Header) OwnField(i int) Field { return h.own[i] }

// For makes h answer layer i's questions.
func (h *Header) For(i int) *Header {
	h.own = h.fields.owned[i]
	return h
}

// Begins reports whether h begins a request: a field that only a request has is set.
func (h *Header) Begins() bool {
	return h.values[Method] != nil || h.values[Path] != nil || h.values[Scheme] != nil || h.values[Authority] != nil
}

// Copy returns a header like h that stays valid.
func (h *Header) Copy() *Header {
	c := h.fields.newHeader()
	n := 0
	for _, v := range h.values {
		n += len(v)
	}
	for _, l := range h.loose {
		n += len(l.Value)
	}
	c.buf = make([]byte, 0, n)
	for i, v := range h.values {
		if v != nil {
			c.values[i] = c.keep(v)
		}
	}
	for _, l := range h.loose {
		if l.Value != nil {
			l.Value = c.keep(l.Value)
		}
		c.loose = append(c.loose, l)
	}
	c.Unresolved, c.lost = h.Unresolved, h.lost
	return c
}

// Size is how many bytes the values of a copy take.
func (h *Header) Size() int { return len(h.buf) }

func (h *Header) keep(v []byte) []byte {
	start := len(h.buf)
	h.buf = append(h.buf, v...)
	return h.buf[start:len(h.buf):len(h.buf)]
}
