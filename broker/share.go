package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// OnSelectSubscribers picks who of each shared subscription gets a message. The
// library picks anybody, one that is not connected included (row 25).
func (h *hook) OnSelectSubscribers(subs *mqtt.Subscribers, pk packets.Packet) *mqtt.Subscribers {
	subs.SharedSelected = map[string]packets.Subscription{}
	for _, members := range subs.Shared {
		id, sub, ok := h.pick(members, pk)
		if !ok {
			continue
		}
		if have, twice := subs.SharedSelected[id]; twice {
			sub = have.Merge(sub)
		}
		subs.SharedSelected[id] = sub
	}
	subs.Shared = nil // else the library picks where nobody was
	return subs
}

// fitness says how good it is to give a shared message to a member.
type fitness int

const (
	unfit   fitness = iota // may not read it, has no room, or would lose it
	absent                 // has a session in which a message of QoS 1 or 2 can wait
	behind                 // is connected, and has messages waiting
	waiting                // is connected, and takes it at once
)

// pick answers the fittest member, and a random one of equals: Go begins a map
// anywhere.
func (h *hook) pick(members map[string]packets.Subscription, pk packets.Packet) (id string, sub packets.Subscription, ok bool) {
	best := unfit
	for member, s := range members {
		if f := h.fitness(member, s, pk); f > best {
			best, id, sub = f, member, s
			if f == waiting {
				break
			}
		}
	}
	return id, sub, best > unfit
}

func (h *hook) fitness(id string, sub packets.Subscription, pk packets.Packet) fitness {
	cl, ok := h.b.server.Clients.Get(id)
	if !ok || !h.OnACLCheck(cl, pk.TopicName, false) {
		return unfit
	}
	waits := min(pk.FixedHeader.Qos, sub.Qos) > 0
	if waits && cl.State.Inflight.Len() >= h.b.cfg.MaxQueue {
		return unfit
	}
	l := linkOf(cl)
	switch {
	case l == nil || cl.Closed():
		if waits && !endsWithConnection(cl) {
			return absent
		}
		return unfit
	case l.keepsUp():
		return waiting
	}
	return behind
}

// keepsUp tells whether nothing waits for the client.
func (l *link) keepsUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.window.busy() && l.window.fits(l.window.most) && l.out.hasRoom()
}
