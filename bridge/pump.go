package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/inbox"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// Config bounds a pump. Zero values mean the defaults.
type Config struct {
	Inbox       int // most messages that wait; default 16,384, more than a hub with a full topic list replays at once
	InboxBytes  int // most bytes of them; default 32 MiB
	Mirror      int // most messages from groups that wait for the broker; default 1,024
	Topics      int // most topics in the list; default 10,000
	TopicsBytes int // most bytes of them; default 32 MiB
}

func (c Config) withDefaults() Config {
	for p, v := range map[*int]int{&c.Inbox: 16_384, &c.InboxBytes: 32 << 20, &c.Mirror: 1024, &c.Topics: 10_000, &c.TopicsBytes: 32 << 20} {
		if *p == 0 {
			*p = v
		}
	}
	return c
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	if c.Inbox < 0 || c.InboxBytes < 0 || c.Mirror < 0 || c.Topics < 0 || c.TopicsBytes < 0 {
		return errors.New("bridge: a bound is negative")
	}
	return nil
}

// The sample of topics: never more than 20 in any second, both ends of it
// counted, and topics wait two seconds at most.
const (
	topicGap  = 52 * time.Millisecond
	topicWait = 40
)

// Areas knows which areas there are.
type Areas interface {
	Area(a area.Name) (area.Area, bool)
}

// Parts are what a pump stands on. Bus also brings what other nodes of the hub retain,
// named as such: the pump learns from it how sensors speak; their readings, and what is
// sent to groups of all nodes, are left to the node where it came in. Others may be nil:
// this node is alone. Retained may be nil, where the broker is not ours.
//
// Acts is set where all nodes hear one broker, and so everything: it tells whether what
// follows from a message for all of the hub is this node's to do, as it is of exactly one
// node. nil: it is where the message came in.
type Parts struct {
	Bus      area.Bus
	Others   Others
	Hub      Burst // Run's
	Here     Hub   // the connections of this node alone: for old news, which those of others have had; nil: Hub
	Mappings *mapping.Table
	Readings Readings
	Areas    Areas
	Retained Retainer
	Acts     func(area.Message) bool
	Now      func() time.Time
}

// Stats counts what a pump did.
type Stats struct {
	Messages      uint64            // taken from the bus
	Readings      uint64            // sent to watchers
	Events        uint64            // sent to mapped groups
	Moments       uint64            // of sensors, sent to watchers: a button that was pressed
	Mirrored      uint64            // messages of group topics sent to their groups
	Dropped       uint64            // messages that found the inbox full
	MirrorDropped uint64            // messages of groups that found the way to the broker full
	MirrorRefused uint64            // messages of groups, or to them, that may not pass
	MirrorFailed  uint64            // messages of groups that the broker did not take
	SampledOut    uint64            // messages that group topics did not get
	ShownDropped  uint64            // readings of other nodes that found too many waiting
	ViewsSampled  uint64            // topics and readings that views did not get
	TopicsEvicted uint64            // topics that left the list for others
	TopicsUnknown uint64            // lists of topics of other nodes that did not come, or not whole
	Notes         uint64            // of other nodes' pumps
	NotesUnread   uint64            // of them, that could not be read
	Faults        map[string]uint64 // what made no good reading, by [mapping.Reason]
}

type counters struct {
	messages, readings, events, moments, mirrored, mirrorRefused, mirrorFailed, sampledOut, topicsUnknown, notes, notesUnread atomic.Uint64
}

// Pump carries messages between topics and groups.
type Pump struct {
	Parts
	log       *slog.Logger
	in        *inbox.Queue
	out       *inbox.Queue
	elsewhere *elsewhere
	hearsAll  bool // of what comes in at any node
	topics    *topics
	views     views
	rules     atomic.Pointer[mapping.Table]
	reader    *mapping.Reader // Run's
	ready     chan struct{}
	count     counters

	mu     sync.Mutex // guards faults
	faults map[string]uint64

	sample sampler   // Run's
	quiet  time.Time // Run's: no line about faults before this
}

// New makes a pump; it does nothing before Run.
func New(cfg Config, parts Parts, log *slog.Logger) (*Pump, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if parts.Bus == nil || parts.Hub == nil || parts.Mappings == nil || parts.Readings == nil || parts.Areas == nil || parts.Now == nil {
		return nil, errors.New("bridge: a part is missing")
	}
	if parts.Others == nil {
		parts.Others = noOthers{}
	}
	all := parts.Acts != nil
	if !all {
		parts.Acts = cameInHere
	}
	if parts.Here == nil {
		parts.Here = parts.Hub
	}
	cfg = cfg.withDefaults()
	p := &Pump{
		Parts: parts, log: log, in: inbox.New(cfg.Inbox, cfg.InboxBytes), out: inbox.New(cfg.Mirror, cfg.InboxBytes),
		topics: newTopics(cfg.Topics, cfg.TopicsBytes), ready: make(chan struct{}), faults: map[string]uint64{}, reader: mapping.NewReader(),
		elsewhere: newElsewhere(), hearsAll: all, sample: sampler{gap: topicGap, most: topicWait},
	}
	p.rules.Store(parts.Mappings)
	return p, nil
}

