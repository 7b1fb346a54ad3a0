package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The packet types.
const (
	Connect     byte = 1
	Connack     byte = 2
	Publish     byte = 3
	Puback      byte = 4
	Pubrec      byte = 5
	Pubrel      byte = 6
	Pubcomp     byte = 7
	Subscribe   byte = 8
	Suback      byte = 9
	Unsubscribe byte = 10
	Unsuback    byte = 11
	Pingreq     byte = 12
	Pingresp    byte = 13
	Disconnect  byte = 14
)

// Version is a protocol version, which encodes packets in its way. The zero
// value encodes as V311.
type Version byte

// The protocol versions.
const (
	V311 Version = 4
	V5   Version = 5
)

// Message is what a PUBLISH carries.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 to 2
	Retain  bool
	Dup     bool
	ID      uint16 // of a message with QoS 1 or 2; not 0
}

// AppendPublish appends a PUBLISH.
func (v Version) AppendPublish(b []byte, m Message) []byte {
	n := 2 + len(m.Topic) + len(m.Payload)
	if m.QoS > 0 {
		n += 2
	}
	if v == V5 {
		n++
	}
	head := Publish<<4 | m.QoS<<1
	if m.Retain {
		head |= 1
	}
	if m.Dup {
		head |= 8
	}
	b = binary.AppendUvarint(append(b, head), uint64(n))
	b = appendString(b, m.Topic)
	if m.QoS > 0 {
		b = binary.BigEndian.AppendUint16(b, m.ID)
	}
	if v == V5 {
		b = append(b, 0)
	}
	return append(b, m.Payload...)
}

// AppendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP that says success.
func AppendAck(b []byte, kind byte, id uint16) []byte {
	head := kind << 4
	if kind == Pubrel {
		head |= 2
	}
	return append(b, head, 2, byte(id>>8), byte(id))
}

// AppendSubscribe appends a SUBSCRIBE of one filter.
func (v Version) AppendSubscribe(b []byte, id uint16, filter string, qos byte) []byte {
	return append(v.appendFilter(b, Subscribe, id, filter, 1), qos)
}

// AppendUnsubscribe appends an UNSUBSCRIBE of one filter.
func (v Version) AppendUnsubscribe(b []byte, id uint16, filter string) []byte {
	return v.appendFilter(b, Unsubscribe, id, filter, 0)
}

func (v Version) appendFilter(b []byte, kind byte, id uint16, filter string, after int) []byte {
	n := 2 + 2 + len(filter) + after
	if v == V5 {
		n++
	}
	b = binary.AppendUvarint(append(b, kind<<4|2), uint64(n))
	b = binary.BigEndian.AppendUint16(b, id)
	if v == V5 {
		b = append(b, 0)
	}
	return appendString(b, filter)
}

// AppendEmpty appends a packet without a body: PINGREQ, or DISCONNECT with the
// reason success.
func AppendEmpty(b []byte, kind byte) []byte { return append(b, kind<<4, 0) }

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// Packet is one that came. Topic and Payload are good until the next read.
type Packet struct {
	Type    byte
	QoS     byte
	Retain  bool
	Dup     bool
	Present bool   // of a CONNACK: there is a session
	Code    byte   // of a CONNACK, an acknowledgement or a DISCONNECT: 0 is success
	ID      uint16 // 0 where the packet has none
	Topic   []byte
	Payload []byte // of a PUBLISH; of a SUBACK or UNSUBACK the codes
}

// largest is the longest packet that is taken, in bytes.
const largest = 16 << 20

var errShort = errors.New("wire: packet ends early")

// parse reads the first packet of b. n is its length; 0: it is not whole yet.
func parse(b []byte, v Version) (p Packet, n int, err error) {
	if len(b) < 2 {
		return p, 0, nil
	}
	length, w := binary.Uvarint(b[1:min(len(b), 5)])
	switch {
	case w == 0 && len(b) < 5:
		return p, 0, nil
	case w <= 0 || length > largest:
		return p, 0, fmt.Errorf("wire: packet of type %d has a length of % x", b[0]>>4, b[1:5])
	}
	if n = 1 + w + int(length); len(b) < n {
		return p, 0, nil
	}
	p.Type = b[0] >> 4
	if err := p.fill(b[0], b[1+w:n], v); err != nil {
		return p, 0, err
	}
	return p, n, nil
}

func (p *Packet) fill(head byte, body []byte, v Version) error {
	switch p.Type {
	case Publish:
		return p.fillPublish(head, body, v)
	case Connack:
		if len(body) < 2 {
			return errShort
		}
		p.Present, p.Code = body[0]&1 == 1, body[1]
	case Puback, Pubrec, Pubrel, Pubcomp:
		if len(body) < 2 {
			return errShort
		}
		p.ID = binary.BigEndian.Uint16(body)
		if len(body) > 2 {
			p.Code = body[2]
		}
	case Suback, Unsuback:
		if len(body) < 2 {
			return errShort
		}
		p.ID = binary.BigEndian.Uint16(body)
		return p.rest(body[2:], v)
	case Disconnect:
		if len(body) > 0 {
			p.Code = body[0]
		}
	}
	return nil
}

func (p *Packet) fillPublish(head byte, body []byte, v Version) error {
	p.QoS, p.Retain, p.Dup = head>>1&3, head&1 == 1, head&8 != 0
	if len(body) < 2 {
		return errShort
	}
	n := int(binary.BigEndian.Uint16(body))
	if body = body[2:]; len(body) < n {
		return errShort
	}
	p.Topic, body = body[:n], body[n:]
	if p.QoS > 0 {
		if len(body) < 2 {
			return errShort
		}
		p.ID, body = binary.BigEndian.Uint16(body), body[2:]
	}
	return p.rest(body, v)
}

// rest takes what follows the properties as the payload.
func (p *Packet) rest(body []byte, v Version) error {
	if v == V5 {
		n, w := binary.Uvarint(body)
		if w <= 0 || n > uint64(len(body)-w) {
			return errShort
		}
		body = body[w+int(n):]
	}
	p.Payload = body
	return nil
}
