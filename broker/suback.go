package broker

import "github.com/mochi-mqtt/server/v2/packets"

// added are the filters that we added to a SUBSCRIBE or UNSUBSCRIBE, at its
// end. The client did not ask for them, and must not get an answer to them.
type added struct {
	id    uint16 // of the packet, as the library knows it
	count int
}

// addedTo notes that the answer to the packet in hand has so many codes too
// many. It is called on the connection's goroutine, before the answer.
func (l *link) addedTo(id uint16, count int) {
	if count == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.added = append(l.added, added{id, count})
}

// cutCodes takes the codes that answer added filters off a SUBACK or UNSUBACK.
// In 3.1.1 an UNSUBACK has none.
func (l *link) cutCodes(f []byte, head int) []byte {
	if len(l.added) == 0 || len(f) < head+2 || l.added[0].id != idAt(f, head) {
		return f
	}
	count := l.added[0].count
	if l.added = l.added[1:]; len(l.added) == 0 {
		l.added = nil
	}
	if kindOf(f) == packets.Unsuback && l.version() < 5 {
		return f
	}
	return setLength(f[:max(head+2, len(f)-count)], head)
}
