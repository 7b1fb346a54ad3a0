package signalr

import (
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// frame is what is written to a connection, encoded once. It is immutable, so
// that all queues share it.
type frame struct {
	b []byte // whole WebSocket frames
	n uint64 // hub messages in it
}

// control is a frame that carries no hub message.
func control(b []byte) *frame { return &frame{b: b} }

// hubFrame is a frame with one hub message; add appends that to its buffer.
func hubFrame(add func(b []byte) []byte) *frame {
	b := add(make([]byte, transport.FrameSpace, 128))
	sealed, _ := transport.Seal(b, transport.Text)
	return &frame{b: sealed, n: 1}
}

// eventFrame is an event for clients. It fails when an argument has no JSON.
func eventFrame(event string, args []any) (*frame, error) {
	b, err := protocol.AppendInvocation(make([]byte, transport.FrameSpace, 256), "", event, args)
	if err != nil {
		return nil, err
	}
	sealed, _ := transport.Seal(b, transport.Text)
	return &frame{b: sealed, n: 1}, nil
}

// resultFrame is the completion of a call that returned result: nil is none.
func resultFrame(id string, result any) (*frame, error) {
	b := make([]byte, transport.FrameSpace, 128)
	if result == nil {
		b = protocol.AppendVoid(b, id)
	} else {
		var err error
		if b, err = protocol.AppendResult(b, id, result); err != nil {
			return nil, err
		}
	}
	sealed, _ := transport.Seal(b, transport.Text)
	return &frame{b: sealed, n: 1}, nil
}

// itemFrame is one item of a server stream.
func itemFrame(id string, item any) (*frame, error) {
	b, err := protocol.AppendItem(make([]byte, transport.FrameSpace, 128), id, item)
	if err != nil {
		return nil, err
	}
	sealed, _ := transport.Seal(b, transport.Text)
	return &frame{b: sealed, n: 1}, nil
}

// questionFrame is an invocation that the client answers.
func questionFrame(id, method string, args []any) (*frame, error) {
	b, err := protocol.AppendInvocation(make([]byte, transport.FrameSpace, 128), id, method, args)
	if err != nil {
		return nil, err
	}
	sealed, _ := transport.Seal(b, transport.Text)
	return &frame{b: sealed, n: 1}, nil
}

// errorFrame is the completion of a call that failed.
func errorFrame(id, text string) *frame {
	return hubFrame(func(b []byte) []byte { return protocol.AppendError(b, id, text) })
}

// closeFrame is the hub's Close message.
func closeFrame(reason string, allowReconnect bool) *frame {
	return hubFrame(func(b []byte) []byte { return protocol.AppendClose(b, reason, allowReconnect) })
}

// helloFrame is the answer to a handshake.
func helloFrame(reason string) *frame {
	f := hubFrame(func(b []byte) []byte { return protocol.AppendHandshakeReply(b, reason) })
	f.n = 0
	return f
}

var pingFrame = hubFrame(protocol.AppendPing)
