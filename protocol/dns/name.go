package dns

import "strings"

// Bounds of names.
const (
	// maxName is the longest a name may be on the wire, with its length bytes and the root (RFC 1035 section 3.1).
	maxName = 255
	// maxText is the longest a name is shown; a host's never is longer.
	maxText = 255
	// maxHops bounds the compression pointers of a name. Each must point further back, so that there are no loops; a name of 255
	// octets has at most 127 labels, and no use for more pointers.
	maxHops = 127
)

// Hashing is FNV-1a's, over 64 bits.
const (
	hashBasis = 14695981039346656037
	hashPrime = 1099511628211
)

// lower is every byte in lower case, and plain those that are shown as they are, in lower case; 0 for the others.
var lower, plain = func() (lower, plain [256]byte) {
	for i := range lower {
		c := byte(i)
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
		if ' ' < c && c <= '~' && !strings.ContainsRune(`.'@;()"\`, rune(c)) {
			plain[i] = c
		}
	}
	return lower, plain
}()

// readName checks the name at off and returns a hash of it, the same for any case and compression, and the offset of what
// follows. short: the message ends within the name; ok is false then too.
func readName(msg []byte, off int) (hash uint64, next int, ok, short bool) {
	hash = hashBasis
	start, length, hops := off, 1, 0
	for off < len(msg) {
		b := int(msg[off])
		switch {
		case b == 0:
			if next == 0 {
				next = off + 1
			}
			return hash, next, true, false
		case b < 0x40:
			end := off + 1 + b
			if length += b + 1; length > maxName {
				return 0, 0, false, false
			}
			if end >= len(msg) {
				return 0, 0, false, true
			}
			for _, c := range msg[off:end] {
				hash = (hash ^ uint64(lower[c])) * hashPrime
			}
			off = end
		case b >= 0xc0:
			if off+1 >= len(msg) {
				return 0, 0, false, true
			}
			if next == 0 {
				next = off + 2
			}
			target := b&0x3f<<8 | int(msg[off+1])
			if hops++; hops > maxHops || target >= start || target < headerLen {
				return 0, 0, false, false
			}
			start, off = target, target
		default: // 0x40 and 0x80 are not in use
			return 0, 0, false, false
		}
	}
	return 0, 0, false, true
}

// skipName returns the offset of what follows the name at off. It looks at a pointer, not at what that points to.
func skipName(msg []byte, off int) (next int, ok, short bool) {
	for start, at := off, off; at < len(msg); {
		b := int(msg[at])
		switch {
		case b == 0:
			return at + 1, true, false
		case b < 0x40:
			at += 1 + b
		case b >= 0xc0:
			if at+1 >= len(msg) {
				return 0, false, true
			}
			target := b&0x3f<<8 | int(msg[at+1])
			return at + 2, target < start && target >= headerLen, false
		default:
			return 0, false, false
		}
		if at-start >= maxName {
			return 0, false, false
		}
	}
	return 0, false, true
}

// text writes the name at off, which readName has found right, into buf as the package's comment says, and returns what it wrote.
func text(buf *[maxText]byte, msg []byte, off int) []byte {
	n := 0
	for {
		b := int(msg[off])
		if b >= 0xc0 {
			off = b&0x3f<<8 | int(msg[off+1])
			continue
		}
		if b == 0 {
			break
		}
		if n > 0 {
			if n == maxText {
				return buf[:n]
			}
			buf[n] = '.'
			n++
		}
		for _, c := range msg[off+1 : off+1+b] {
			if shown := plain[c]; shown != 0 && n < maxText {
				buf[n] = shown
				n++
				continue
			}
			more := escape(buf[n:], c)
			if more == 0 {
				return buf[:n]
			}
			n += more
		}
		off += 1 + b
	}
	if n == 0 {
		buf[0], n = '.', 1
	}
	return buf[:n]
}

// escape writes a byte that is not shown as it is, and returns how many characters it took: none when there is no room.
func escape(dst []byte, c byte) int {
	switch {
	case c >= ' ' && c <= '~':
		if len(dst) < 2 {
			return 0
		}
		dst[0], dst[1] = '\\', c
		return 2
	case len(dst) < 4:
		return 0
	}
	dst[0], dst[1], dst[2], dst[3] = '\\', '0'+c/100, '0'+c/10%10, '0'+c%10
	return 4
}
