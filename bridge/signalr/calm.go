package signalr

import (
	"context"
	"sync"
	"sync/atomic"
)

// calm lets the streams of a connection wait until little is queued for it, so
// that a stream is no faster than its client and cannot overflow the queue.
type calm struct {
	c       *Conn      // whose held states are released, too; nil: nobody's
	turn    sync.Mutex // held while looking and sending: one item at a time
	waiting atomic.Int32

	mu   sync.Mutex
	wake chan struct{} // closed when something was written
}

// relax tells those that wait to look again. A nil calm has none.
func (k *calm) relax() {
	if k == nil {
		return
	}
	if k.c != nil {
		k.c.release()
	}
	if k.waiting.Load() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wake != nil {
		close(k.wake)
		k.wake = nil
	}
}

// soon returns a channel that is closed when it is worth to look again.
func (k *calm) soon() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wake == nil {
		k.wake = make(chan struct{})
	}
	return k.wake
}

// stream sends a frame as soon as there is room; the error is that of ctx, or
// that of the connection.
func (c *Conn) stream(ctx context.Context, f *frame) error {
	if sent, err := c.streamNow(f); sent {
		return err
	}
	c.calm.waiting.Add(1)
	defer c.calm.waiting.Add(-1)
	for {
		soon := c.calm.soon()
		if sent, err := c.streamNow(f); sent {
			return err
		}
		select {
		case <-soon:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// streamNow sends a frame if there is room.
func (c *Conn) streamNow(f *frame) (sent bool, err error) {
	c.calm.turn.Lock()
	defer c.calm.turn.Unlock()
	if !c.room(f) {
		return false, nil
	}
	return true, c.enqueue(f)
}

// room says whether a frame that can wait may be queued.
func (c *Conn) room(f *frame) bool {
	l := c.line.Load()
	waits, n := l.out.load(), f.size()
	if waits > 0 && (waits >= gather || waits+n > l.out.limit) {
		return false
	}
	return c.tape == nil || c.tape.room(n)
}
