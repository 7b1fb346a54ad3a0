package broker

import (
	"maps"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// takeoverWait is how long a connection waits for the one before it to end.
// Nothing of ours blocks for so long but a gate that waits for a disk.
const takeoverWait = 5 * time.Second

// sessions says which connection has a client id. One has it from before the
// library knows of it until the library has let go of it, so the clean-up of an
// old connection never meets a new one: that is what left clients deaf and
// wills out of order (BROKER.md rows 27 and 35).
type sessions struct {
	mu sync.Mutex
	by map[string]*link
}

func (s *sessions) get(id string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[id]
}

// enter gives l its client id, or answers who has it. Force takes it anyway.
func (s *sessions) enter(l *link, force bool) (holder *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.by[l.id]; old != nil && !force {
		return old
	}
	if s.by == nil {
		s.by = map[string]*link{}
	}
	s.by[l.id] = l
	return nil
}

func (s *sessions) leave(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[l.id] == l {
		delete(s.by, l.id)
	}
}

// takeOver ends the connection that has the client id of l, if there is one,
// and waits until it is gone.
func (b *Broker) takeOver(l *link) {
	var timer *time.Timer
	for {
		old := b.sessions.enter(l, false)
		if old == nil {
			return
		}
		if timer == nil {
			b.count.takeovers.Add(1)
			b.watchers.tell(Notice{Kind: TookOver, Client: l.id, Addr: l.addr})
			timer = time.NewTimer(takeoverWait)
			defer timer.Stop()
		}
		b.cut(old, TakenOver, packets.ErrSessionTakenOver)
		select {
		case <-old.done:
		case <-timer.C:
			b.count.stuck.Add(1)
			b.warn("old connection does not end", "device", l.id, "conn", old.addr)
			b.sessions.enter(l, true)
			return
		}
	}
}

// deaf tells whether another connection has taken the client id without the
// wait above having helped: what the client then subscribes to goes elsewhere.
func (b *Broker) deaf(cl *mqtt.Client) bool {
	at, ok := b.server.Clients.Get(cl.ID)
	return !ok || at != cl
}

// hangUpDeaf closes the connection of a deaf client, which will come back.
func (b *Broker) hangUpDeaf(cl *mqtt.Client, l *link) {
	if !b.deaf(cl) {
		return
	}
	b.count.deaf.Add(1)
	b.warn("deaf connection cut", "device", cl.ID, "conn", l.addr)
	b.cut(l, Closed, packets.ErrServerBusy)
}

// forget removes a client that never came to its session, which the library
// leaves in its table.
func (b *Broker) forget(cl *mqtt.Client) {
	if b.deaf(cl) || !endsWithConnection(cl) {
		return
	}
	b.endSession(cl)
	b.server.Clients.Delete(cl.ID)
}

// endsWithConnection tells whether the session is over when its connection is.
func endsWithConnection(cl *mqtt.Client) bool {
	if cl.Properties.ProtocolVersion == 5 {
		return cl.Properties.Props.SessionExpiryInterval == 0
	}
	return cl.Properties.Clean
}

// endSession drops what a session holds, which the library forgets to do for
// one that expires (row 20).
func (b *Broker) endSession(cl *mqtt.Client) {
	cl.ClearInflights()
	b.server.UnsubscribeClient(cl)
	b.backlogs.by.Delete(cl.ID)
	b.nowhere(cl.ID)
}

// adopt tells l what of its session's queue the client may have seen, before
// the library hands the session over. A message that was restored from disk is
// one if its own DUP flag is set.
func (b *Broker) adopt(l *link) {
	old, ok := b.server.Clients.Get(l.id)
	if !ok || old.Properties.Clean && old.Properties.ProtocolVersion < 5 {
		return // the library begins a new session
	}
	sent := map[uint16]idState{}
	if from := linkOf(old); from != nil {
		from.mu.Lock()
		sent = maps.Clone(from.window.ids)
		from.mu.Unlock()
	} else {
		for _, pk := range old.State.Inflight.GetAll(false) {
			if pk.FixedHeader.Dup {
				sent[pk.PacketID] = idBefore
			}
		}
	}
	l.inherits, l.queued = true, old.State.Inflight.Len()
	l.strays.begin()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.window.begin(sent)
}
