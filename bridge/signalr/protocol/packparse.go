package protocol

import (
	"errors"

	"github.com/tinylib/msgp/msgp"
)

// packCodec is the MessagePack encoding.
type packCodec struct{}

// Name implements Codec.
func (packCodec) Name() string { return NameMessagePack }

// Binary implements Codec.
func (packCodec) Binary() bool { return true }

// Result kinds of a Completion (HubProtocol.md, MessagePack, Completion).
const (
	packError  = 1
	packVoid   = 2
	packResult = 3
)

// Parse implements Codec. Elements behind those that are known are ignored, and
// so is what follows the array, as the vendor's server does.
func (packCodec) Parse(record []byte) (Message, error) {
	var m Message
	if len(record) == 0 {
		return m, invalid("empty message")
	}
	if _, err := checkPack(record, MaxDepth); err != nil {
		return m, err
	}
	p, err := newTuple(record)
	if err != nil {
		return m, err
	}
	t, err := p.integer("type")
	if err != nil {
		return m, err
	}
	m.Type = Type(t)
	if m.Type.Known() && m.Type <= CancelInvocation {
		err = p.call(&m)
	} else {
		err = p.control(&m)
	}
	return m, err
}

// tuple walks over the elements of a record that checkPack has accepted.
type tuple struct {
	b    []byte
	left int // elements
}

func newTuple(record []byte) (tuple, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(record)
	if err != nil {
		return tuple{}, invalid("expected a MessagePack array")
	}
	return tuple{rest, int(n)}, nil
}

// next returns the bytes of the next element.
func (p *tuple) next(name string) ([]byte, error) {
	if p.left == 0 {
		return nil, missing(name)
	}
	n := packLen(p.b)
	e := p.b[:n:n]
	p.b = p.b[n:]
	p.left--
	return e, nil
}

func (p *tuple) integer(name string) (int64, error) {
	e, err := p.next(name)
	if err != nil {
		return 0, err
	}
	n, _, err := msgp.ReadInt64Bytes(e)
	var wide msgp.UintOverflow
	if err != nil && !errors.As(err, &wide) {
		return 0, invalid("expected '%s' to be an integer", name)
	}
	if err != nil {
		return 1<<63 - 1, nil
	}
	return n, nil
}

// text reads a string; nil is the empty one.
func (p *tuple) text(name string) (string, error) {
	e, err := p.next(name)
	if err != nil || e[0] == packNil {
		return "", err
	}
	s, _, err := msgp.ReadStringZC(e)
	if err != nil {
		return "", invalid("expected '%s' to be a string", name)
	}
	return string(s), nil
}

func (p *tuple) value(name string) (Value, error) {
	e, err := p.next(name)
	return Value{form: formPack, raw: e}, err
}

// list opens an array element.
func (p *tuple) list(name string) (tuple, error) {
	e, err := p.next(name)
	if err != nil {
		return tuple{}, err
	}
	n, rest, err := msgp.ReadArrayHeaderBytes(e)
	if err != nil {
		return tuple{}, invalid("expected '%s' to be an array", name)
	}
	return tuple{rest, int(n)}, nil
}

// call reads the types that have headers and an invocation id.
func (p *tuple) call(m *Message) error {
	h, err := p.next("headers")
	if err != nil {
		return err
	}
	if k, _ := readHead(h); k.kind != kindMap && k.kind != kindNil {
		return invalid("expected 'headers' to be a map")
	}
	if m.ID, err = p.text("invocationId"); err != nil {
		return err
	}
	if m.ID == "" && m.Type != Invocation {
		return missing("invocationId")
	}
	switch m.Type {
	case Invocation, StreamInvocation:
		return p.invocation(m)
	case StreamItem:
		m.Item, err = p.value("item")
	case Completion:
		return p.completion(m)
	}
	return err
}

func (p *tuple) invocation(m *Message) (err error) {
	if m.Target, err = p.text("target"); err != nil {
		return err
	}
	if m.Target == "" {
		return missing("target")
	}
	args, err := p.list("arguments")
	if err != nil {
		return err
	}
	if err := roomy(args.left); err != nil {
		return err
	}
	m.Args = make([]Value, args.left)
	for i := range m.Args {
		if m.Args[i], err = args.value("arguments"); err != nil {
			return err
		}
	}
	if p.left == 0 {
		return nil
	}
	return p.streams(m)
}

func (p *tuple) streams(m *Message) error {
	if p.b[0] == packNil {
		return nil
	}
	ids, err := p.list("streamIds")
	if err != nil || ids.left == 0 {
		return err
	}
	if err := roomy(ids.left); err != nil {
		return err
	}
	m.StreamIDs = make([]string, ids.left)
	for i := range m.StreamIDs {
		if m.StreamIDs[i], err = ids.text("streamIds"); err != nil {
			return err
		}
	}
	return nil
}

func (p *tuple) completion(m *Message) error {
	kind, err := p.integer("resultKind")
	if err != nil {
		return err
	}
	switch kind {
	case packError:
		m.Failed = true
		m.Error, err = p.text("error")
	case packVoid:
	case packResult:
		m.Result, err = p.value("result")
	default:
		err = invalid("unknown result kind %d", kind)
	}
	return err
}

// control reads the types that have neither, and ignores the unknown ones.
func (p *tuple) control(m *Message) (err error) {
	switch m.Type {
	case Close:
		if m.Error, err = p.text("error"); err != nil || p.left == 0 {
			return err
		}
		return p.reconnect(m)
	case Ack, Sequence:
		var n int64
		n, err = p.integer("sequenceId")
		m.SequenceID = uint64(max(n, 0))
	}
	return err
}

func (p *tuple) reconnect(m *Message) error {
	e, err := p.next("allowReconnect")
	if err != nil || e[0] == packNil {
		return err
	}
	if m.AllowReconnect, _, err = msgp.ReadBoolBytes(e); err != nil {
		return invalid("expected 'allowReconnect' to be a bool")
	}
	return nil
}