// Remap puts other rules in the place of the mappings; the next message is read
// by them. It is safe for concurrent use.
func (p *Pump) Remap(rules *mapping.Table) { p.rules.Store(rules) }

// Ready is closed when Run has subscribed: no message after that is missed.
func (p *Pump) Ready() <-chan struct{} { return p.ready }

// Run subscribes to all topics and works until ctx ends; it then returns nil.
// Its error is that of the subscription.
func (p *Pump) Run(ctx context.Context) error {
	cancel, err := p.Bus.Subscribe("#", p.in.Put)
	if err != nil {
		return fmt.Errorf("subscribe to all topics: %w", err)
	}
	defer cancel()
	deaf, err := p.hearOthers()
	if err != nil {
		return fmt.Errorf("subscribe to what is submitted elsewhere: %w", err)
	}
	defer deaf()
	close(p.ready)
	var wg sync.WaitGroup
	wg.Go(func() { p.publish(ctx) })
	p.loop(ctx)
	wg.Wait()
	return nil
}

func (p *Pump) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	batch := make([]area.Message, 0, 256)
	for ctx.Err() == nil {
		batch = p.in.Take(batch[:0])
		for _, m := range batch {
			p.handle(m)
		}
		p.showElsewhere()
		full := len(batch) == cap(batch)
		clear(batch)
		pause := p.sendSample()
		p.Hub.Flush()
		if full {
			continue
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
		case <-p.in.Wake():
		case <-p.elsewhere.wake:
		case <-timer.C:
		}
	}
}

// sendSample sends what group topics may get now, and answers how long there
// is nothing more to send.
func (p *Pump) sendSample() time.Duration {
	if m, ok := p.sample.due(p.Now()); ok {
		p.Hub.SendLatest(GroupTopics, eventTopic, m.Topic, show(m))
		p.tell(m)
	}
	p.count.sampledOut.Store(p.sample.out)
	if d := p.sample.sleep(p.Now()); d >= 0 {
		return d
	}
	return time.Hour
}

func cameInHere(m area.Message) bool { return m.Node == "" }

// handle does everything that one message asks for. Of what comes in at another node
// the sample and the views have what they want by other ways, unless this one hears all.
func (p *Pump) handle(m area.Message) {
	if p.note(m) {
		return
	}
	p.count.messages.Add(1)
	seen := sampled{m, p.Now()}
	t := p.topics.put(seen)
	if hidden(t) {
		return
	}
	if !m.Replay {
		if m.Node == "" || p.hearsAll {
			p.sample.offer(seen)
			offer(&p.views.topics, seen)
		}
		if t.Area != "" {
			stateToWatchers(p.Hub, t.Area, eventTopic, m.Topic, show(seen))
		}
	}
	if t.Kind == area.KindGroup && p.Acts(m) { // the node that acts on it sends it to all of the group
		p.toGroup(m, t)
	}
	p.mapped(seen)
}

// mappedEvent is the argument of a mapped group's event. Retained is MQTT's
// word: this copy came out of the broker's store, so it is old news.
type mappedEvent struct {
	Topic    string            `json:"topic"`
	Payload  any               `json:"payload"`
	Retained bool              `json:"retained"`
	Captures map[string]string `json:"captures"`
}

// blame counts what was wrong with a message, and says so once a second at
// most.
func (p *Pump) blame(m area.Message, faults *mapping.Faults) {
	worst := ""
	p.mu.Lock()
	faults.Each(func(r mapping.Reason, n uint32) {
		p.faults[r.String()] += uint64(n)
		worst = r.String()
	})
	p.mu.Unlock()
	p.sayOnce(p.Now(), "message makes no good reading", "topic", m.Topic, "err", worst)
}

// sayOnce writes a line about foreign messages, once a second at most.
func (p *Pump) sayOnce(now time.Time, text string, attrs ...any) {
	if now.Before(p.quiet) {
		return
	}
	p.quiet = now.Add(time.Second)
	p.log.Warn(text, attrs...)
}

// Stats counts.
func (p *Pump) Stats() Stats {
	p.mu.Lock()
	faults := maps.Clone(p.faults)
	p.mu.Unlock()
	c := &p.count
	return Stats{
		Messages: c.messages.Load(), Readings: c.readings.Load(), Events: c.events.Load(), Moments: c.moments.Load(), Mirrored: c.mirrored.Load(),
		Dropped: p.in.Dropped(), MirrorDropped: p.out.Dropped(), MirrorRefused: c.mirrorRefused.Load(), MirrorFailed: c.mirrorFailed.Load(),
		SampledOut: c.sampledOut.Load(), ViewsSampled: p.views.sampledOut.Load(), TopicsEvicted: p.topics.evicted.Load(), Faults: faults,
		TopicsUnknown: c.topicsUnknown.Load(), Notes: c.notes.Load(), NotesUnread: c.notesUnread.Load(), ShownDropped: p.elsewhere.dropped.Load(),
	}
}
