package broker

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/interest"
)

// Publish sends the batch in its order, in the name of Message.From, which is
// one of the hub's own publishers ("tacet-…"; empty: [area.FromHub]) and
// travels to subscribers unchanged. No subscriber sees the second message
// before the first. It does not wait for any of them; a client whose queue is
// full misses the message, and that is counted. Payloads are copied.
//
// The batch is checked as a whole first: an error of code invalid or draining,
// or ctx's, means that nothing was sent. All publications of the hub to one
// topic must come from one goroutine: see the package comment.
func (b *Broker) Publish(ctx context.Context, batch ...area.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.closing() {
		return area.Errorf(area.CodeDraining, "the broker is closed")
	}
	for i := range batch {
		if err := b.checkOwn(&batch[i]); err != nil {
			return err
		}
	}
	for i := range batch {
		m := &batch[i]
		pk := ownPacket(m.Topic, slices.Clone(m.Payload), m.QoS, m.Retain, cmp.Or(m.From, area.FromHub))
		if m.Reply != nil {
			pk.Properties.CorrelationData = slices.Clone(m.Reply.Correlation)
		}
		if err := b.server.InjectPacket(b.own, pk); err != nil {
			return area.Errorf(area.CodeInternal, "publish: %s", err)
		}
	}
	return nil
}

// checkOwn checks a message of our own publishers.
func (b *Broker) checkOwn(m *area.Message) error {
	switch {
	case m.Topic == "" || len(m.Topic) > 65535 || !utf8.ValidString(m.Topic) || strings.ContainsAny(m.Topic, "+#\x00"):
		return area.InvalidField("topic", "is not a topic name")
	case b.foreign(m.Topic):
		return area.InvalidField("topic", "begins with @, which belongs to a tenant")
	case m.QoS > 2:
		return area.InvalidField("qos", "%d is not 0 to 2", m.QoS)
	case m.From != "" && !area.ReservedClient(m.From):
		return area.InvalidField("from", "is not one of the hub's own publishers")
	}
	return nil
}

// ownPacket is a publication of ours as the library takes it. OnPublish finds
// the publisher in a field that PUBLISH does not use.
func ownPacket(topic string, payload []byte, qos byte, retain bool, from string) packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Retain: retain},
		TopicName:   topic,
		Payload:     payload,
	}
	if qos > 0 {
		pk.PacketID = 1 // the library wants one, and does not use it
	}
	pk.Connect.ClientIdentifier = from
	return pk
}

// messageOf is a publication as our subscribers see it. The payload is not
// copied: the library gives every packet bytes of its own, and never changes
// them.
func messageOf(pk packets.Packet) area.Message {
	m := area.Message{
		Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain,
		From: pk.Origin,
	}
	if len(pk.Filters) == 1 { // tagOf
		m.Conn, m.Will, m.User = uint64(pk.Filters[0].Identifier), pk.Filters[0].NoLocal, pk.Filters[0].Filter
	}
	if p := &pk.Properties; p.ResponseTopic != "" || len(p.CorrelationData) > 0 {
		m.Reply = &area.Reply{Topic: p.ResponseTopic, Correlation: p.CorrelationData}
	}
	return m
}

// reach is whose messages a subscription gets.
type reach uint8

const (
	atHere       reach = iota // what comes in at this node
	atHereOrKept              // and what is retained, which every node has
	atAny                     // what comes in at any node
)

// subscription hands messages to one subscriber of ours, one at a time.
type subscription struct {
	b      *Broker
	filter string
	reach  reach

	mu      sync.Mutex // held while calling enqueue: that is what makes cancel exact and replays come first
	enqueue func(area.Message)
}

// live is called by the library, for what it publishes itself ($SYS).
func (s *subscription) live(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
	if s.wants(pk.TopicName) {
		s.hand(messageOf(pk))
	}
}

// wants tells whether a topic is really one of the subscription's: the library's
// own matching lets "#" see $SYS.
func (s *subscription) wants(topic string) bool {
	return area.MatchFilter(s.filter, topic) && !s.b.foreign(topic)
}

// hand is called on the publisher's goroutine.
func (s *subscription) hand(m area.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enqueue != nil {
		s.enqueue(m)
	}
}

func (s *subscription) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue = nil
}

