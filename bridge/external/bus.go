package external

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/eclipse/paho.golang/paho"

	"github.com/tacet-hub/tacet/broker/area"
)

// BusConfig sets a bus up.
type BusConfig struct {
	Server
	Node    string // name of this hub process, which tells its messages from those of others
	Several bool   // hub processes of other names at the broker are nodes of this hub; false: other hubs
}

// Stats counts what a bus or a bridge did. Those with "now" come and go.
type Stats struct {
	Connected  int    // 1: now
	Stuck      int    // 1: neither working nor trying now
	Old        int    // 1: the broker speaks no MQTT 5 now, as the last attempt found
	Waiting    int    // messages that wait to be sent now, those on their way included
	Connects   uint64 // connections so far
	Failures   uint64 // attempts that failed
	Lost       uint64 // connections that ended
	Sent       uint64 // messages that the broker has taken
	Refused    uint64 // messages that it did not take
	Unfit      uint64 // messages longer than it takes
	Received   uint64 // messages that it sent
	Dropped    uint64 // messages that found what waits full
	DroppedIn  uint64 // messages of the broker that found the way to the hub full
	RefusedIn  uint64 // messages of the broker that nobody outside may write
	Unkept     uint64 // retained messages that there was no room for
	StuckCount uint64 // times that the client was begun anew because it was stuck
}

func (l *link) stats() Stats {
	s := Stats{
		Connects: l.connects.Load(), Failures: l.failures.Load(), Lost: l.lost.Load(), Sent: l.sent.Load(), Refused: l.refused.Load(),
		Unfit: l.unfit.Load(), Received: l.received.Load(), StuckCount: l.stuckReports.Load(),
	}
	if l.connected.Load() {
		s.Connected = 1
	}
	if l.stuck.Load() {
		s.Stuck = 1
	}
	if l.old.Load() {
		s.Old = 1
	}
	return s
}

// Bus is an [area.Bus] over an outside broker. Make it with [NewBus], then run it.
type Bus struct {
	cfg  BusConfig
	log  *slog.Logger
	link *link
	out  *queue
	kept *kept
	next atomic.Int64

	mu   sync.Mutex // guards subs, and is held while they are called: a late one sees replays first, and nothing twice
	subs map[int64]*subscription
}

type subscription struct {
	filter  string
	enqueue func(area.Message)
}

var _ area.Bus = (*Bus)(nil)

// everything matches all topics but those that begin with $; brokers forbid "#"
// more often.
const everything = "+/#"

// NewBus makes a bus; it reaches the broker while Run does.
func NewBus(cfg BusConfig, log *slog.Logger) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if !area.IsID(cfg.Node) {
		return nil, errors.New("external: a node's name is needed")
	}
	b := &Bus{cfg: cfg, log: log, out: newQueue(4096, 16<<20), kept: newKept(10_000, 32<<20), subs: map[int64]*subscription{}}
	b.link = newLink(cfg.Server, b.out, log)
	b.link.filters = []paho.SubscribeOptions{{Topic: everything, QoS: 1}}
	b.link.receive = b.received
	b.link.fresh = b.repeat
	b.link.late.topic = area.Root + "/hub/" + cfg.Node + "/mark"
	return b, nil
}

// Run keeps the connection to the broker until ctx ends; it then gives what waits
// a second to go out, and returns nil.
func (b *Bus) Run(ctx context.Context) error {
	longer, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { b.link.run(longer) })
	<-ctx.Done()
	b.out.drain()
	stop()
	wg.Wait()
	return nil
}

// Connected tells whether the broker is reached now.
func (b *Bus) Connected() bool { return b.link.connected.Load() }

// Stats counts.
func (b *Bus) Stats() Stats {
	s := b.link.stats()
	s.Waiting, s.Unkept = b.out.len(), b.kept.unkept.Load()
	return s
}

