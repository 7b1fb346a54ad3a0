package external

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/tacet-hub/tacet/bridge/inbox"
	"github.com/tacet-hub/tacet/broker/area"
)

// Direction is which way a bridge carries a topic.
type Direction string

// The directions, as the hub sees them.
const (
	Out  Direction = "out"
	In   Direction = "in"
	Both Direction = "both"
)

// Carried is topics that a bridge carries.
type Carried struct {
	Filter    string // topic filter behind the prefixes
	Direction Direction
	Local     string // prefix of the topics at the hub, such as "plant/"; empty: none
	Remote    string // prefix of them at the other broker; empty: none
	QoS       byte   // on the way to the other broker and from it; 0: what cannot go at once is lost
}

// BridgeConfig sets a bridge up.
type BridgeConfig struct {
	Server
	Name        string // an id; names the bridge in From, in metrics and on disk
	Carried     []Carried
	BufferBytes int // most bytes that wait for the other broker; default 16 MiB, at least 64 KiB
}

// Validate reports everything that is wrong with c.
func (c BridgeConfig) Validate() error {
	faults := []error{c.Server.Validate()}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !area.IsID(c.Name) {
		fault("name %q is not 1 to 64 of A-Z a-z 0-9 _ -", c.Name)
	}
	if c.BufferBytes != 0 && c.BufferBytes < 64<<10 {
		fault("buffer of %d bytes is less than 65536", c.BufferBytes)
	}
	if len(c.Carried) == 0 || len(c.Carried) > 100 {
		fault("%d topics, want 1 to 100", len(c.Carried))
	}
	for i, t := range c.Carried {
		if err := t.validate(); err != nil {
			fault("topics[%d]: %w", i, err)
		}
	}
	return errors.Join(faults...)
}

func (t Carried) validate() error {
	local, remote := t.Local+t.Filter, t.Remote+t.Filter
	switch {
	case t.Direction != Out && t.Direction != In && t.Direction != Both:
		return fmt.Errorf("direction %q is none of out, in, both", t.Direction)
	case t.QoS > 2:
		return fmt.Errorf("qos %d is not 0 to 2", t.QoS)
	case !area.ValidFilter(local) || !area.ValidFilter(remote) || strings.ContainsAny(t.Local+t.Remote, "+#"):
		return fmt.Errorf("%q and %q are no topic filters, or a prefix has a wildcard", local, remote)
	case strings.HasPrefix(local, "$") || strings.HasPrefix(local, "@") || strings.HasPrefix(remote, "$"):
		return fmt.Errorf("topics that begin with $ or @ are not carried")
	}
	return nil
}

// inMost and inBytes bound what came and waits for the hub.
const (
	inMost  = 10_000
	inBytes = 32 << 20
)

// Bridge carries topics between the hub and another broker. Make it with
// [NewBridge], then run it.
type Bridge struct {
	cfg  BridgeConfig
	bus  area.Bus
	log  *slog.Logger
	link *link
	out  *spool
	in   *inbox.Queue
	rest time.Duration // for what came, once nothing more comes

	unreached atomic.Uint64 // of QoS 0, while the link was down
	refusedIn atomic.Uint64
}

// NewBridge makes a bridge and reads what waits on disk. It works while Run does.
func NewBridge(cfg BridgeConfig, bus area.Bus, table Table, log *slog.Logger) (*Bridge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = 16 << 20
	}
	out, err := openSpool(cfg.Name, cfg.BufferBytes, table, log)
	if err != nil {
		return nil, err
	}
	b := &Bridge{cfg: cfg, bus: bus, log: log, out: out, in: inbox.New(inMost, inBytes), rest: goodbye}
	b.link = newLink(cfg.Server, out, log)
	b.link.receive = b.received
	b.link.receives = !slices.ContainsFunc(cfg.Carried, func(t Carried) bool { return t.Direction != In })
	for _, t := range cfg.Carried {
		if t.Direction != Out {
			// What is retained comes once, and not again when the connection does; a flag
			// says that it is, and nothing of ours comes at all.
			b.link.filters = append(b.link.filters, paho.SubscribeOptions{Topic: t.Remote + t.Filter, QoS: t.QoS, NoLocal: true, RetainAsPublished: true, RetainHandling: 1})
		}
	}
	return b, nil
}