// Subscribe calls enqueue for each message that matches the filter, the
// retained ones first with Replay set; see [area.Bus]. From is the client id of
// the publisher or one of our own names, Conn the number of its connection (0
// for our own), Will set for a will; a replayed message has them as well.
//
// enqueue is never called twice at a time. It runs on the publisher's
// goroutine: it must not block, publish, or call its own cancel. A topic that
// is retained while Subscribe runs may come twice. The error is of code
// invalid; shared subscriptions are refused. It takes no wall time and does not
// block.
//
// Where there are several nodes, it is only called for what comes in at this one; see
// [Broker.SubscribeEverywhere].
func (b *Broker) Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	return b.subscribeInline(filter, atHere, enqueue)
}

// SubscribeKept is Subscribe, and for what other nodes retain: Node of such a message
// says at which it came in. Every node has that, so no other is asked for anything.
func (b *Broker) SubscribeKept(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	return b.subscribeInline(filter, atHereOrKept, enqueue)
}

// SubscribeEverywhere is Subscribe for what comes in at any node of the hub: Node of
// such a message says where, and Conn is 0. Every node gets such a message: who sends
// something on for all nodes must leave those of other nodes to them.
func (b *Broker) SubscribeEverywhere(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	return b.subscribeInline(filter, atAny, enqueue)
}

func (b *Broker) subscribeInline(filter string, of reach, enqueue func(area.Message)) (cancel func(), err error) {
	if _, shared := interest.CutShare(filter); shared || !area.ValidFilter(filter) {
		return nil, area.InvalidField("filter", "is not a topic filter")
	}
	s := &subscription{b: b, filter: filter, reach: of, enqueue: enqueue}
	id := int(b.lastSub.Add(1)) // the library lets a second one of the same number overwrite the first (row 30)
	filters := []string{filter}
	if parent, ok := strings.CutSuffix(filter, "/#"); ok {
		filters = append(filters, parent) // the library's "a/#" misses "a" (row 30)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.subs.Store(id, s)
	for _, f := range filters {
		b.server.Topics.InlineSubscribe(mqtt.InlineSubscription{
			Subscription: packets.Subscription{Filter: f, Identifier: id},
			Handler:      s.live,
		})
	}
	b.audience.changed()
	name := hubSubscriber + strconv.Itoa(id)
	if of == atAny {
		b.subscribedHere(name, filter)
	}
	for _, pk := range b.scan(filter) {
		m := messageOf(pk)
		m.Retain, m.Replay, m.Node = true, true, b.nodeOf(pk.TopicName)
		if of > atHere || m.Node == "" {
			enqueue(m)
		}
	}
	return func() {
		for _, f := range filters {
			b.server.Topics.InlineUnsubscribe(id, f)
		}
		b.subs.Delete(id)
		b.audience.changed()
		if of == atAny {
			b.unsubscribedHere(name, filter)
		}
		s.cancel()
	}, nil
}

// Retained answers the retained messages that match the filter, ordered by
// topic, at most so many (0: all). $SYS is left out unless the filter names it.
func (b *Broker) Retained(filter string, most int) []area.Message {
	if !area.ValidFilter(filter) {
		return nil
	}
	found := b.scan(filter)
	slices.SortFunc(found, func(x, y packets.Packet) int { return cmp.Compare(x.TopicName, y.TopicName) })
	if most > 0 && len(found) > most {
		found = found[:most]
	}
	out := make([]area.Message, len(found))
	for i, pk := range found {
		out[i] = messageOf(pk)
		out[i].Retain, out[i].Replay, out[i].Node = true, true, b.nodeOf(pk.TopicName)
	}
	return out
}

// scan reads what is retained for the hub: not what belongs to a tenant.
func (b *Broker) scan(filter string) []packets.Packet {
	return slices.DeleteFunc(b.match(filter), func(pk packets.Packet) bool {
		return b.foreign(pk.TopicName) || !b.mayServe(pk)
	})
}

// match reads the library's retained messages, those of the level above "#"
// included, which the library leaves out (row 22).
func (b *Broker) match(filter string) []packets.Packet {
	b.retained.RLock()
	defer b.retained.RUnlock()
	found := b.scanTree(filter)
	if parent, ok := strings.CutSuffix(filter, "/#"); ok {
		found = append(found, b.scanTree(parent)...)
	}
	return slices.DeleteFunc(found, func(pk packets.Packet) bool { return !area.MatchFilter(filter, pk.TopicName) })
}
