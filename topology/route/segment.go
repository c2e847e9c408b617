package route

import "bytes"

// Placeholders that a segment's bytes alone can call for.
const (
	id    = "{id}"
	date  = "{date}"
	email = "{email}"
)

// traits are what one pass over a segment's bytes finds out.
type traits struct {
	digits, letters, upper, hexLetters int
	// turns is how often a digit follows a letter or the other way round.
	turns   int
	dashes  int // '-' and '_'
	dots    int
	other   int // ',' and further punctuation
	percent bool
	at      int // place of '@' or "%40", -1: none
	strange bool
}

func look(b []byte) traits {
	t := traits{at: -1}
	last := byte(0)
	for i, c := range b {
		kind := byte(0)
		switch {
		case c >= '0' && c <= '9':
			t.digits++
			kind = 'd'
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			t.letters++
			kind = 'l'
			if c <= 'Z' {
				t.upper++
			}
			if c|0x20 <= 'f' {
				t.hexLetters++
			}
		case c == '-' || c == '_':
			t.dashes++
		case c == '.':
			t.dots++
		case c == '%':
			t.percent = true
			if t.at < 0 && i+2 < len(b) && b[i+1] == '4' && b[i+2] == '0' {
				t.at = i
			}
		case c == '@':
			if t.at < 0 {
				t.at = i
			}
		case c <= ' ' || c >= 0x7f || c == '{' || c == '}' || c == '"' || c == '\\' || c == '*':
			t.strange = true
		default:
			t.other++
		}
		if kind != 0 && last != 0 && kind != last {
			t.turns++
		}
		last = kind
	}
	return t
}

// placeholder is what stands for segment in a template; "" when it may be a name.
func placeholder(segment []byte) string {
	if len(segment) > maxSegment {
		return param
	}
	if word(segment) {
		return ""
	}
	if number(segment) {
		return id
	}
	t := look(segment)
	switch {
	case t.at > 0 && t.at < len(segment)-1:
		return email
	case t.strange || t.percent:
		return param
	case t.digits == 0 && t.letters < 16:
		return ""
	case isDate(segment):
		return date
	case t.other > 0:
		return listOfNumbers(segment)
	}
	if t.dots > 0 {
		if t.letters == 0 {
			if t.dots == 3 { // an IPv4 address
				return id
			}
			return ""
		}
		dot := bytes.LastIndexByte(segment, '.')
		if file := fileParam(segment[dot+1:]); file != "" && compound(segment[:dot]) {
			return file
		}
		if compound(segment) && t.digits > 3 {
			return id
		}
		return ""
	}
	if t.dashes > 0 {
		if compound(segment) || t.dashes < 4 && token(segment, t) {
			return id
		}
		return ""
	}
	if part(segment, t) {
		return id
	}
	return ""
}

// word says whether b is short and of small letters only, as most names are.
func word(b []byte) bool {
	if len(b) > 15 {
		return false
	}
	for _, c := range b {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// number says whether b is of digits only, as most identifiers are.
func number(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// listOfNumbers takes 1,2,3 and -12 for an id; anything else with punctuation may be a name.
func listOfNumbers(b []byte) string {
	for _, c := range b {
		if (c < '0' || c > '9') && c != ',' && c != '+' {
			return ""
		}
	}
	return id
}

// compound says whether b, words joined by '-', '_' or '.', has an identifier among them: order-1234, cus_Nff3FeUf9V2,
// app.3f2a9c1b, web-7d9f8b6c5d-x2x4z, a UUID, a whole identifier.
func compound(b []byte) bool {
	start, last := 0, len(b)
	for i := 0; i <= last; i++ {
		if i < last && b[i] != '-' && b[i] != '_' && b[i] != '.' {
			continue
		}
		word := b[start:i]
		alone := start == 0 && i == last
		start = i + 1
		if len(word) == 0 {
			continue
		}
		t := look(word)
		if t.letters == 0 {
			if alone || t.digits >= 4 || t.digits >= 3 && i == last {
				return true
			}
			continue
		}
		if part(word, t) {
			return true
		}
	}
	return false
}

// part says whether a word without separators is an identifier.
func part(b []byte, t traits) bool {
	n := len(b)
	switch {
	case t.letters == 0:
		return true // a number
	case t.digits == 0:
		return n >= 16 && t.hexLetters == n || token(b, t)
	case n >= 8 && t.hexLetters == t.letters:
		return true // hexadecimal
	case n > 2 && b[0] == '0' && b[1]|0x20 == 'x' && t.hexLetters >= t.letters-1:
		return true
	case n >= 8 && t.turns >= 3:
		return true
	case n >= 10 && t.digits*2 >= n:
		return true
	case t.digits >= 4 && t.digits > t.letters && t.turns == 1:
		return true // A12345, INV0042
	default:
		return token(b, t)
	}
}

// token says whether b looks like base64: long, and of upper case, lower case and digits.
func token(b []byte, t traits) bool {
	lower := t.letters - t.upper
	return len(b) >= 16 && t.upper >= 2 && lower >= 2 && t.digits >= 2 && t.turns >= 2
}

// isDate recognises 2024-05-31 and 2024-05-31T10:00:00Z, and months as 2024-05.
func isDate(b []byte) bool {
	if len(b) != 7 && len(b) != 10 && (len(b) < 11 || b[10]|0x20 != 't') {
		return false
	}
	for i := range min(len(b), 10) {
		if i == 4 || i == 7 {
			if b[i] != '-' {
				return false
			}
		} else if b[i] < '0' || b[i] > '9' {
			return false
		}
	}
	return b[0] == '1' || b[0] == '2'
}

// fileParam is the placeholder of a file named by an identifier; "" for an extension that is none of the usual ones.
func fileParam(extension []byte) string {
	switch string(extension) {
	case "js":
		return "{id}.js"
	case "mjs":
		return "{id}.mjs"
	case "css":
		return "{id}.css"
	case "map":
		return "{id}.map"
	case "json":
		return "{id}.json"
	case "xml":
		return "{id}.xml"
	case "html":
		return "{id}.html"
	case "txt":
		return "{id}.txt"
	case "csv":
		return "{id}.csv"
	case "pdf":
		return "{id}.pdf"
	case "png":
		return "{id}.png"
	case "jpg":
		return "{id}.jpg"
	case "jpeg":
		return "{id}.jpeg"
	case "gif":
		return "{id}.gif"
	case "svg":
		return "{id}.svg"
	case "webp":
		return "{id}.webp"
	case "woff2":
		return "{id}.woff2"
	case "mp4":
		return "{id}.mp4"
	case "zip":
		return "{id}.zip"
	case "gz":
		return "{id}.gz"
	default:
		return ""
	}
}
