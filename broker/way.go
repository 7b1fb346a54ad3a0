package broker

import (
	"cmp"
	"errors"
	"net"
	"slices"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The way out of a connection. The library writes whole packets, several at a
// time, those of a replayed session included; each passes these stages, which
// look at its first byte and leave it alone where they have nothing to do:
//
//	PUBLISH     tenant.go: the prefix of the tenant comes off the topic
//	            window.go: QoS 1 and 2 wait for their turn; DUP tells the truth
//	CONNACK     connack.go: what the library does not say is added
//	SUBACK      suback.go: codes that answer filters of ours come off (UNSUBACK too)
//	PUBREC      pubrec.go: what was sent again was received
//	all but CONNACK fit.go: what is too large for the client is made smaller, or dropped
//	answers     ids.go: the packet id becomes the client's
//	            barrier.go: waits until the store is as far
//
// and then output.go. All of it runs under link.mu, which makes the order in
// which packets pass that of the wire.

// pass takes packets, which it may change, to the output.
func (l *link) pass(p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passAll(p)
}

// passAll is pass with the lock held.
func (l *link) passAll(p []byte) error {
	to, w := 0, atRest // p[:to] goes out
	for at := 0; at < len(p); {
		head, size := measure(p[at:])
		if size == 0 {
			return errCutShort // the library writes whole packets
		}
		w = max(w, whenOf(p[at]))
		f, err := l.stages(p[at:at+size], head)
		if err != nil {
			return err
		}
		at += size
		if to+len(f) > at { // more than came: there is no place for it
			if err := l.send(w, p[:to], f); err != nil {
				return err
			}
			to = 0
			continue
		}
		if len(f) > 0 && &f[0] != &p[to] {
			copy(p[to:], f)
		}
		to += len(f)
	}
	return l.send(w, p[:to])
}

var errCutShort = errors.New("half a packet to write")

// whenOf tells how soon a packet has to go out. Answers are written by the
// connection's goroutine, which comes to rest next.
func whenOf(first byte) when {
	switch first >> 4 {
	case packets.Publish, packets.Pubrel:
		return soon
	case packets.Disconnect:
		return now
	}
	return atRest
}

func (l *link) send(w when, parts ...[]byte) error {
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		if err := l.out.put(p, w); err != nil {
			return err
		}
	}
	return nil
}

// stages passes one packet, and answers what of it is to be written now.
func (l *link) stages(f []byte, head int) ([]byte, error) {
	kind := kindOf(f)
	switch kind {
	case packets.Publish:
		f, head = l.unmount(f, head)
		if l.most > 0 && len(f) > l.most {
			l.tooLargeToSend(f, head)
			return nil, nil
		}
		if f[0]&0x06 != 0 {
			return l.exactly(l.windowed(f, head))
		}
	case packets.Connack:
		return l.connack(f, head)
	case packets.Disconnect:
		l.out.says()
		l.because(Closed) // the library has said why
	case packets.Suback, packets.Unsuback:
		f = l.cutCodes(f, head)
		head, _ = measure(f)
	case packets.Pubrec:
		f = received(f, head)
		head, _ = measure(f)
	}
	if l.tooLong(f) {
		f = shorten(f, head)
		head, _ = measure(f)
	}
	switch {
	case acknowledges(kind):
		if l.window.replaying {
			return nil, nil // the sender repeats its part of an exchange, not we ours [MQTT-4.4.0-1]
		}
		l.restoreID(f, head)
		return l.barred(f, l.held.after)
	case kind == packets.Pubrel && l.welcomed:
		return l.barred(f, l.held.exact)
	case !l.welcomed && kind == packets.Disconnect:
		return nil, nil
	case !l.welcomed:
		return nil, l.hold(0, f) // nothing comes before CONNACK
	}
	return f, nil
}

// windowed passes a PUBLISH of QoS 1 or 2 whose turn it is.
func (l *link) windowed(f []byte, head int) []byte {
	at := publishID(f, head)
	if at == 0 {
		return f
	}
	id, verdict := idAt(f, at), verdictDrop
	if f[0]&dupFlag == 0 { // else it is the library's replay: ours is in full order
		verdict = l.window.offer(id, !l.welcomed)
	}
	if verdict == verdictAsk && !l.stillQueued(id) {
		l.window.forget(id)
		verdict = verdictDrop
	}
	if verdict == verdictDrop {
		l.b.notSent(len(f))
		return nil
	}
	if l.window.sentBefore(id) {
		f[0] |= dupFlag
	}
	return f
}

// exactly keeps a QoS 2 message back until its packet id is on disk, where the
// session of the client is kept there.
func (l *link) exactly(f []byte) ([]byte, error) {
	if len(f) == 0 || f[0]&0x04 == 0 {
		return f, nil
	}
	return l.barred(f, l.held.exact)
}

