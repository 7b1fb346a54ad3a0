package protocol

import (
	"encoding/binary"
	"math/bits"
)

// Each byte of a word holds the same.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// clean counts the bytes at the beginning of b that stand for themselves in a
// JSON string: all but the quote, the backslash and control characters. It
// looks at many at a time, because texts are most of what messages are made
// of.
func clean(b []byte) int {
	i := 0
	for ; len(b) >= i+32; i += 32 {
		p := b[i : i+32 : i+32]
		w0, w1 := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
		w2, w3 := binary.LittleEndian.Uint64(p[16:]), binary.LittleEndian.Uint64(p[24:])
		if special(w0)|special(w1)|special(w2)|special(w3) != 0 {
			break
		}
	}
	for ; len(b) >= i+8; i += 8 {
		if found := special(binary.LittleEndian.Uint64(b[i:])); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// special marks, by its highest bit, the first byte of w that does not stand for
// itself. The borrow of that byte can make later ones look so, never the other
// way round. The highest bit of w itself says that the byte is none of them, and
// that of a difference that it was less.
func special(w uint64) uint64 {
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((w - ones*0x20) | (quote - ones) | (slash - ones)) &^ w & highs
}
