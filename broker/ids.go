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

// restoreIDs gives the acknowledgements among the packets in p, which are
// whole, the ids that the client knows.
func restoreIDs(p []byte) {
	for len(p) >= 2 {
		head, size := 1, 0
		for shift := 0; ; shift += 7 {
			if head >= len(p) || shift > 21 {
				return
			}
			c := p[head]
			size |= int(c&0x7f) << shift
			head++
			if c < 0x80 {
				break
			}
		}
		if size > len(p)-head {
			return
		}
		switch p[0] >> 4 {
		case 4, 5, 7, 9, 11: // PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK
			if size >= 2 {
				id := unshiftID(uint16(p[head])<<8 | uint16(p[head+1]))
				p[head], p[head+1] = byte(id>>8), byte(id)
			}
		}
		p = p[head+size:]
	}
}
