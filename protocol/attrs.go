package protocol

// Key is the name of an attribute in OpenTelemetry's semantic conventions.
type Key string

// Unknown is the value of an attribute that the protocol refers to and capture cannot resolve; see Message.Unresolved.
const Unknown = "unknown"

// Keys that metrics and pages read. A protocol may set further ones; they are shown with an exchange and stay off labels.
const (
	HTTPRequestMethod      Key = "http.request.method"
	HTTPResponseStatusCode Key = "http.response.status_code"
	URLPath                Key = "url.path"
	HTTPMethodOriginal     Key = "http.request.method_original"
	ServerAddress          Key = "server.address"
	ServerPort             Key = "server.port"
	URLQuery               Key = "url.query"
	NetworkProtocolVersion Key = "network.protocol.version"
	UserAgent              Key = "user_agent.original"
	Traceparent            Key = "traceparent"
	RPCSystem              Key = "rpc.system.name"
	RPCMethod              Key = "rpc.method"
	RPCStatusCode          Key = "rpc.response.status_code"
	RPCRequestMessages     Key = "rpc.request.messages"
	RPCResponseMessages    Key = "rpc.response.messages"
	DBSystem               Key = "db.system.name"
	DBOperation            Key = "db.operation.name"
	DBCollection           Key = "db.collection.name"
	DBNamespace            Key = "db.namespace"
	DBStatusCode           Key = "db.response.status_code"
	DBQueryText            Key = "db.query.text" // see Options
	MessagingSystem        Key = "messaging.system"
	MessagingOperation     Key = "messaging.operation.name"
	MessagingDestination   Key = "messaging.destination.name"
	DNSQuestionName        Key = "dns.question.name"
	DNSQuestionType        Key = "dns.question.type"
	DNSResponseCode        Key = "dns.response_code"
	// DNSAnswers are the addresses of an answer, comma-separated; DNSAnswersTTL is the shortest time, in seconds, for which one of
	// the records that lead to them holds.
	DNSAnswers    Key = "dns.answers"
	DNSAnswersTTL Key = "dns.answers.ttl"
)

type attr struct {
	key        Key
	start, end uint32
}

// Attrs are the attributes of a message. The zero value is empty and ready; memory is kept over Reset, so that a steady
// stream of messages does not allocate.
type Attrs struct {
	list []attr
	buf  []byte
}

// Reset empties a.
func (a *Attrs) Reset() { a.list, a.buf = a.list[:0], a.buf[:0] }

// Set adds k with a copy of v; the last value set wins.
func (a *Attrs) Set(k Key, v []byte) {
	start := len(a.buf)
	a.buf = append(a.buf, v...)
	a.put(k, start)
}

// Add is Set for a k that is known not to be set, which saves looking for it.
func (a *Attrs) Add(k Key, v []byte) {
	start := len(a.buf)
	a.buf = append(a.buf, v...)
	a.list = append(a.list, attr{k, uint32(start), uint32(len(a.buf))})
}

// AddString is Add for a string.
func (a *Attrs) AddString(k Key, v string) {
	start := len(a.buf)
	a.buf = append(a.buf, v...)
	a.list = append(a.list, attr{k, uint32(start), uint32(len(a.buf))})
}

// SetString is Set for a string.
func (a *Attrs) SetString(k Key, v string) {
	start := len(a.buf)
	a.buf = append(a.buf, v...)
	a.put(k, start)
}

func (a *Attrs) put(k Key, start int) {
	for i := range a.list {
		if a.list[i].key == k {
			a.list[i].start, a.list[i].end = uint32(start), uint32(len(a.buf))
			return
		}
	}
	a.list = append(a.list, attr{k, uint32(start), uint32(len(a.buf))})
}

// Get returns k's value, nil when it is not set. The bytes are valid until the next Set or Reset.
func (a *Attrs) Get(k Key) []byte {
	for i := range a.list {
		if a.list[i].key == k {
			return a.buf[a.list[i].start:a.list[i].end:a.list[i].end]
		}
	}
	return nil
}

// Len is the number of attributes.
func (a *Attrs) Len() int { return len(a.list) }

// At is the i-th attribute in the order of their first Set.
func (a *Attrs) At(i int) (Key, []byte) {
	t := a.list[i]
	return t.key, a.buf[t.start:t.end:t.end]
}

// CopyFrom makes a equal to b without sharing memory.
func (a *Attrs) CopyFrom(b *Attrs) {
	a.list = append(a.list[:0], b.list...)
	a.buf = append(a.buf[:0], b.buf...)
}
