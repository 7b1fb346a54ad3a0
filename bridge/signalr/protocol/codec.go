package protocol

// Codec is one encoding of the hub protocol. Both write and read the same
// [Message]; they differ in bytes alone. A Codec has no state and is safe for
// concurrent use.
type Codec interface {
	// Name is what the handshake calls the encoding.
	Name() string
	// Binary says that records are not text: WebSockets carry them in binary
	// messages, and server-sent events cannot.
	Binary() bool
	// Parse reads one record as a [Splitter] hands it over. The message points
	// into record. Errors wrap [ErrInvalid].
	Parse(record []byte) (Message, error)
	// Append appends m as a whole record, framing included, to dst. It fails when
	// a value cannot be encoded; dst is then unchanged.
	Append(dst []byte, m *Message) ([]byte, error)
}

// The encodings that are spoken.
var (
	JSON        Codec = jsonCodec{}
	MessagePack Codec = packCodec{}
)

// NameJSON and NameMessagePack are the names of the encodings in the handshake.
const (
	NameJSON        = "json"
	NameMessagePack = "messagepack"
)

// Find returns the encoding of that name, nil when there is none. Names are
// case-sensitive.
func Find(name string) Codec {
	switch name {
	case NameJSON:
		return JSON
	case NameMessagePack:
		return MessagePack
	}
	return nil
}
