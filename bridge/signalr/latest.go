package signalr

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// SendLatest is [Target.Send] for news of a state, of which only the newest
// counts: where much waits for a connection, an event takes the place of an older
// one of the same name and key that has not been sent. So a slow client is shown
// the newest of each key instead of being cut for what is old. The place of such
// an event among others is not promised, but of one key the newest comes last.
// What is replaced counts in the group's offset, and in Stats.Conflated. Other
// nodes of a cluster send such events as any others.
func (t Target) SendLatest(event, key string, args ...any) int {
	e := newEvent(event, args)
	e.latest, e.key = true, key
	return t.send(e)
}

// stateKey is what events may replace one another by.
type stateKey struct{ event, key string }

// held is what waits for a slow connection beside its outbox: the newest of
// each key, the key that came first in front. It is bounded by OutboxBytes, with
// the outbox's policy: more ends the connection.
type held struct {
	n atomic.Int32 // of slots; not lowered before what was held is queued

	mu    sync.Mutex // guards what follows; taken before the locks of tape and outbox
	slots map[stateKey]*slot
	order []*slot
	bytes int
}

type slot struct {
	key stateKey
	f   *frame
}

// enqueueLatest is enqueueIn for an event that replaces older ones of its key.
// The events of a key come from one goroutine at a time.
func (c *Conn) enqueueLatest(fan *fanout, e *event, f *frame) error {
	if c.held.n.Load() == 0 && c.room(f) {
		return c.enqueueIn(fan, f)
	}
	replaced, fits := c.held.put(stateKey{e.m.Target, e.key}, f, c.s.cfg.OutboxBytes)
	if !fits {
		c.fail(fmt.Errorf("%w: the newest states alone are more than %d bytes", ErrSlow, c.s.cfg.OutboxBytes))
		return ErrSlow
	}
	if replaced {
		c.s.count.conflated.Add(1)
	}
	c.release() // there may be room by now, and nobody else who would look
	return nil
}

func (h *held) put(key stateKey, f *frame, limit int) (replaced, fits bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.slots[key]
	if replaced = s != nil; replaced {
		h.bytes -= s.f.size()
	} else {
		s = &slot{key: key}
		if h.slots == nil {
			h.slots = map[stateKey]*slot{}
		}
		h.slots[key] = s
		h.order = append(h.order, s)
		h.n.Add(1)
	}
	s.f = f
	h.bytes += f.size()
	return replaced, h.bytes <= limit
}

// release queues what is held as far as there is room. It is called whenever
// something was written or acknowledged. Somebody else writes: locks may be held.
func (c *Conn) release() {
	h := &c.held
	if h.n.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.order) > 0 && c.room(h.order[0].f) {
		s := h.order[0]
		l, v := c.hand(false, s.f)
		switch v {
		case starts:
			c.tasks.Go(l.drain)
		case refused, overflow: // it is ending
			h.slots, h.order, h.bytes = nil, nil, 0
			h.n.Store(0)
			return
		}
		h.order[0] = nil
		h.order = h.order[1:]
		h.bytes -= s.f.size()
		delete(h.slots, s.key)
		h.n.Add(-1)
	}
	if len(h.order) == 0 {
		h.slots, h.order = nil, nil // a connection that is not slow holds nothing
	}
}
