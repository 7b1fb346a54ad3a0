package redis

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// Plane implements backplane.Plane. Make it with [NewPlane].
type Plane struct {
	s    *Server
	cfg  Config
	self backplane.Node
	out  *outbox
	in   *inbox

	count struct {
		published, bytes, batches, received, duplicates, malformed, gaps, caughtUp, missed, losses atomic.Uint64
	}
	up   atomic.Bool
	told atomic.Bool // the server has been told of this node

	ready chan struct{} // closed when it is known where the inbox's counting is

	mu      sync.Mutex
	beaten  bool // the newest beat was answered
	stuck   bool // something that was sent was not taken
	nodes   []backplane.Node
	emptied time.Time // when the server was last found without what this node had told it
	expiry  time.Time // when the next of the others is gone, if it says no more
	listens [backplane.Partitions]bool
	begins  [backplane.Partitions]chan struct{} // closed when the listening has begun, or has ended; nil: nobody has asked
	changed chan struct{}                       // listens have changed
	h       backplane.Handler
}

// NewPlane makes this node's place among the others. Node names must be unique: of a
// second process of the same name and another home Run answers backplane.ErrTwice.
func NewPlane(s *Server) *Plane {
	cfg := s.cfg
	p := &Plane{s: s, cfg: cfg, changed: make(chan struct{}, 1), ready: make(chan struct{}),
		self: backplane.Node{Name: cfg.Node, Life: rand.Uint64(), Since: time.Now().UTC().Truncate(time.Millisecond), Note: cfg.Note}}
	p.nodes = []backplane.Node{p.self}
	p.out, p.in = newOutbox(cfg.Queue), newInbox(cfg.Queue)
	return p
}

// Self implements backplane.Plane.
func (p *Plane) Self() string { return p.cfg.Node }

// Run implements backplane.Plane.
func (p *Plane) Run(ctx context.Context, h backplane.Handler) error {
	p.h = h
	h.Connected(false)
	g, work := errgroup.WithContext(ctx)
	g.Go(func() error { return p.live(work) })
	g.Go(func() error { p.send(work); return nil })
	g.Go(func() error { p.hear(work); return nil })
	g.Go(func() error { p.subscribe(work); return nil })
	err := g.Wait()
	if err == nil {
		p.farewell()
	}
	return err
}

// Publish implements backplane.Plane.
func (p *Plane) Publish(partition int, e backplane.Envelope) error { return p.queue(partition, "", e) }

// Send implements backplane.Plane.
func (p *Plane) Send(node string, e backplane.Envelope) error {
	if !slices.ContainsFunc(p.Nodes(), func(n backplane.Node) bool { return n.Name == node && node != p.cfg.Node }) {
		return backplane.ErrNoNode
	}
	return p.queue(backplane.Inbox, node, e)
}

func (p *Plane) queue(partition int, node string, e backplane.Envelope) error {
	if err := e.Check(); err != nil {
		return err
	}
	return p.out.put(parcel{to: channel{partition, node}, e: e})
}

// Listen implements backplane.Plane.
func (p *Plane) Listen(partition int, on bool) {
	p.mu.Lock()
	same := p.listens[partition] == on
	p.listens[partition] = on
	p.mu.Unlock()
	if !same {
		p.nudge()
	}
}

// Listening implements backplane.Plane.
func (p *Plane) Listening(partition int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begin(partition)
}

// begin is closed when the listening begins. mu is held.
func (p *Plane) begin(partition int) chan struct{} {
	if p.begins[partition] == nil {
		p.begins[partition] = make(chan struct{})
	}
	return p.begins[partition]
}

func (p *Plane) nudge() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Nodes implements backplane.Plane.
func (p *Plane) Nodes() []backplane.Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.nodes)
}

// Stats implements backplane.Plane.
func (p *Plane) Stats() backplane.Stats {
	c := &p.count
	return backplane.Stats{
		Published: c.published.Load(), Bytes: c.bytes.Load(), Batches: c.batches.Load(), Refused: p.out.refused(), Received: c.received.Load(),
		Duplicates: c.duplicates.Load(), Malformed: c.malformed.Load(), Gaps: c.gaps.Load(), CaughtUp: c.caughtUp.Load(), Missed: c.missed.Load(),
		Losses: c.losses.Load(), Connected: p.up.Load(), Nodes: len(p.Nodes()),
	}
}

// channel is where an envelope goes: a partition, or a node's inbox.
type channel struct {
	partition int
	node      string // of an inbox
}

// name is the pub/sub channel. Each has a hash tag of its own, so that a cluster
// spreads them; its history has the same.
func (c Config) name(ch channel) string { return c.Prefix + ":c:" + ch.tag(c) }

// history is the key of what went over the channel.
func (c Config) history(ch channel) string { return c.Prefix + ":h:" + ch.tag(c) }

func (ch channel) tag(c Config) string {
	if ch.partition == backplane.Inbox {
		return "{" + c.Prefix + "-node-" + ch.node + "}"
	}
	return "{" + c.Prefix + "-part-" + strconv.Itoa(ch.partition) + "}"
}

// beats and posts say whether the server answers, and whether it takes what is sent.
func (p *Plane) beats(ok bool) { p.state(func() { p.beaten = ok }) }
func (p *Plane) posts(ok bool) { p.state(func() { p.stuck = !ok }) }

// state takes news of the server; changes are told.
func (p *Plane) state(news func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news()
	up := p.beaten && !p.stuck
	if p.up.Swap(up) == up {
		return
	}
	if up {
		p.cfg.Log.Info("backplane connected", "node", p.cfg.Node)
	} else {
		p.count.losses.Add(1)
		p.cfg.Log.Warn("backplane lost", "node", p.cfg.Node)
	}
	p.in.put(arrival{state: true, up: up})
}
