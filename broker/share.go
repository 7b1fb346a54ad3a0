package broker

import (
	"math/rand/v2"

	"github.com/mochi-mqtt/server/v2/packets"
)

// pickShared picks who of each shared subscription gets a message. The library
// would pick anybody, one that is not connected included (row 25).
func (b *Broker) pickShared(groups map[string]map[string]packets.Subscription, pk *packets.Packet) map[string]packets.Subscription {
	picked := map[string]packets.Subscription{}
	for _, members := range groups {
		id, sub, ok := b.pick(members, pk)
		if !ok {
			continue
		}
		if have, twice := picked[id]; twice {
			sub = have.Merge(sub)
		}
		picked[id] = sub
	}
	return picked
}

// fitness says how good it is to give a shared message to a member.
type fitness int

const (
	unfit   fitness = iota // may not read it, has no room, or would lose it
	absent                 // has a session in which a message of QoS 1 or 2 can wait
	behind                 // is connected, and has messages waiting
	waiting                // is connected, and takes it at once
)

// pick answers the fittest member, and of equals each as often: Go begins a map
// anywhere, and yet with some of its keys more often than with others.
func (b *Broker) pick(members map[string]packets.Subscription, pk *packets.Packet) (id string, sub packets.Subscription, ok bool) {
	left := make([]string, 0, 16)
	for member := range members {
		left = append(left, member)
	}
	best := unfit
	for n := len(left); n > 0 && best < waiting; n-- {
		i := rand.IntN(n)
		member := left[i]
		left[i] = left[n-1]
		if f := b.fitness(member, members[member], pk); f > best {
			best, id = f, member
		}
	}
	return id, members[id], best > unfit
}

func (b *Broker) fitness(id string, sub packets.Subscription, pk *packets.Packet) fitness {
	cl, ok := b.server.Clients.Get(id)
	if !ok || !b.hook.OnACLCheck(cl, pk.TopicName, false) {
		return unfit
	}
	waits := min(pk.FixedHeader.Qos, sub.Qos) > 0
	if waits && cl.State.Inflight.Len() >= b.cfg.MaxQueue {
		return unfit
	}
	l := connected(cl)
	switch {
	case l == nil:
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
