package broker

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/relay"
)

// audience is who subscribes to a topic. The library makes four maps to find
// out, for each message; here the answer is kept until a subscription changes.
type audience struct {
	inline  []*subscription
	members []member
	shared  map[string]map[string]packets.Subscription
	carried bool        // other nodes get what is published there
	away    relay.Route // which
}

// member is a client with what it subscribed to, put together.
type member struct {
	client string
	sub    packets.Subscription
	ids    []int // subscription identifiers, sorted
}

// audiences are those of topics of late. They are bounded by the clients in
// them; the overflow policy is to forget all and begin anew, which costs time
// alone.
type audiences struct {
	epoch atomic.Uint64 // grows when subscriptions have changed

	mu    sync.RWMutex
	of    uint64 // epoch of what is kept
	by    map[string]*audience
	heads int
}

// audienceMost bounds audiences: about 100 bytes each.
const audienceMost = 1 << 16

// changed is called after a subscription has changed, and before the client is
// told.
func (a *audiences) changed() { a.epoch.Add(1) }

func (a *audiences) get(topic string) *audience {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.of != a.epoch.Load() {
		return nil
	}
	return a.by[topic]
}

// put keeps what was found in an epoch, unless it is over.
func (a *audiences) put(topic string, found *audience, epoch uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := 1 + len(found.members) + len(found.inline)
	if a.by == nil || a.of != epoch || a.heads+size > audienceMost {
		a.of, a.by, a.heads = epoch, map[string]*audience{}, 0
	}
	a.by[topic] = found
	a.heads += size
}

// audienceOf finds who subscribes to a topic. The answer is shared: it must not
// be changed.
func (b *Broker) audienceOf(topic string) *audience {
	if found := b.audience.get(topic); found != nil {
		return found
	}
	epoch := b.audience.epoch.Load()
	subs := b.server.Topics.Subscribers(topic)
	found := &audience{shared: subs.Shared}
	for id := range subs.InlineSubscriptions {
		if s, ok := b.subs.Load(id); ok && s.(*subscription).wants(topic) {
			found.inline = append(found.inline, s.(*subscription))
		}
	}
	for id, sub := range subs.Subscriptions {
		found.members = append(found.members, newMember(id, sub))
	}
	if b.cfg.Relay != nil && relay.Carries(topic) {
		found.carried, found.away = true, b.cfg.Relay.Route(topic)
	}
	b.audience.put(topic, found, epoch)
	return found
}

func newMember(id string, sub packets.Subscription) member {
	m := member{client: id, sub: sub}
	for _, n := range sub.Identifiers {
		if n > 0 {
			m.ids = append(m.ids, n)
		}
	}
	slices.Sort(m.ids)
	return m
}

// chosen answers the members for one message: with those that were picked from
// the shared subscriptions that this node serves, where there are some.
func (b *Broker) chosen(a *audience, shared map[string]map[string]packets.Subscription, pk *packets.Packet) []member {
	if len(shared) == 0 {
		return a.members
	}
	picked := b.pickShared(shared, pk)
	all := make([]member, 0, len(a.members)+len(picked))
	for _, m := range a.members {
		if sub, ok := picked[m.client]; ok { // one message, however it is subscribed to
			delete(picked, m.client)
			m.sub.Identifiers = maps.Clone(m.sub.Identifiers)
			m = newMember(m.client, m.sub.Merge(sub))
		}
		all = append(all, m)
	}
	for id, sub := range picked {
		all = append(all, newMember(id, sub.Merge(sub)))
	}
	return all
}