// Publish queues the batch in its order; it waits where much is queued, as it is
// when the broker is away. That it returns nil says that the batch will be sent,
// unless the hub ends first. The error is an [area.Error] of code invalid, or
// ctx's.
func (b *Bus) Publish(ctx context.Context, batch ...area.Message) error {
	list := make([]outgoing, len(batch))
	for i, m := range batch {
		switch {
		case m.Topic == "" || len(m.Topic) > 65535 || !utf8.ValidString(m.Topic) || strings.ContainsAny(m.Topic, "+#\x00"):
			return area.InvalidField("topic", "is not a topic name")
		case m.QoS > 2:
			return area.InvalidField("qos", "%d is not 0 to 2", m.QoS)
		case m.From != "" && !area.ReservedClient(m.From):
			return area.InvalidField("from", "is not one of the hub's own publishers")
		}
		list[i] = outgoing{topic: m.Topic, payload: append([]byte(nil), m.Payload...), qos: m.QoS, retain: m.Retain, user: b.signature(m)}
		if m.Reply != nil {
			list[i].correlation = append([]byte(nil), m.Reply.Correlation...)
		}
	}
	return b.out.put(ctx, list)
}

// signature is how our own messages are known when they come back: the node, the
// publisher and whether it is retained, which a broker does not say of what is
// live.
func (b *Bus) signature(m area.Message) string {
	from := m.From
	if from == "" {
		from = area.FromHub
	}
	if m.Retain {
		return b.cfg.Node + " " + from + " retained"
	}
	return b.cfg.Node + " " + from
}

// Subscribe is as [area.Bus] has it. The replays are what is known to be retained;
// what the broker has to tell beside comes when it is reached. enqueue is called
// for one message at a time.
func (b *Bus) Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	if !area.ValidFilter(filter) || strings.HasPrefix(filter, "$share/") {
		return nil, area.InvalidField("filter", "is not a topic filter")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.kept.list(filter, 0) {
		enqueue(m)
	}
	n := b.next.Add(1)
	b.subs[n] = &subscription{filter, enqueue}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, n)
	}, nil
}

// Retained lists what is known to be retained, by topic, at most so many (0: all):
// what the broker told when it was reached, and what the hub has retained since.
func (b *Bus) Retained(filter string, most int) []area.Message {
	if !area.ValidFilter(filter) {
		return nil
	}
	return b.kept.list(filter, most)
}

// received hands a message of the broker to the subscribers. It runs on the
// library's goroutine.
func (b *Bus) received(p *paho.Publish) {
	if b.link.late.isMark(p) {
		return
	}
	m := area.Message{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Replay: p.Retain || b.link.late.is(p.Topic), Retain: p.Retain}
	retained := p.Retain
	if props := p.Properties; props != nil {
		signature := props.User.Get(fromProperty)
		if m.From, m.Node = b.publisher(signature); m.From != "" {
			retained = retained || strings.HasSuffix(signature, " retained")
			m.Retain = retained
		}
		if props.ResponseTopic != "" || len(props.CorrelationData) > 0 {
			m.Reply = &area.Reply{Topic: props.ResponseTopic, Correlation: props.CorrelationData}
		}
	}
	m.Conn = connOf(m)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept.put(m, retained)
	for _, s := range b.subs {
		if area.MatchFilter(s.filter, m.Topic) {
			s.enqueue(m)
		}
	}
}

// publisher is who published a message, by its signature: one of the hub's own
// publishers, at this node where none is named, or another hub. From is empty where it
// was none of them.
func (b *Bus) publisher(signature string) (from, node string) {
	node, rest, ok := strings.Cut(signature, " ")
	from, _, _ = strings.Cut(rest, " ")
	switch {
	case !ok || !area.ReservedClient(from) || !area.IsID(node):
		return "", ""
	case node == b.cfg.Node:
		return from, ""
	case b.cfg.Several:
		return from, node
	}
	return area.FromNode + ":" + node, ""
}

// connOf is a number for the connection of a device that speaks: nobody tells of
// connections, so each device has one, and the same one at every node of the hub.
func connOf(m area.Message) uint64 {
	t := area.ParseTopic(m.Topic)
	if m.Replay || t.Device == "" || m.From != "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.Device)) // never fails
	return max(1, h.Sum64())
}

// repeat sends again what this node of the hub has retained last: a broker that lost
// our session may have lost that, too.
func (b *Bus) repeat() {
	var list []outgoing
	for _, m := range b.kept.list("#", 0) {
		if m.From != "" && m.Node == "" && area.Passes(m, area.FromNode) {
			list = append(list, outgoing{topic: m.Topic, payload: m.Payload, qos: m.QoS, retain: true, user: b.signature(m)})
		}
	}
	b.out.first(list)
}
