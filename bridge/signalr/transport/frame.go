package transport

import "encoding/binary"

// FrameSpace is how many bytes [Seal] needs in front of the payload: the
// longest header of an unmasked frame (RFC 6455 §5.2).
const FrameSpace = 10

// The kinds of frames that a server sends (RFC 6455 §11.8).
const (
	Text   byte = 1
	Binary byte = 2

	opClose byte = 8
	opPong  byte = 10
)

// The close codes in use (RFC 6455 §7.4.1).
const (
	CloseNormal      = 1000
	CloseUnsupported = 1003
	CloseTooBig      = 1009
	CloseInternal    = 1011

	closeAway = 1001
	closeNone = 1005 // what the library reports for a close frame without code
)

const final = 0x80

// Seal makes one final, unmasked frame of buf, whose first [FrameSpace] bytes
// are free for the header and whose rest is the payload. The frame lies in
// buf's memory; payload gives where its payload begins.
func Seal(buf []byte, kind byte) (frame []byte, payload int) {
	n := len(buf) - FrameSpace
	var start int
	switch {
	case n < 126:
		start = FrameSpace - 2
		buf[start+1] = byte(n)
	case n < 1<<16:
		start = FrameSpace - 4
		buf[start+1] = 126
		binary.BigEndian.PutUint16(buf[start+2:], uint16(n))
	default:
		start = FrameSpace - 10
		buf[start+1] = 127
		binary.BigEndian.PutUint64(buf[start+2:], uint64(n))
	}
	buf[start] = final | kind
	return buf[start:], FrameSpace - start
}

// CloseFrame is a close frame with a code.
func CloseFrame(code int) []byte {
	return []byte{final | opClose, 2, byte(code >> 8), byte(code)}
}

// CloseReply is the answer to a close frame with the given code: the same
// code, or 1000 when there was none. (The library's own answer to a frame
// without a code has none either, which the vendor's client takes for an error.)
func CloseReply(code int) []byte {
	if code == closeNone {
		code = CloseNormal
	}
	return CloseFrame(code)
}

// Leaving says whether a client that closes with this code has no more need of
// its connection: it said so, it gave no reason, or its page is gone.
func Leaving(code int) bool {
	return code == CloseNormal || code == closeAway || code == closeNone
}

// PongFrame is the answer to a ping with the given data, at most 125 bytes.
func PongFrame(data string) []byte {
	return append([]byte{final | opPong, byte(len(data))}, data...)
}

// Unseal is the payload of a frame that [Seal] made.
func Unseal(frame []byte) (payload []byte) {
	unframe(frame, func(p []byte) { payload = p })
	return payload
}

// unframe hands the payload of each data frame to take, in order, and says
// whether there was a close frame. It reads what [Seal] and the others here
// make: whole, final, unmasked frames.
func unframe(frames []byte, take func(payload []byte)) (closed bool) {
	for len(frames) >= 2 {
		kind, n, start := frames[0]&^final, int(frames[1]), 2
		switch n {
		case 126:
			n, start = int(binary.BigEndian.Uint16(frames[2:])), 4
		case 127:
			n, start = int(binary.BigEndian.Uint64(frames[2:])), 10
		}
		switch kind {
		case Text, Binary:
			take(frames[start : start+n])
		case opClose:
			return true
		}
		frames = frames[start+n:]
	}
	return false
}