const dupFlag = 0x08

// notSent takes a message out of the library's counts, which has it for sent.
func (b *Broker) notSent(size int) {
	info := b.server.Info
	atomic.AddInt64(&info.MessagesSent, -1)
	atomic.AddInt64(&info.PacketsSent, -1)
	atomic.AddInt64(&info.BytesSent, -int64(size))
}

// stillQueued tells whether the library has a message for the client that it
// has not acknowledged.
func (l *link) stillQueued(id uint16) bool {
	cl := l.client.Load()
	if cl == nil {
		return false
	}
	pk, ok := cl.State.Inflight.Get(id)
	return ok && pk.FixedHeader.Type == packets.Publish
}

// acked is called on the connection's goroutine when the client is through
// with a message: the next may go.
func (l *link) acked(id uint16) {
	l.mu.Lock()
	l.window.forget(id)
	more := l.waits()
	l.mu.Unlock()
	if more {
		l.pump()
	}
}

// drained is called when what waited for the peer is out. Where the output is
// corked up the connection's goroutine goes on by itself.
func (l *link) drained() {
	if l.out.isCorked() {
		return
	}
	l.mu.Lock()
	more := l.waits()
	l.mu.Unlock()
	if more {
		l.pump()
	}
}

func (l *link) waits() bool { return l.window.busy() || len(l.runs) > 0 }

// turn is what pump sends next: a message of the queue, or one that is retained.
type turn struct {
	id    uint16
	run   *retainedRun
	topic string
}

// pump sends the messages whose turn has come. One sends at a time, so that
// they stay in order: where it is running already it goes on for this call too.
func (l *link) pump() {
	cl := l.client.Load()
	for t, ok := l.next(true); ok; t, ok = l.next(false) {
		if t.run != nil {
			l.b.writeRetained(cl, t.run.sub, t.topic)
			continue
		}
		pk, queued := cl.State.Inflight.Get(t.id)
		pk.FixedHeader.Dup = false // see windowed
		if queued && pk.FixedHeader.Type == packets.Publish && cl.WritePacket(pk) == nil {
			continue
		}
		l.mu.Lock() // it has expired, or does not fit the client
		l.window.forget(t.id)
		l.mu.Unlock()
	}
}

// pumpTogether is pump on the connection's goroutine, with what has its turn now
// behind an answer that was corked up: so a client that has SUBACK finds the
// retained messages, if they are not too many, before what is published then.
func (l *link) pumpTogether() {
	l.pump()
	l.failed(l.out.rest())
	l.drained()
}

// next answers the next turn for pump, which is on its first or a further one.
func (l *link) next(first bool) (t turn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first && l.pumping {
		return turn{}, false
	}
	room := l.welcomed && l.out.hasRoom()
	if t.id, ok = l.window.call(room); !ok && room && l.window.idle() {
		t.run, t.topic = l.nextRetained()
		ok = t.run != nil
	}
	l.pumping = ok && !l.out.isClosed()
	return t, l.pumping
}

// suspects is how many live messages are looked at twice after a replay: as many
// publishers may have put a message into the queue and not yet come to send it.
const suspects = 1 << 16

// replay sends the queue of the session, in the order in which its messages
// were published. It is called when the library has gone through it, by 16 bits
// of their ranks (row 18), and what came live meanwhile is in it too.
func (l *link) replay(cl *mqtt.Client) {
	queue := slices.DeleteFunc(cl.State.Inflight.GetAll(false), func(pk packets.Packet) bool {
		return pk.FixedHeader.Type != packets.Publish
	})
	slices.SortStableFunc(queue, func(x, y packets.Packet) int { return cmp.Compare(x.Created, y.Created) })
	ids := make([]uint16, len(queue))
	for i, pk := range queue {
		ids[i] = pk.PacketID
	}
	l.mu.Lock()
	l.window.replay(ids, suspects)
	l.mu.Unlock()
	l.pump()
}

// hangUp ends the connection from within the way out, where the library's own
// way would wait for itself.
func (l *link) hangUp(code packets.Code) {
	l.because(Closed)
	if l.version() == 5 && l.welcomed {
		l.out.says()
		_ = l.out.put([]byte{packets.Disconnect << 4, 2, code.Code, 0}, now)
	}
	_ = l.Close()
}

func (l *link) version() byte {
	if cl := l.client.Load(); cl != nil {
		return cl.Properties.ProtocolVersion
	}
	return 0
}

// failed ends a connection whose output takes no more.
func (l *link) failed(err error) {
	if err == nil || errors.Is(err, net.ErrClosed) {
		return
	}
	if errors.Is(err, errSlow) {
		l.tooSlow()
	}
	l.because(Lost)
	_ = l.Close()
}
