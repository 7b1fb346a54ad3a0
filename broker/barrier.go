package broker

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Durable before acknowledged, without blocking (BROKER.md §5): whoever writes
// to the store on behalf of a client's packet notes on its connection up to
// where the store must have come, and goes on. The acknowledgements that the
// library writes from then on wait in the connection's way out until the store
// is there. Three calls are all there is to it:
//
//   - link.after(pos), on the connection's goroutine, in a hook that comes
//     before the acknowledgement: OnPublish, OnSubscribed, OnSessionEstablish…
//   - Broker.durable(pos), by the store: everything up to pos is safe.
//   - Broker.notDurable(from, to), by the store: these positions never will be.
//
// Positions begin at 1 and only grow. A connection on which nothing was noted
// waits for nothing.
//
// Acknowledgements stay in their order, and nothing at all passes a CONNACK
// that waits; other packets do not wait. What waits is bounded in bytes by
// Config.MaxOutputBytes; the overflow policy is to cut the client as one that
// does not read (Stats.SlowConsumers).

// barrier knows how far the store has come, and who waits for it.
type barrier struct {
	safe   atomic.Uint64 // everything up to here is safe, but for what is in failed
	failed atomic.Pointer[[]span]

	mu      sync.Mutex
	waiting []*link // each once; at most one per connection
}

// span is positions from…to, both included.
type span struct{ from, to uint64 }

// failedSpans is how many failures are remembered: one is asked about only
// between the note and the acknowledgement, which is no time.
const failedSpans = 64

// reached tells whether an acknowledgement that waits for pos may go, or, if
// lost, never may.
func (b *barrier) reached(pos uint64) (safe, lost bool) {
	if pos == 0 {
		return true, false
	}
	if all := b.failed.Load(); all != nil {
		for _, s := range *all {
			if s.from <= pos && pos <= s.to {
				return false, true
			}
		}
	}
	return pos <= b.safe.Load(), false
}

// add notes that l waits, unless what it waits for has come meanwhile.
func (b *barrier) add(l *link, pos uint64) (safe, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if safe, lost = b.reached(pos); !safe && !lost {
		b.waiting = append(b.waiting, l)
	}
	return safe, lost
}

func (b *barrier) take(note func()) []*link {
	b.mu.Lock()
	defer b.mu.Unlock()
	note()
	all := b.waiting
	b.waiting = nil
	return all
}

// durable tells that everything up to pos is safe on disk. It writes what
// waited for that, and does not block. One caller at a time.
func (b *Broker) durable(pos uint64) {
	for _, l := range b.barrier.take(func() { b.barrier.safe.Store(max(pos, b.barrier.safe.Load())) }) {
		l.release()
	}
}

// notDurable tells that from…to will never be safe: the acknowledgements that
// wait for it are never sent, and their connections are closed, MQTT 5 with
// reason 0x83. It does not block. The caller is that of durable.
func (b *Broker) notDurable(from, to uint64) {
	for _, l := range b.barrier.take(func() { b.barrier.fail(span{from, to}) }) {
		l.release()
	}
}

func (b *barrier) fail(s span) {
	var all []span
	if old := b.failed.Load(); old != nil {
		all = append(all, *old...)
	}
	if n := len(all); n > 0 && s.from <= all[n-1].to+1 && s.from >= all[n-1].from {
		all[n-1].to = max(all[n-1].to, s.to)
	} else {
		all = append(all, s)
	}
	if len(all) > failedSpans {
		all = all[len(all)-failedSpans:]
	}
	b.failed.Store(&all)
}

// held are the packets of one connection that wait. link guards it.
type held struct {
	after   uint64 // what acknowledgements wait for now; 0: nothing
	exact   uint64 // what QoS 2 messages to the client and PUBREL wait for
	packets []heldPacket
	bytes   int
	noted   bool // stands in the barrier's list
}

type heldPacket struct {
	after uint64
	data  []byte
}

// after makes the acknowledgements that are written from now on wait until the
// store has come to pos. It is called on the connection's goroutine.
func (l *link) after(pos uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.after = max(l.held.after, pos)
}

// afterExactly makes what delivers QoS 2 messages to the client wait until the
// store has come to pos: a crash must not make it forget the packet id of a
// message that is out. It may be called on any goroutine.
func (l *link) afterExactly(pos uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.exact = max(l.held.exact, pos)
}

// barred passes a packet that waits for pos, or keeps it back. It answers what
// may go.
func (l *link) barred(f []byte, pos uint64) ([]byte, error) {
	if pos == 0 {
		return f, nil
	}
	if len(l.held.packets) == 0 {
		switch safe, lost := l.b.barrier.reached(pos); {
		case lost:
			return nil, l.notStored()
		case safe:
			return f, nil
		}
	}
	if err := l.hold(pos, f); err != nil {
		return nil, err
	}
	return l.ripe()
}

// hold keeps a packet behind those that wait already.
func (l *link) hold(after uint64, f []byte) error {
	if l.held.bytes+len(f) > l.b.cfg.MaxOutputBytes {
		return errSlow
	}
	l.held.packets = append(l.held.packets, heldPacket{after, slices.Clone(f)})
	l.held.bytes += len(f)
	return nil
}

// ripe takes out what no longer waits, and sees to it that release is called
// for the rest.
func (l *link) ripe() (out []byte, err error) {
	h := &l.held
	for len(h.packets) > 0 {
		p := h.packets[0]
		safe, lost := l.b.barrier.reached(p.after)
		if !safe && !lost && !h.noted {
			safe, lost = l.b.barrier.add(l, p.after)
			h.noted = !safe && !lost
		}
		if lost {
			return nil, l.notStored()
		}
		if !safe {
			return out, nil
		}
		l.welcomed = l.welcomed || kindOf(p.data) == packets.Connack
		out = append(out, p.data...)
		h.packets = h.packets[1:]
		h.bytes -= len(p.data)
	}
	h.packets = nil
	return out, nil
}

// release writes what no longer waits. It is called by the store.
func (l *link) release() {
	resume, err := l.releasing()
	l.failed(err)
	if resume {
		l.b.work.Go(l.pump) // what waited for CONNACK
	}
}

func (l *link) releasing() (resume bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.noted = false
	before := l.welcomed
	out, err := l.ripe()
	if err == nil && len(out) > 0 {
		err = l.out.put(out, now)
	}
	return l.welcomed && !before, err
}

// notStored ends the connection: what its client wants acknowledged is lost.
func (l *link) notStored() error {
	l.held.packets, l.held.bytes = nil, 0
	l.b.count.notStored.Add(1)
	l.b.warn("connection closed, what it sent is not stored", "device", l.id, "conn", l.addr)
	l.hangUp(packets.ErrImplementationSpecificError)
	return net.ErrClosed
}
