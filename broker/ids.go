package broker

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

// restoreID gives an acknowledgement the id that the client knows.
func restoreID(f []byte, head int) {
	if len(f) >= head+2 {
		putID(f, head, unshiftID(idAt(f, head)))
	}
}
