package broker

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/relay"
)

// What goes to the brokers of other nodes, and what comes from them (package relay).
// A message goes out where it is published, here, and nowhere else: what came from
// another node is given to this node's subscribers alone.

// hubSubscriber begins the names under which the hub's own subscriptions are told to
// other nodes: no client id begins so.
const hubSubscriber = "tacet-hub/"

// mostHops bounds how often a message of a shared subscription is handed on, when the
// node that got it has nobody there any more.
const mostHops = 3

// subscribedHere tells the other nodes that somebody here has a filter.
func (b *Broker) subscribedHere(client, filter string) {
	if b.cfg.Relay != nil && filter != "" {
		b.cfg.Relay.Subscribed(client, filter, b.sessions.get(client) != nil)
	}
}

func (b *Broker) unsubscribedHere(client, filter string) {
	if b.cfg.Relay != nil && filter != "" {
		b.cfg.Relay.Unsubscribed(client, filter)
	}
}

// tellFilters tells of those filters of a SUBSCRIBE that were granted.
func (b *Broker) tellFilters(client string, subs packets.Subscriptions, codes []byte) {
	for i, sub := range subs {
		if codes[i] <= packets.CodeGrantedQos2.Code {
			b.subscribedHere(client, sub.Filter)
		}
	}
}

// Rerouted implements relay.Broker.
func (b *Broker) Rerouted() { b.audience.changed() }

// fanOut gives a message to the clients who subscribe to its topic, and to the other
// nodes that have some.
func (b *Broker) fanOut(who *audience, pk *packets.Packet, m mark) {
	if !who.carried || !area.Passes(area.Message{From: pk.Origin}, area.FromNode) {
		b.deliverAll(who, who.shared, pk)
		return
	}
	shared, given := b.allot(who, pk, who.shared, "")
	b.deliverAll(who, shared, pk)
	to := who.away.Nodes
	if m.at != 0 {
		to = b.cfg.Relay.Others() // each has all that is retained
	}
	b.sendAway(&away{pk: *pk, mark: m}, to, given)
}

// allot picks, for each shared subscription that has members at other nodes, the node
// whose member gets the message: here those are left of shared, and given says which
// node gets which. Every member that is connected has the same chance; the node named
// without has none.
func (b *Broker) allot(who *audience, pk *packets.Packet, shared map[string]map[string]packets.Subscription, without string) (here map[string]map[string]packets.Subscription, given map[string][]string) {
	if len(who.away.Shares) == 0 {
		return shared, nil
	}
	here, given = map[string]map[string]packets.Subscription{}, map[string][]string{}
	for filter, members := range shared {
		here[filter] = members
	}
	for _, s := range who.away.Shares {
		if node := b.pickNode(s, here[s.Filter], pk, without); node != "" {
			delete(here, s.Filter)
			given[node] = append(given[node], s.Filter)
		}
	}
	return here, given
}

// pickNode picks the node for a message of a shared subscription; empty: this one.
func (b *Broker) pickNode(s relay.Share, members map[string]packets.Subscription, pk *packets.Packet, without string) string {
	ours, absents := 0, 0
	for id, sub := range members {
		switch f := b.fitness(id, sub, pk); {
		case f >= behind:
			ours++
		case f == absent:
			absents++
		}
	}
	all, any := ours, ""
	for node, n := range s.Members {
		if node != without {
			all, any = all+n, node
		}
	}
	if all == 0 { // nobody is connected anywhere: a session that waits, here rather than there
		if absents > 0 {
			return ""
		}
		return any
	}
	at := rand.IntN(all) - ours
	for node, n := range s.Members {
		if node == without {
			continue
		}
		if at >= 0 && at < n {
			return node
		}
		at -= n
	}
	return ""
}

// sendAway hands a message to other nodes: to those in all for their subscribers, and
// to those in given for the shared subscriptions that they have been picked for.
func (b *Broker) sendAway(x *away, all []string, given map[string][]string) {
	if len(all)+len(given) == 0 {
		return
	}
	body := x.encodeBody()
	for _, node := range all {
		if b.passes(&x.pk, node) {
			b.cfg.Relay.Send(node, x.encode(body, true, given[node]), x.pk.FixedHeader.Qos, x.mark.at != 0)
		}
	}
	for node, shares := range given {
		if !slices.Contains(all, node) && b.passes(&x.pk, node) {
			b.cfg.Relay.Send(node, x.encode(body, false, shares), x.pk.FixedHeader.Qos, false)
		}
	}
}

