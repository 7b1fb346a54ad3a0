package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The library keeps one table of packet ids for both directions, so a client's
// SUBSCRIBE with id 1 is refused while the library's own message 1 has not been
// acknowledged, and a client's PUBLISH with that id deletes the message
// (BROKER.md row 16). The library counts its own ids up from 1. Those of
// clients are moved by half the range on the way in, and back on the way out.

const (
	idCount = 65535
	idShift = 32768
)

// shiftID moves a packet id that a client chose; 0, which is none, stays.
func shiftID(id uint16) uint16 {
	if id == 0 {
		return 0
	}
	return uint16((uint32(id)-1+idShift)%idCount) + 1
}

// unshiftID is the inverse of shiftID.
func unshiftID(id uint16) uint16 {
	if id == 0 {
		return 0
	}
	return uint16((uint32(id)-1+idCount-idShift)%idCount) + 1
}

// renames are the client's packets whose moved id is that of a message on its way
// to the client: after 32,768 messages to it, or where the client counts from
// above. They get another id until they are answered for good. There are no more
// than packets that may be unanswered. link.mu guards it.
type renames struct {
	to   map[uint16]uint16 // the client's id to ours
	from map[uint16]uint16
}

// moveID gives a packet of the client the id that the library will know it by.
func (l *link) moveID(cl *mqtt.Client, id uint16) uint16 {
	if id == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if to, ok := l.renamed.to[id]; ok {
		return to
	}
	to := shiftID(id)
	if l.renamed.from[to] == 0 && !towardsClient(cl, to) {
		return to
	}
	for n := 0; n < idCount; n++ { // from the other end: the library counts up
		if to = uint16(idCount - n); l.renamed.from[to] == 0 && unused(cl, to) {
			break
		}
	}
	if l.renamed.to == nil {
		l.renamed = renames{to: map[uint16]uint16{}, from: map[uint16]uint16{}}
	}
	l.renamed.to[id], l.renamed.from[to] = to, id
	return to
}

// towardsClient tells whether an id is that of a message to the client.
func towardsClient(cl *mqtt.Client, id uint16) bool {
	if cl.State.Inflight.Len() == 0 {
		return false
	}
	pk, ok := cl.State.Inflight.Get(id)
	return ok && (pk.FixedHeader.Type == packets.Publish || pk.FixedHeader.Type == packets.Pubrel)
}

func unused(cl *mqtt.Client, id uint16) bool {
	_, ok := cl.State.Inflight.Get(id)
	return !ok
}

// restoreID gives an acknowledgement the id that the client knows.
func (l *link) restoreID(f []byte, head int) {
	if len(f) < head+2 {
		return
	}
	id := idAt(f, head)
	from, renamed := l.renamed.from[id]
	if !renamed {
		putID(f, head, unshiftID(id))
		return
	}
	putID(f, head, from)
	if kind := kindOf(f); kind != packets.Pubrec || refuses(f, head) { // else PUBREL and PUBCOMP follow
		delete(l.renamed.from, id)
		delete(l.renamed.to, from)
	}
}

// refuses tells whether an acknowledgement of MQTT 5 is one of an error.
func refuses(f []byte, head int) bool {
	return len(f) > head+2 && f[head+2] >= packets.ErrUnspecifiedError.Code
}
