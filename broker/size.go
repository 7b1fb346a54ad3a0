package broker

import (
	"io"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// packetSizes follows where packets begin in what a client sends, so that one
// over the limit is answered before the library reads it: the library only
// closes.
//
// The first packet has a limit of its own: nobody knows yet who sends it.
type packetSizes struct {
	most  int  // bytes of the packet that is next, its header included
	later int  // and of those after it
	left  int  // bytes of the packet in hand that are still to come
	head  int  // bytes of its header that have come; 0: none
	size  int  // what they say so far of the bytes that follow
	blind bool // a length made no sense: the library will say so
}

// pass takes the next bytes. It answers how many of them come before the header
// of a packet that is too large; all of them where there is none.
func (s *packetSizes) pass(p []byte) (n int, ok bool) {
	begin := 0
	for i := 0; i < len(p) && !s.blind; {
		if s.left > 0 {
			k := min(s.left, len(p)-i)
			s.left -= k
			i += k
			continue
		}
		if s.head == 0 {
			begin, s.head, s.size = i, 1, 0
			i++
			continue
		}
		c := p[i]
		s.size |= int(c&0x7f) << (7 * (s.head - 1))
		s.head++
		i++
		switch {
		case c >= 0x80:
			s.blind = s.head > 4
		case s.head+s.size > s.most:
			return begin, false
		default:
			s.left, s.head, s.most = s.size, 0, s.later
		}
	}
	return len(p), true
}

// next is how many bytes there are to the end of the packet in hand, or of the one
// that rest begins with; within a header fewer.
func (s *packetSizes) next(rest []byte) int {
	switch {
	case s.left > 0:
		return s.left
	case s.head > 0:
		return 1
	}
	if _, size := announced(rest); size > 0 {
		return size
	}
	return max(1, len(rest)) // a part of a header, or none that makes sense
}

// whole tells whether what has come ends with a packet.
func (s *packetSizes) whole() bool { return s.left == 0 && s.head == 0 }

// tooLarge tells the client, where its protocol can, and the log. It then takes
// the rest of the packet for a moment, so that the client comes to reading.
func (l *link) tooLarge() error {
	l.b.count.tooLarge.Add(1)
	if l.id != "" {
		l.b.refuse(Dropped, whyTooLarge, l.id, l.addr)
	}
	l.b.warn("packet over the limit, connection closed", "device", l.id, "conn", l.addr)
	l.because(Closed)
	if cl := l.client.Load(); cl != nil && cl.Properties.ProtocolVersion == 5 {
		l.disconnect(packets.ErrPacketTooLarge)
		_ = l.out.readDeadline(time.Now().Add(linger))
		_, _ = io.CopyN(io.Discard, following{l}, int64(l.sizes.size))
	}
	return packets.ErrPacketTooLarge
}
