package broker

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What the broker keeps is laid out here. Each record begins with its version;
// numbers are varints, texts and bytes have their length before them. A message
// is kept as the PUBLISH of MQTT 5 that the library's own codec makes of it.

// recordVersion is the version of all of them.
const recordVersion = 1

var errRecord = errors.New("record is malformed")

// flags of a message.
const (
	flagVersion5 = 1 << iota // it came over MQTT 5: an expiry is heeded
	flagWill
	flagRetain
	flagQos = 3 // the QoS is shifted by so much
)

// encodeBody lays out what all receivers of a message have in common.
func encodeBody(pk packets.Packet) []byte {
	flags := byte(0)
	if pk.ProtocolVersion == 5 {
		flags |= flagVersion5
	}
	if willOf(pk) {
		flags |= flagWill
	}
	if pk.FixedHeader.Retain {
		flags |= flagRetain
	}
	flags |= pk.FixedHeader.Qos << flagQos
	out := make([]byte, 0, 64+len(pk.TopicName)+len(pk.Payload))
	out = append(out, flags)
	out = binary.AppendUvarint(out, uint64(max(0, pk.Expiry)))
	out = appendText(out, pk.Origin)
	return appendText(out, wireOf(pk))
}

// wireOf is a message as MQTT 5 sends it with QoS 0.
func wireOf(pk packets.Packet) []byte {
	pk.FixedHeader = packets.FixedHeader{Type: packets.Publish}
	pk.ProtocolVersion, pk.PacketID = 5, 0
	pk.Mods = packets.Mods{AllowResponseInfo: true}
	pk.Properties.SubscriptionIdentifier = nil
	pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 0, false
	var b bytes.Buffer
	_ = pk.PublishEncode(&b) // it fails for want of a packet id alone, which QoS 0 has not
	return b.Bytes()
}

// decodeBody is the inverse of encodeBody.
func decodeBody(r *reader) (pk packets.Packet) {
	flags := r.byte()
	expiry, origin, wire := r.number(), string(r.text()), r.text()
	if r.bad || len(wire) < 2 || wire[0] != packets.Publish<<4 {
		r.bad = true
		return pk
	}
	head, size := measure(wire)
	if size != len(wire) {
		r.bad = true
		return pk
	}
	pk.ProtocolVersion = 5
	pk.FixedHeader = packets.FixedHeader{Type: packets.Publish, Remaining: size - head}
	if pk.PublishDecode(wire[head:]) != nil || pk.TopicName == "" {
		r.bad = true
		return pk
	}
	pk.FixedHeader.Qos, pk.FixedHeader.Retain = flags>>flagQos&3, flags&flagRetain != 0
	if flags&flagVersion5 == 0 {
		pk.ProtocolVersion = 4
	}
	pk.Expiry, pk.Origin = int64(expiry), origin
	pk.Filters = tagOf(0, flags&flagWill != 0)
	r.bad = r.bad || pk.FixedHeader.Qos > 2
	return pk
}

// Versions of a record of a retained message where there are other nodes: it begins
// with its mark, and of a deletion that is all.
const (
	markedVersion = 2
	goneVersion   = 3
)

// readRetained is the record of a topic.
func (d *durable) readRetained(topic string) ([]byte, bool) {
	pk, there := d.b.retainedOn(topic)
	m, marked := d.b.marks.get(topic)
	switch {
	case there && marked:
		return append(m.append([]byte{markedVersion}), encodeBody(pk)...), true
	case there:
		return encodeRetained(pk), true
	case marked && m.gone:
		return m.append([]byte{goneVersion}), true
	}
	return nil, false
}

func encodeRetained(pk packets.Packet) []byte {
	return append([]byte{recordVersion}, encodeBody(pk)...)
}

// decodeRetained reads a record of any version. The zero mark: it has none.
func decodeRetained(topic string, record []byte) (pk packets.Packet, m mark, err error) {
	r := &reader{rest: bytes.Clone(record)}
	version := r.byte()
	if version == markedVersion || version == goneVersion {
		m = readMark(r)
	}
	if version == goneVersion {
		m.gone = true
		return packets.Packet{TopicName: topic}, m, r.end()
	}
	pk = decodeBody(r)
	pk.FixedHeader.Retain = true
	if r.bad = r.bad || version > goneVersion || version == 0 || pk.TopicName != topic; r.bad {
		return packets.Packet{}, mark{}, errRecord
	}
	return pk, m, r.end()
}

func appendText[T string | []byte](out []byte, text T) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

// reader takes a record apart. It goes on past damage, and tells of it at the
// end.
type reader struct {
	rest []byte
	bad  bool
}

// newReader begins a record of this version.
func newReader(record []byte) *reader {
	r := &reader{rest: bytes.Clone(record)} // what is decoded refers to it
	r.bad = r.byte() != recordVersion
	return r
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) text() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	t := r.rest[:n:n]
	r.rest = r.rest[n:]
	return t
}

// end tells whether the record was well formed and is used up.
func (r *reader) end() error {
	if r.bad || len(r.rest) > 0 {
		return errRecord
	}
	return nil
}