// passes tells whether a node gets what another broker has published over a bridge: not
// where it has that bridge itself.
func (b *Broker) passes(pk *packets.Packet, node string) bool {
	return !strings.HasPrefix(pk.Origin, area.FromBridge+":") || !b.cfg.Relay.HasSide(node, pk.Origin)
}

// Receive implements relay.Broker: it gives a message of another node to this node's
// subscribers.
func (b *Broker) Receive(node string, record []byte) {
	x, ok := b.read(node, record)
	if !ok {
		return
	}
	pk := &x.pk
	if x.mark.at != 0 && x.all {
		b.keepAway(pk, x.mark) // an older one is news all the same
	}
	who := b.audienceOf(pk.TopicName)
	if x.all {
		b.handAway(who, pk, node, x.mark.at != 0, false)
	}
	shared := map[string]map[string]packets.Subscription{}
	var missing []string
	for _, filter := range x.shares {
		if members := who.shared[filter]; b.anyFit(members, pk) {
			shared[filter] = members
		} else {
			missing = append(missing, filter)
		}
	}
	if x.all {
		b.deliverAll(who, shared, pk)
	} else {
		b.deliverAll(&audience{}, shared, pk)
	}
	if len(missing) > 0 {
		b.handOn(who, pk, missing, node, x.hops)
	}
}

// read takes a message of another node apart, and gives it its place here.
func (b *Broker) read(node string, record []byte) (away, bool) {
	x, err := decodeAway(record)
	if err != nil {
		b.count.unreadable.Add(1)
		b.warn("message of another node cannot be read", "node", node, "err", err)
		return away{}, false
	}
	x.pk.Created = b.lastMsg.Add(1)
	return x, true
}

// handAway gives a message of another node to the hub's subscribers that want it. One
// that was missed when it was published, which is retained, is old news.
func (b *Broker) handAway(who *audience, pk *packets.Packet, node string, retained, missed bool) {
	if len(who.inline) == 0 {
		return
	}
	m := messageOf(*pk)
	m.Node, m.Replay = node, missed
	for _, s := range who.inline {
		if s.reach == atAny || s.reach == atHereOrKept && retained {
			s.hand(m)
		}
	}
}

func (b *Broker) anyFit(members map[string]packets.Subscription, pk *packets.Packet) bool {
	for id, sub := range members {
		if b.fitness(id, sub, pk) > unfit {
			return true
		}
	}
	return false
}

// handOn hands a message of a shared subscription that has nobody here any more to
// another node that has, or counts it as dropped.
func (b *Broker) handOn(who *audience, pk *packets.Packet, filters []string, from string, hops byte) {
	lost := len(filters)
	if hops < mostHops {
		sub := &audience{away: relay.Route{Shares: slices.DeleteFunc(slices.Clone(who.away.Shares), func(s relay.Share) bool { return !slices.Contains(filters, s.Filter) })}}
		_, given := b.allot(sub, pk, nil, "")
		for _, list := range given {
			lost -= len(list)
		}
		b.sendAway(&away{pk: *pk, hops: hops + 1}, nil, given)
	}
	if lost > 0 {
		b.count.unshared.Add(int64(lost))
		b.warn("message of a shared subscription dropped, nobody is there any more", "node", from, "topic", pk.TopicName, "n", lost)
	}
}

// away is a message on its way to another node.
type away struct {
	pk     packets.Packet
	all    bool     // for all who subscribe there; else for the shares alone
	shares []string // shared subscriptions of which one member there gets it
	hops   byte     // how often it was handed on
	mark   mark     // where it is retained; else zero
}

// encodeBody is what is the same for every node.
func (x *away) encodeBody() []byte {
	out := append([]byte{recordVersion}, encodeBody(x.pk)...)
	user := ""
	if len(x.pk.Filters) == 1 {
		user = x.pk.Filters[0].Filter
	}
	return x.mark.append(append(appendText(out, user), x.hops))
}

func (x *away) encode(body []byte, all bool, shares []string) []byte {
	out := make([]byte, 0, len(body)+8)
	out = append(append(out, body...), byte(bit(all)))
	out = binary.AppendUvarint(out, uint64(len(shares)))
	for _, s := range shares {
		out = appendText(out, s)
	}
	return out
}

func decodeAway(record []byte) (x away, err error) {
	r := &reader{rest: record}
	r.bad = r.byte() != recordVersion
	x.pk = decodeBody(r)
	user := string(r.text())
	x.hops = r.byte()
	x.mark = readMark(r)
	x.all = r.byte() == 1
	for n := r.number(); n > 0 && !r.bad; n-- {
		x.shares = append(x.shares, string(r.text()))
	}
	if err := r.end(); err != nil {
		return away{}, err
	}
	x.pk.Filters[0].Filter = user
	return x, nil
}
