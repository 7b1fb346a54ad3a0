package protocol

import "encoding/binary"

// Each byte of a word holds the same.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// clean counts the bytes at the beginning of b that stand for themselves in a
// JSON string: all but the quote, the backslash and control characters. It
// looks at eight at a time, because texts are most of what messages are made
// of.
func clean(b []byte) int {
	i := 0
	for ; len(b) >= i+8; i += 8 {
		if special(binary.LittleEndian.Uint64(b[i:])) {
			break
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// special says whether one of the bytes of w may be one that does not stand for
// itself. The borrow of one byte can make the next one look so, never the other
// way round.
func special(w uint64) bool {
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((w-ones*0x20)&^w|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0
}
