package protocol

// TLS record layer (RFC 8446 section 5.1, RFC 5246 section 6.2.1): type, version 3.x, length. A ciphertext may be 2^14+2048 bytes.
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22
	recordHeartbeat        = 24
	recordHeader           = 5
	maxRecord              = 1<<14 + 2048
	// leastCiphertext is what the shortest encrypted record has: a byte, or the type of the content, and a tag of 16.
	leastCiphertext = 17
)

// Messages of a handshake (RFC 8446 section 4, RFC 5246 section 7.4).
const (
	handshakeHeader      = 4
	handshakeClientHello = 1
	handshakeServerHello = 2
	leastHello           = 38
	maxHello             = 1 << 17
)

// sniffTLS judges whether data begins with a TLS record: a hello, or on a connection that is under way any other. Of the five bytes
// of a header many a binary protocol may have the same, so what a record holds must fit its length, and where its end is there,
// another must follow.
func sniffTLS(data []byte) Sniffed {
	before := byte(0) // the type of the record before
	for len(data) > 0 {
		if before == recordChangeCipherSpec && data[0] == before {
			return No // nobody says it twice, and a thousand of them would be looked at again and again
		}
		switch o := sniffRecord(data, before == recordChangeCipherSpec); {
		case o == No, o == More && before == 0:
			return o
		case o == More: // of the next record not enough is there
			return Yes
		}
		before = data[0]
		if n := recordHeader + recordLength(data); n < len(data) && before != recordHandshake {
			data = data[n:]
			continue
		}
		break
	}
	switch before {
	case 0, recordChangeCipherSpec:
		return More // six bytes alone
	default:
		return Yes
	}
}

// recordLength is the length that a record's header gives.
func recordLength(data []byte) int { return int(data[3])<<8 | int(data[4]) }

// sniffRecord judges the record that data begins with. encrypted: it may hold a message of a handshake that cannot be read.
func sniffRecord(data []byte, encrypted bool) Sniffed {
	for i, b := range data[:min(len(data), recordHeader)] {
		switch {
		case i == 0 && (b < recordChangeCipherSpec || b > recordHeartbeat),
			i == 1 && b != 3,
			i == 2 && (b > 4 || b == 0 && data[0] != recordHandshake): // no SSL 3.0 but in a hello that offers more
			return No
		}
	}
	if len(data) < recordHeader {
		return More
	}
	n := recordLength(data)
	if n == 0 || n > maxRecord {
		return No
	}
	switch data[0] {
	case recordChangeCipherSpec:
		return sniffChange(data[recordHeader:], n)
	case recordHandshake:
		if encrypted && n >= leastCiphertext {
			return Yes
		}
		return sniffHandshake(data[recordHeader:], n)
	case recordAlert:
		return sniffAlert(data[recordHeader:], n)
	}
	if n < leastCiphertext {
		return No
	}
	return Yes
}

// sniffChange judges a record of the type ChangeCipherSpec, which holds a byte of 1.
func sniffChange(body []byte, n int) Sniffed {
	switch {
	case n != 1 || len(body) > 0 && body[0] != 1:
		return No
	case len(body) == 0:
		return More
	default:
		return Yes
	}
}

// sniffAlert judges an alert: in clear it has a level of 1 or 2 and a description.
func sniffAlert(body []byte, n int) Sniffed {
	switch {
	case n >= leastCiphertext:
		return Yes
	case n != 2 || len(body) > 0 && (body[0] == 0 || body[0] > 2):
		return No
	case len(body) < n:
		return More
	default:
		return Yes
	}
}

// clearHandshake are the messages, besides hellos, that a turn under way may begin with in clear: NewSessionTicket, Certificate,
// ServerKeyExchange, CertificateRequest, ServerHelloDone, CertificateVerify, ClientKeyExchange, CertificateStatus.
const clearHandshake = 1<<4 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<15 | 1<<16 | 1<<22

// sniffHandshake judges the content of a handshake record of n bytes: the length of its first message must agree with that of the
// record. A message may go on in further records; only certificates and hellos do.
func sniffHandshake(body []byte, n int) Sniffed {
	if len(body) == 0 {
		return More
	}
	kind := body[0]
	hello := kind == handshakeClientHello || kind == handshakeServerHello
	if !hello && (kind >= 32 || clearHandshake>>kind&1 == 0) {
		return No
	}
	if len(body) < 6 {
		return More
	}
	size := int(body[1])<<16 | int(body[2])<<8 | int(body[3])
	switch {
	case hello:
		alone := kind == handshakeServerHello || size+handshakeHeader >= n // a client says nothing more
		if size < leastHello || size > maxHello || n < 6 || body[4] != 3 || body[5] > 4 || !alone {
			return No
		}
	case size > maxHello, size+handshakeHeader > n && n < 1<<10:
		return No
	}
	return Yes
}
