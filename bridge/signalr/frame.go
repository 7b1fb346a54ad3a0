package signalr

import (
	"bytes"
	"sync"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// frame is what is written to a connection, encoded once. It is immutable, so
// that all queues share it.
type frame struct {
	b      []byte // whole WebSocket frames
	n      uint64 // hub messages in it
	counts bool   // stateful reconnect numbers it
}

// size is how much memory a queue holds for the frame.
func (f *frame) size() int { return cap(f.b) + frameCost }

// control is a frame that carries no hub message.
func control(b []byte) *frame { return &frame{b: b} }

// encode makes the frame of one hub message. It fails when a value cannot be
// encoded.
func encode(in protocol.Codec, m protocol.Message) (*frame, error) {
	d := newDraft()
	defer d.done()
	d.m = m
	if err := d.write(in); err != nil {
		return nil, err
	}
	return d.frame(), nil
}

// draft is a message and the memory in which its frame is made.
type draft struct {
	m   protocol.Message
	buf []byte
	b   []byte // whole WebSocket frame, in buf
	now transport.Now
}

var drafts = sync.Pool{New: func() any { return &draft{buf: make([]byte, transport.FrameSpace, 512)} }}

func newDraft() *draft { return drafts.Get().(*draft) }

// write makes the frame of the message.
func (d *draft) write(in protocol.Codec) error {
	b, err := in.Append(d.buf[:transport.FrameSpace], &d.m)
	if err != nil {
		return err
	}
	d.buf, d.b = b, sealed(in, b)
	return nil
}

// frame copies what was written. A frame may wait in a queue: it is no longer
// than it must be.
func (d *draft) frame() *frame {
	return &frame{b: bytes.Clone(d.b), n: 1, counts: d.m.Type.Counted()}
}

// done gives the memory back; a long one is not kept.
func (d *draft) done() {
	if cap(d.buf) > maxDraft {
		return
	}
	d.m, d.b = protocol.Message{}, nil
	drafts.Put(d)
}

const maxDraft = 64 << 10

// sealed makes a WebSocket frame of buf: the protocol decides what it is, not
// the bytes.
func sealed(in protocol.Codec, buf []byte) []byte {
	kind := transport.Text
	if in.Binary() {
		kind = transport.Binary
	}
	b, _ := transport.Seal(buf, kind)
	return b
}

// plain is encode for messages without values, which always have an encoding.
func plain(in protocol.Codec, m protocol.Message) *frame {
	f, err := encode(in, m)
	if err != nil {
		panic("signalr: " + err.Error())
	}
	return f
}

// event is an event for several connections: it is encoded at most once in
// each protocol, when the first of them needs it.
type event struct {
	m      protocol.Message
	frames [dialects]*frame
	errs   [dialects]error
	seen   map[*Conn]struct{} // who has it already; nil when nobody can get it twice
	kept   []byte             // its arguments as the history has them; nil until a group wants it
	latest bool               // it may replace an older one of its key
	key    string
	burst  *Burst // nil: it is written by itself
}

// dialects is how many protocols there are.
const dialects = 2

// dialect gives the index of a protocol.
func dialect(c protocol.Codec) int {
	if c.Binary() {
		return 1
	}
	return 0
}

var codecs = [dialects]protocol.Codec{protocol.JSON, protocol.MessagePack}

func newEvent(name string, args []any) *event {
	return &event{m: protocol.Message{Type: protocol.Invocation, Target: name, Args: protocol.Values(args...)}}
}

// prepare encodes the event in the given protocols, one bit each. It reports
// those that are new and fail.
func (e *event) prepare(set uint) (err error) {
	for i := range dialects {
		if set&(1<<i) != 0 && e.frames[i] == nil && e.errs[i] == nil {
			e.frames[i], e.errs[i] = encode(codecs[i], e.m)
			if e.errs[i] != nil {
				err = e.errs[i]
			}
		}
	}
	return err
}

// apart is the same event for a target of its own, which it may reach beside others: who
// has it, and how it is written, is each one's own.
func (e *event) apart() *event {
	x := *e
	x.seen, x.burst = nil, nil
	return &x
}

// prepared says in which protocols the event needs no encoding any more.
func (e *event) prepared() (set uint) {
	for i := range dialects {
		if e.frames[i] != nil || e.errs[i] != nil {
			set |= 1 << i
		}
	}
	return set
}

// eventFrame is an event for this client alone.
func (c *Conn) eventFrame(name string, args []any) (*frame, error) {
	return encode(c.codec, protocol.Message{Type: protocol.Invocation, Target: name, Args: protocol.Values(args...)})
}

// resultOf is the completion of a call that returned result: nil is none.
func resultOf(id string, result any) protocol.Message {
	m := protocol.Message{Type: protocol.Completion, ID: id}
	switch r := result.(type) {
	case nil:
	case Null:
		m.Result = protocol.Of(nil)
	default:
		m.Result = protocol.Of(r)
	}
	return m
}

// failureOf is the completion of a call that failed.
func failureOf(id, text string) protocol.Message {
	return protocol.Message{Type: protocol.Completion, ID: id, Failed: true, Error: text}
}

// itemFrame is one item of a server stream.
func (c *Conn) itemFrame(id string, item any) (*frame, error) {
	return encode(c.codec, protocol.Message{Type: protocol.StreamItem, ID: id, Item: protocol.Of(item)})
}

// questionFrame is an invocation that the client answers.
func (c *Conn) questionFrame(id, method string, args []any) (*frame, error) {
	return encode(c.codec, protocol.Message{Type: protocol.Invocation, ID: id, Target: method, Args: protocol.Values(args...)})
}

// closeFrame is the hub's Close message.
func (c *Conn) closeFrame(reason string, allowReconnect bool) *frame {
	return plain(c.codec, protocol.Message{Type: protocol.Close, Error: reason, AllowReconnect: allowReconnect})
}

// sequence is the message that begins a replay: the id of its first message.
func (c *Conn) sequence(id uint64) *frame {
	return plain(c.codec, protocol.Message{Type: protocol.Sequence, SequenceID: id})
}

// ack tells the client up to which of its messages everything was processed.
func (c *Conn) ack(id uint64) *frame {
	return plain(c.codec, protocol.Message{Type: protocol.Ack, SequenceID: id})
}

// helloFrame is the answer to a handshake: JSON whatever the protocol is, in the
// kind of frame that the protocol has.
func helloFrame(in protocol.Codec, reason string) *frame {
	b := protocol.AppendHandshakeReply(make([]byte, transport.FrameSpace, 128), reason)
	return control(sealed(in, b))
}

var pings = [dialects]*frame{
	plain(protocol.JSON, protocol.Message{Type: protocol.Ping}), plain(protocol.MessagePack, protocol.Message{Type: protocol.Ping}),
}

// pingFrame is the hub's Ping message.
func (c *Conn) pingFrame() *frame { return pings[dialect(c.codec)] }
