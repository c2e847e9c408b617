package mongodb

import "strconv"

// greatestCode is the greatest error code that is believed: those of single places in the server's source have seven digits.
const greatestCode = 9_999_999

// lowCodes are the texts of most of the codes that have a name ("Error Codes" in MongoDB's manual), so that an error that comes
// often makes no garbage.
var lowCodes = func() (texts [512]string) {
	for i := range texts {
		texts[i] = strconv.Itoa(i)
	}
	return texts
}()

// codeText is a code as text; "" for one that is none.
func codeText(code int32) string {
	switch {
	case code <= 0 || code > greatestCode:
		return ""
	case int(code) < len(lowCodes):
		return lowCodes[code]
	case code == 11000: // DuplicateKey
		return "11000"
	case code == 10107: // NotWritablePrimary
		return "10107"
	case code == 16500: // requests are too many, by services that speak the protocol
		return "16500"
	}
	return strconv.Itoa(int(code))
}
