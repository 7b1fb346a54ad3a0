package broker

import "github.com/mochi-mqtt/server/v2/packets"

// The way out of a connection sees whole packets, as bytes: what the library
// encoded. These functions find their parts.

// measure answers how long the fixed header is of the packet that p begins
// with, and the whole packet; 0 and 0 where p does not hold one.
func measure(p []byte) (head, size int) {
	if head, size = announced(p); size > len(p) {
		return 0, 0
	}
	return head, size
}

// announced is measure for a packet of which p may hold a part: 0 and 0 where that
// is not all of the fixed header, or there is none so long.
func announced(p []byte) (head, size int) {
	body := 0
	for head = 1; head < len(p) && head <= 4; head++ {
		c := p[head]
		body |= int(c&0x7f) << (7 * (head - 1))
		if c < 0x80 {
			return head + 1, head + 1 + body
		}
	}
	return 0, 0
}

// setLength writes the header of a packet whose body begins at f[head], so that
// it ends there, and answers the packet. The body must be no longer than it was
// when it was encoded.
func setLength(f []byte, head int) []byte {
	kind, body := f[0], len(f)-head
	at := head
	var length [4]byte
	n := 0
	for v := body; ; n++ {
		length[n] = byte(v & 0x7f)
		if v >>= 7; v == 0 {
			break
		}
		length[n] |= 0x80
	}
	at -= n + 1
	copy(f[at:head], length[:n+1])
	f[at-1] = kind
	return f[at-1:]
}

// publishID answers where the packet id of a PUBLISH stands; 0 where it has
// none, or is cut short.
func publishID(f []byte, head int) int {
	if f[0]&0x06 == 0 || len(f) < head+2 {
		return 0
	}
	at := head + 2 + int(f[head])<<8 + int(f[head+1])
	if len(f) < at+2 {
		return 0
	}
	return at
}

func idAt(f []byte, at int) uint16 { return uint16(f[at])<<8 | uint16(f[at+1]) }

func putID(f []byte, at int, id uint16) { f[at], f[at+1] = byte(id>>8), byte(id) }

func kindOf(f []byte) byte { return f[0] >> 4 }

// acknowledges tells whether a packet of the kind answers one of the client's.
func acknowledges(kind byte) bool {
	switch kind {
	case packets.Puback, packets.Pubrec, packets.Pubcomp, packets.Suback, packets.Unsuback:
		return true
	}
	return false
}
