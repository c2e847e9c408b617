package protocol

// TLS record layer (RFC 8446 section 5.1, RFC 5246 section 6.2.1): type, version 3.x, length. A ciphertext may be 2^14+2048 bytes.
const (
	recordChangeCipherSpec = 20
	recordHandshake        = 22
	recordHeartbeat        = 24
	recordHeader           = 5
	maxRecord              = 1<<14 + 2048
)

// sniffTLS judges whether data begins with a TLS record: a hello, or on a connection that is under way any other.
func sniffTLS(data []byte) Sniffed {
	for i, b := range data[:min(len(data), recordHeader)] {
		switch {
		case i == 0 && (b < recordChangeCipherSpec || b > recordHeartbeat),
			i == 1 && b != 3,
			i == 2 && b > 4:
			return No
		}
	}
	if len(data) < recordHeader {
		return More
	}
	n := int(data[3])<<8 | int(data[4])
	if n == 0 || n > maxRecord {
		return No
	}
	switch data[0] {
	case recordChangeCipherSpec:
		if n != 1 {
			return No
		}
	case recordHandshake:
		return sniffHandshake(data[recordHeader:], n)
	}
	return Yes
}

// sniffHandshake judges the content of a handshake record of n bytes: a ClientHello or ServerHello must fit its own length;
// later handshake records may be encrypted and are anything.
func sniffHandshake(body []byte, n int) Sniffed {
	if len(body) == 0 {
		return More
	}
	if kind := body[0]; kind != 1 && kind != 2 {
		return Yes
	}
	if len(body) < 6 {
		return More
	}
	hello := int(body[1])<<16 | int(body[2])<<8 | int(body[3])
	if hello < 38 || hello > 1<<17 || n < 6 || body[4] != 3 {
		return No
	}
	return Yes
}
