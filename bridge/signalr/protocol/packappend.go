package protocol

import "github.com/tinylib/msgp/msgp"

// prefixSpace is the longest length prefix: five bytes of seven bits.
const prefixSpace = 5

// Append implements Codec.
func (packCodec) Append(dst []byte, m *Message) ([]byte, error) {
	b := append(dst, make([]byte, prefixSpace)...)
	b, err := appendPacked(b, m)
	if err != nil {
		return dst, err
	}
	return seal(b, len(dst)), nil
}

// seal puts the length prefix in front of the record for which prefixSpace
// bytes were left at start. Most records take one byte, and move by four.
func seal(b []byte, start int) []byte {
	body := b[start+prefixSpace:]
	var prefix [prefixSpace]byte
	n := putPrefix(&prefix, len(body))
	copy(b[start:], prefix[:n])
	copy(b[start+n:], body)
	return b[:start+n+len(body)]
}

// putPrefix writes n seven bits at a time, lowest first.
func putPrefix(p *[prefixSpace]byte, n int) int {
	i := 0
	for ; n >= 0x80; i++ {
		p[i] = byte(n) | 0x80
		n >>= 7
	}
	p[i] = byte(n)
	return i + 1
}

func appendPacked(b []byte, m *Message) ([]byte, error) {
	switch m.Type {
	case Invocation, StreamInvocation:
		return appendPackedCall(b, m)
	case StreamItem:
		return appendPack(appendPackedStart(b, m, 4), m.Item)
	case Completion:
		return appendPackedCompletion(b, m)
	case CancelInvocation:
		return appendPackedStart(b, m, 3), nil
	case Ping:
		return append(b, packFixArray|1, byte(Ping)), nil
	case Close:
		b = append(b, packFixArray|3, byte(Close))
		b = appendTextOrNil(b, m.Error)
		return msgp.AppendBool(b, m.AllowReconnect), nil
	case Ack, Sequence:
		return msgp.AppendUint64(append(b, packFixArray|2, byte(m.Type)), m.SequenceID), nil
	}
	return b, unknownType(m.Type)
}

// appendPackedStart appends what the types with an invocation id have in
// common: an array of n elements, the type, no headers, the id.
func appendPackedStart(b []byte, m *Message, n byte) []byte {
	b = append(b, packFixArray|n, byte(m.Type), packFixMap)
	return appendTextOrNil(b, m.ID)
}

func appendTextOrNil(b []byte, s string) []byte {
	if s == "" {
		return append(b, packNil)
	}
	return msgp.AppendString(b, s)
}

func appendPackedCall(b []byte, m *Message) (_ []byte, err error) {
	n := byte(5)
	if len(m.StreamIDs) > 0 {
		n = 6
	}
	b = msgp.AppendString(appendPackedStart(b, m, n), m.Target)
	b = msgp.AppendArrayHeader(b, uint32(len(m.Args)))
	for i, arg := range m.Args {
		if b, err = appendPack(b, arg); err != nil {
			return b, argumentError(i, m.Target, err)
		}
	}
	if len(m.StreamIDs) == 0 {
		return b, nil
	}
	b = msgp.AppendArrayHeader(b, uint32(len(m.StreamIDs)))
	for _, id := range m.StreamIDs {
		b = msgp.AppendString(b, id)
	}
	return b, nil
}

func appendPackedCompletion(b []byte, m *Message) ([]byte, error) {
	switch {
	case m.Failed:
		return msgp.AppendString(append(appendPackedStart(b, m, 5), packError), m.Error), nil
	case !m.Result.Present():
		return append(appendPackedStart(b, m, 4), packVoid), nil
	}
	return appendPack(append(appendPackedStart(b, m, 5), packResult), m.Result)
}
