package protocol

import "encoding/binary"

// packKind is what a MessagePack value is.
type packKind uint8

const (
	kindNil packKind = iota
	kindBool
	kindInt // signed, of any width
	kindUint
	kindFloat
	kindString
	kindBinary
	kindArray
	kindMap
	kindExt
)

// First bytes of MessagePack values (spec.md, Formats).
const (
	packNil      = 0xc0
	packNever    = 0xc1
	packFixMap   = 0x80
	packFixArray = 0x90
	packFixStr   = 0xa0
	packNegative = 0xe0
)

// head is the first part of a MessagePack value.
type head struct {
	kind packKind
	size int // bytes of the head itself
	n    int // bytes behind the head; elements of an array, pairs of a map
}

// shape is one row of the table of formats: how many bytes of length or fixed
// data come behind the first byte.
type shape struct {
	kind  packKind
	width int // bytes of the length field
	fixed int // bytes of data when there is no length field
}

// shapes has the formats from 0xc0 to 0xdf.
var shapes = [32]shape{
	0x00: {kind: kindNil}, 0x02: {kind: kindBool}, 0x03: {kind: kindBool},
	0x04: {kindBinary, 1, 0}, 0x05: {kindBinary, 2, 0}, 0x06: {kindBinary, 4, 0},
	0x07: {kindExt, 1, 0}, 0x08: {kindExt, 2, 0}, 0x09: {kindExt, 4, 0},
	0x0a: {kindFloat, 0, 4}, 0x0b: {kindFloat, 0, 8},
	0x0c: {kindUint, 0, 1}, 0x0d: {kindUint, 0, 2}, 0x0e: {kindUint, 0, 4}, 0x0f: {kindUint, 0, 8},
	0x10: {kindInt, 0, 1}, 0x11: {kindInt, 0, 2}, 0x12: {kindInt, 0, 4}, 0x13: {kindInt, 0, 8},
	0x14: {kindExt, 0, 1}, 0x15: {kindExt, 0, 2}, 0x16: {kindExt, 0, 4}, 0x17: {kindExt, 0, 8}, 0x18: {kindExt, 0, 16},
	0x19: {kindString, 1, 0}, 0x1a: {kindString, 2, 0}, 0x1b: {kindString, 4, 0},
	0x1c: {kindArray, 2, 0}, 0x1d: {kindArray, 4, 0}, 0x1e: {kindMap, 2, 0}, 0x1f: {kindMap, 4, 0},
}

// readHead reads the head of the value at the beginning of b and makes sure
// that b can hold the rest: an array of n elements needs n more bytes at least.
func readHead(b []byte) (head, error) {
	if len(b) == 0 {
		return head{}, errShort
	}
	h, err := firstByte(b)
	if err != nil {
		return h, err
	}
	left := len(b) - h.size
	if h.kind == kindMap {
		left /= 2
	}
	if h.n < 0 || h.n > left {
		return h, errShort
	}
	return h, nil
}

var errShort = invalid("message ends inside of a value")

func firstByte(b []byte) (head, error) {
	switch c := b[0]; {
	case c < packFixMap:
		return head{kindInt, 1, 0}, nil
	case c < packFixArray:
		return head{kindMap, 1, int(c & 0x0f)}, nil
	case c < packFixStr:
		return head{kindArray, 1, int(c & 0x0f)}, nil
	case c < packNil:
		return head{kindString, 1, int(c & 0x1f)}, nil
	case c >= packNegative:
		return head{kindInt, 1, 0}, nil
	case c == packNever:
		return head{}, invalid("byte 0xc1 begins no value")
	default:
		return tabled(b, shapes[c-packNil])
	}
}

// tabled reads the head of a value whose format is in the table.
func tabled(b []byte, s shape) (head, error) {
	h := head{s.kind, 1 + s.width, s.fixed}
	if len(b) < h.size {
		return h, errShort
	}
	switch s.width {
	case 1:
		h.n = int(b[1])
	case 2:
		h.n = int(binary.BigEndian.Uint16(b[1:]))
	case 4:
		h.n = int(binary.BigEndian.Uint32(b[1:]))
	}
	if s.kind == kindExt { // its type
		if h.size++; len(b) < h.size {
			return h, errShort
		}
	}
	return h, nil
}

// checkPack makes sure that b begins with a whole value, nested at most depth
// levels, and returns the value's length.
func checkPack(b []byte, depth int) (int, error) {
	h, err := readHead(b)
	if err != nil {
		return 0, err
	}
	if h.kind != kindArray && h.kind != kindMap {
		return h.size + h.n, nil
	}
	if depth == 0 {
		return 0, invalid("message is nested deeper than %d", MaxDepth)
	}
	elements := h.n
	if h.kind == kindMap {
		elements *= 2
	}
	at := h.size
	for range elements {
		n, err := checkPack(b[at:], depth-1)
		if err != nil {
			return 0, err
		}
		at += n
	}
	return at, nil
}

// packLen is the length of the value at the beginning of b, which checkPack has
// accepted.
func packLen(b []byte) int {
	n, err := checkPack(b, MaxDepth)
	if err != nil {
		return len(b)
	}
	return n
}