// Connected tells whether the other broker is reached now.
func (b *Bridge) Connected() bool { return b.link.connected.Load() }

// Stats counts.
func (b *Bridge) Stats() Stats {
	s := b.link.stats()
	s.Waiting, s.Dropped = b.out.counts()
	s.Dropped += b.unreached.Load()
	s.DroppedIn, s.RefusedIn = b.in.Dropped(), b.refusedIn.Load()
	return s
}

// Run carries until ctx ends. When it returns nil, what came has been published, within
// a second, and what waits has been handed to the disk. Its error is that of a
// subscription.
func (b *Bridge) Run(ctx context.Context) error {
	for _, t := range b.cfg.Carried {
		if t.Direction == In {
			continue
		}
		cancel, err := b.bus.Subscribe(t.Local+t.Filter, func(m area.Message) { b.leave(t, m) })
		if err != nil {
			return fmt.Errorf("bridge %s: %w", b.cfg.Name, err)
		}
		defer cancel()
	}
	var linked, arriving sync.WaitGroup
	longer, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	over := make(chan struct{})
	linked.Go(func() { b.link.run(ctx) })
	arriving.Go(func() { b.arrive(longer, over) })
	tick := time.NewTicker(ripe / 2)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case now := <-tick.C:
			b.out.keep(now, false)
		case <-ctx.Done():
		}
	}
	linked.Wait()
	close(over)
	defer time.AfterFunc(b.rest, stop).Stop()
	arriving.Wait()
	b.out.keep(time.Now(), true)
	return nil
}

// leave takes a message of the hub on its way out. It is called on the publisher's
// goroutine.
func (b *Bridge) leave(t Carried, m area.Message) {
	rest, ok := strings.CutPrefix(m.Topic, t.Local)
	if !ok || area.Secret(m.Topic) || m.Topic[0] == '@' || !area.Passes(m, b.from()) {
		return
	}
	out := outgoing{topic: t.Remote + rest, payload: m.Payload, qos: t.QoS, retain: m.Retain}
	if len(out.topic) > 65535 {
		return
	}
	if out.qos == 0 && !b.link.connected.Load() {
		b.unreached.Add(1)
		return
	}
	b.out.put(out, time.Now())
}

func (b *Bridge) from() string { return area.FromBridge + ":" + b.cfg.Name }

// received takes a message of the other broker. It runs on the library's
// goroutine.
func (b *Bridge) received(p *paho.Publish) {
	for _, t := range b.cfg.Carried {
		rest, ok := strings.CutPrefix(p.Topic, t.Remote)
		if t.Direction == Out || !ok || !area.MatchFilter(t.Filter, rest) {
			continue
		}
		m := area.Message{Topic: t.Local + rest, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, From: b.from()}
		if forbidden(m.Topic) {
			b.refusedIn.Add(1)
			return
		}
		b.in.Put(m)
		return
	}
}

// forbidden tells whether nobody outside may write a topic: what the hub alone
// writes, and what is taken from who has shown who he is.
func forbidden(topic string) bool {
	if topic == "" || topic[0] == '$' || topic[0] == '@' || len(topic) > 65535 || area.HubOnly(topic) || area.Secret(topic) {
		return true
	}
	switch area.ParseTopic(topic).Kind {
	case area.KindSubmit, area.KindRequest, area.KindClaim, area.KindSet, area.KindCommand:
		return true
	}
	return false
}

// arrive publishes at the hub what came, until nothing more comes and nothing is left:
// the other broker has been told that we have it.
func (b *Bridge) arrive(ctx context.Context, over <-chan struct{}) {
	batch := make([]area.Message, 0, 256)
	for last := false; ctx.Err() == nil; {
		batch = b.in.Take(batch[:0])
		for _, m := range batch {
			if err := b.bus.Publish(ctx, m); err != nil && ctx.Err() == nil {
				b.refusedIn.Add(1)
				b.log.Warn("message of another broker not published", "rule", b.cfg.Name, "topic", m.Topic, "err", err)
			}
		}
		if len(batch) > 0 {
			clear(batch)
			continue
		}
		if last {
			return
		}
		select {
		case <-over:
			last = true
		case <-b.in.Wake():
		}
	}
}
