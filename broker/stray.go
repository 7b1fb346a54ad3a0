package broker

import (
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A session that is taken up again gets a new client in the library, which
// copies the queue of the old one and empties that. A message that is published
// in between, or later by a publisher that has found the old one before, goes
// into a queue that nobody reads (BROKER.md §3 row 7). Such strays are brought to
// the connection that has the session: with its queue, or, if that has been read
// already, as they come.

// strays are the messages for one connection that went to the client before it.
// They wait from the moment at which the session is about to be handed over
// until its queue is read, which waits for nobody; Config.MaxQueue bounds them
// as it bounds the queue they belong to, and what is more is dropped and
// counted (Stats.DroppedQueued).
type strays struct {
	mu    sync.Mutex
	state strayState
	list  []packets.Packet
}

// strayState only grows.
type strayState int

const (
	strayNone   strayState = iota // there is no session to hand over
	strayWaits                    // the queue has not been read
	strayPasses                   // it has
)

func (s *strays) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = strayWaits
}

// begun tells whether there is a session to hand over. The library sets its mark
// on the old client after that, so who has seen the mark sees this.
func (s *strays) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != strayNone
}

// keep answers what is to be done with a stray; strayWaits: it has been kept, if
// there was room.
func (s *strays) keep(pk packets.Packet, most int) (state strayState, room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == strayWaits {
		if len(s.list) >= most {
			return s.state, false
		}
		s.list = append(s.list, pk)
	}
	return s.state, true
}

func (s *strays) take() (list []packets.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, s.list, s.state = s.list, nil, strayPasses
	return list
}

// astray is called when the library has put a message into the queue of a
// client, and tells whether that is one whose session has gone to another
// connection. It is dealt with then.
func (b *Broker) astray(old *mqtt.Client, pk packets.Packet) bool {
	if pk.FixedHeader.Type != packets.Publish || !old.IsTakenOver() {
		return false
	}
	l := b.sessions.get(old.ID)
	if l == nil || l == linkOf(old) || !l.strays.begun() {
		return false
	}
	b.kept.stray(old, pk) // now: its publisher is answered soon
	state, room := l.strays.keep(pk, b.cfg.MaxQueue)
	if old.State.Inflight.Delete(pk.PacketID) {
		atomic.AddInt64(&b.server.Info.Inflight, -1)
	}
	switch {
	case !room:
		b.kept.lostFor(old, pk.Created)
		atomic.AddInt64(&b.server.Info.InflightDropped, 1)
	case state == strayPasses:
		if cl := l.client.Load(); b.bring(cl, &pk) {
			_ = cl.WritePacket(pk) // fails where the connection is gone: it is in the queue
		}
	}
	return true
}

// gather brings the strays into the queue of the client, before that is read.
func (l *link) gather(cl *mqtt.Client) {
	for _, pk := range l.strays.take() {
		l.b.bring(cl, &pk)
	}
}

// bring puts a stray into the queue of the client that has its session, under a
// packet id of that, unless it was copied with the queue.
func (b *Broker) bring(cl *mqtt.Client, pk *packets.Packet) bool {
	in := cl.State.Inflight
	if there, ok := in.Get(pk.PacketID); ok && there.FixedHeader.Type == packets.Publish && there.Created == pk.Created {
		b.hook.OnQosPublish(cl, *pk, 0, 0) // that has not been said of it yet
		return false
	}
	id, err := cl.NextPacketID()
	if err != nil {
		b.hook.OnPacketIDExhausted(cl, *pk)
		return false
	}
	pk.PacketID = uint16(id)
	if in.Set(*pk) {
		atomic.AddInt64(&b.server.Info.Inflight, 1)
	}
	b.hook.OnQosPublish(cl, *pk, 0, 0)
	return true
}
