package signalrtest

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// link is a client's end of a transport.
type link interface {
	Receive(take func(p []byte) error) error
	Send(p []byte) error
	SetReadDeadline(t time.Time) error
	CloseWith(code int) error
	Close() error
}

// resumeTime is how long a client tries to resume its connection.
const resumeTime = 10 * time.Second

// wire is the client's way to the server: one link, or one after the other when
// the connection can be resumed. What counts is numbered and kept until the
// server acknowledges it.
type wire struct {
	dial func(ctx context.Context) (link, error)
	// codec tells what is in the records that are sent.
	codec protocol.Codec

	out sync.Mutex // held while writing, and before mu

	mu       sync.Mutex
	stateful bool
	link     link
	broken   bool // nothing is sent before the replay
	closed   bool
	kept     [][]byte
	first    uint64 // id of kept[0], or of the next message
	next     uint64 // id of the next message from the server
	seen     uint64 // highest id from the server
	acked    uint64
	waiting  bool // for the Sequence message; all else is dropped
}

// open makes the first link.
func (w *wire) open(ctx context.Context) (err error) {
	w.first, w.next = 1, 1
	w.link, err = w.dial(ctx)
	return err
}

// now returns the current link.
func (w *wire) now() link {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.link
}

// Receive hands over what comes on the current link.
func (w *wire) Receive(take func(p []byte) error) error { return w.now().Receive(take) }

// SetReadDeadline bounds Receive.
func (w *wire) SetReadDeadline(t time.Time) error { return w.now().SetReadDeadline(t) }

// Send writes one record. When the connection can be resumed, what counts is
// sent again later if it cannot be sent now.
func (w *wire) Send(p []byte) error {
	w.out.Lock()
	defer w.out.Unlock()
	w.mu.Lock()
	l, kept, broken := w.link, w.stateful && w.counts(p), w.broken
	if kept {
		w.kept = append(w.kept, slices.Clone(p))
	}
	w.mu.Unlock()
	if kept && broken {
		return nil
	}
	if err := l.Send(p); !kept {
		return err
	}
	return nil
}

// counts says whether a record is numbered.
func (w *wire) counts(p []byte) (yes bool) {
	s := protocol.NewSplitter(recordLimit)
	s.Use(w.codec)
	_ = s.Feed(p, func(record []byte) error { // it is our own record
		m, err := w.codec.Parse(record)
		yes = err == nil && m.Type.Counted()
		return nil
	})
	return yes
}

// accept says whether a message is for the client, and for the first time.
func (w *wire) accept(m protocol.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.stateful:
		return true
	case m.Type == protocol.Sequence:
		w.waiting = false
		w.next = m.SequenceID
		return false
	case w.waiting:
		return false
	case m.Type == protocol.Ack:
		w.ack(m.SequenceID)
		return false
	case !m.Type.Counted():
		return true
	}
	id := w.next
	w.next++
	if id <= w.seen {
		return false
	}
	w.seen = id
	return true
}

func (w *wire) ack(id uint64) {
	for len(w.kept) > 0 && w.first <= id {
		w.kept = w.kept[1:]
		w.first++
	}
}

// acknowledge tells the server each second what has come.
func (w *wire) acknowledge(done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		if id, news := w.due(); news {
			_ = w.Send(w.record(protocol.Ack, id)) // an error means that the reader will resume
		}
	}
}

func (w *wire) due() (id uint64, news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == w.acked || w.waiting || w.broken {
		return 0, false
	}
	w.acked = w.seen
	return w.acked, true
}

func (w *wire) record(t protocol.Type, id uint64) []byte {
	b, err := w.codec.Append(nil, &protocol.Message{Type: t, SequenceID: id})
	if err != nil {
		panic("signalrtest: " + err.Error())
	}
	return b
}

// resume opens another link and sends again what the server may have missed;
// false when the connection is lost.
func (w *wire) resume(err error) bool {
	w.mu.Lock()
	old, stateful := w.link, w.stateful && !w.closed
	w.waiting, w.broken = stateful, stateful
	w.mu.Unlock()
	if !stateful || err == io.EOF {
		return false
	}
	_ = old.Close()
	ctx, cancel := context.WithTimeout(context.Background(), resumeTime)
	defer cancel()
	for ctx.Err() == nil {
		l, err := w.dial(ctx)
		if err == nil && w.replay(l) {
			return true
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return false
}

// replay sends the id of the first message that follows, and all that is kept.
// If it breaks again, the reader finds out.
func (w *wire) replay(l link) bool {
	w.out.Lock()
	defer w.out.Unlock()
	w.mu.Lock()
	closed := w.closed
	records := append([][]byte{w.record(protocol.Sequence, w.first)}, w.kept...)
	w.link, w.broken, w.acked = l, false, 0
	w.mu.Unlock()
	if closed {
		_ = l.Close()
		return false
	}
	for _, p := range records {
		if l.Send(p) != nil {
			break
		}
	}
	return true
}

// CloseWith says goodbye.
func (w *wire) CloseWith(code int) error {
	w.mu.Lock()
	w.closed = true
	l := w.link
	w.mu.Unlock()
	return l.CloseWith(code)
}

// Close ends the wire at once.
func (w *wire) Close() error {
	w.mu.Lock()
	w.closed = true
	l := w.link
	w.mu.Unlock()
	return l.Close()
}

// Cut breaks a client's current WebSocket as a network does; a client that can
// resume its connection does so.
func (c *Client) Cut() { _ = c.link.now().Close() }

var _ link = (*transport.Client)(nil)
