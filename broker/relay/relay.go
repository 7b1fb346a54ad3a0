package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
)

// Wire joins the relays of the nodes: what is sent to a node comes there once at
// most, in order. It is safe for concurrent use. What comes is handed to
// [Relay.Hear], [Relay.Missed], [Relay.Nodes] and [Relay.Connected].
type Wire interface {
	// Send queues a word for one node. It does not block; the word must not be
	// changed afterwards.
	Send(node string, word []byte) error
	// Ask puts a question to one node, whose relay answers by [Relay.Answer]. It
	// blocks until that has, is gone, or ctx ends.
	Ask(ctx context.Context, node string, question []byte) ([]byte, error)
}

// Broker is this node's, as the relay uses it.
type Broker interface {
	// Receive takes a message of another node, in the form that the broker there has
	// given to [Relay.Send]. It is called by one goroutine and must not block.
	Receive(node string, record []byte)
	// Sums are those of all that is retained here and carried.
	Sums() Sums
	// Differing answers what is retained in the buckets whose sums are others, in the
	// form that Keep takes, deletions too: about so many bytes at most, and more tells
	// whether that was not all.
	Differing(than Sums, most int) (records [][]byte, more bool)
	// Keep takes what another node retains, where it is newer, and tells whether it
	// was. It is called like Receive.
	Keep(node string, record []byte) bool
	// Answer answers a question that the broker of another node has put by
	// [Relay.Ask].
	Answer(ctx context.Context, from string, question []byte) ([]byte, error)
	// Elsewhere says that another node has a newer session of a client: the one here
	// is to end. It is called like Receive.
	Elsewhere(client string)
	// Rerouted says that what [Relay.Route] has answered counts no longer. It must
	// not call the relay.
	Rerouted()
}

// Config bounds a relay. The zero value of all but Node is its default.
type Config struct {
	Node    string   // name of this node
	Sides   []string // publishers of the hub that this node has itself, such as a bridge to another broker: what they publish at other nodes it does not want
	Queue   int      // most bytes that wait after they were heard; default 16 MiB
	Waiting int      // most bytes of QoS 1 and 2 that are handed to the wire while it is down; default 4 MiB
	Unsure  int      // most bytes that are remembered for each node of what was sent to it with QoS 1 or 2, until it is known to be kept there: see [Relay.Unsure]. 0: nothing
	Filters int      // most filters that the others are told; over it they are told that everything is wanted. Default 50,000
	Log     *slog.Logger
}

// Validate reports all that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.Node == "" {
		errs = append(errs, errors.New("relay: the node has no name"))
	}
	if c.Queue < 0 || c.Waiting < 0 || c.Filters < 0 || c.Unsure < 0 {
		errs = append(errs, fmt.Errorf("relay: a bound is negative: queue %d, waiting %d, filters %d, unsure %d", c.Queue, c.Waiting, c.Filters, c.Unsure))
	}
	return errors.Join(errs...)
}

func (c Config) filled() Config {
	if c.Queue == 0 {
		c.Queue = 16 << 20
	}
	if c.Waiting == 0 {
		c.Waiting = 4 << 20
	}
	if c.Filters == 0 {
		c.Filters = 50_000
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Stats counts since the start, but for those that say "now".
type Stats struct {
	Sent       uint64 // messages handed to the wire, one for each node
	SentBytes  uint64 // of them
	Received   uint64 // messages of other nodes
	Lost       uint64 // of QoS 1 and 2 that the wire did not take, or that found too many waiting while it was down
	Discarded  uint64 // of QoS 0 that the wire did not take, or while it was down
	Dropped    uint64 // words that found the queue full after they were heard
	Missed     uint64 // words of other nodes that the wire has lost
	Malformed  uint64 // words that could not be read
	Tellings   uint64 // words about facts, sent
	Retold     uint64 // of them, all facts for one node
	Deferred   uint64 // retained ones that the wire did not take; they are made good
	Compared   uint64 // times that what is retained here was compared with what another node has
	Mended     uint64 // retained messages that were sent to others since they lacked them, or might
	TooLarge   uint64 // messages that the wire takes none of: they stay at their node
	Notes      uint64 // handed to the wire, one for each node
	NotesLost  uint64 // that the wire did not take, or while it was down
	NotesHeard uint64 // of other nodes
	Forgotten  uint64 // messages that were not known to be kept at their node when more were sent there than [Config].Unsure has room for
	FiltersOff uint64 // times that there were too many filters to tell
	Filters    int    // that others are told, now
	Nodes      int    // others, now
	Untold     int    // of them, those that have not told what they want, now
}

type counters struct {
	sent, sentBytes, received, lost, discarded, missed, malformed, tellings, retold, filtersOff, deferred, compared, mended, tooLarge, notes, notesLost, notesHeard, forgotten atomic.Uint64
}

// Relay joins a broker with those of other nodes. Its methods are safe for
// concurrent use, and only Run blocks.
type Relay struct {
	cfg    Config
	log    *slog.Logger
	wire   Wire
	broker Broker
	onNote func(node, topic string, note []byte)
	in     queue
	wake   chan struct{}
	count  counters

	up      atomic.Bool
	waiting atomic.Int64 // bytes that were handed to the wire while it is down

	mu         sync.RWMutex
	peers      map[string]*peer
	left       map[string]map[string]string // of nodes that are gone: what they had told of clients
	leftUnsure map[string]*unsure           // and what was unsure
	gone       []string                     // their names, the one that is gone for longest first
	own        facts
	subs       subs
	notes      map[string]int // how many here want those of a topic
	asked      uint64         // version of our facts that somebody waits for the others to know
	news       chan struct{}  // closed when what somebody may wait for has changed
}

// New makes a relay that knows neither its broker nor a wire yet.
func New(cfg Config) (*Relay, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	r := &Relay{cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), peers: map[string]*peer{}, left: map[string]map[string]string{}, leftUnsure: map[string]*unsure{}, own: newFacts(), notes: map[string]int{}, news: make(chan struct{})}
	r.onNote = func(string, string, []byte) {}
	r.in = queue{most: cfg.Queue, wake: r.wake}
	r.subs = newSubs(cfg.Filters, &r.own)
	for _, s := range cfg.Sides {
		r.own.set(key(aboutSide, s), "")
	}
	return r, nil
}

// Serve names the broker, before anything else is called.
func (r *Relay) Serve(b Broker) { r.broker = b }

// Join names the wire, before Run. Until then there are no other nodes.
func (r *Relay) Join(w Wire) { r.wire = w }

// Up tells whether the wire is up.
func (r *Relay) Up() bool { return r.up.Load() }

// Stats is a snapshot of the counters.
func (r *Relay) Stats() Stats {
	c := &r.count
	s := Stats{
		Sent: c.sent.Load(), SentBytes: c.sentBytes.Load(), Received: c.received.Load(), Lost: c.lost.Load(), Discarded: c.discarded.Load(),
		Dropped: r.in.lost(), Missed: c.missed.Load(), Malformed: c.malformed.Load(), Tellings: c.tellings.Load(), Retold: c.retold.Load(),
		Notes: c.notes.Load(), NotesLost: c.notesLost.Load(), NotesHeard: c.notesHeard.Load(),
		Forgotten: c.forgotten.Load(), FiltersOff: c.filtersOff.Load(), Deferred: c.deferred.Load(), Compared: c.compared.Load(), Mended: c.mended.Load(), TooLarge: c.tooLarge.Load(),
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	s.Nodes, s.Filters = len(r.peers), len(r.subs.by)
	for _, p := range r.peers {
		if !p.told {
			s.Untold++
		}
	}
	return s
}

// ownTopics are those on which a hub process speaks with itself.
const ownTopics = area.Root + "/hub/"

// Carries tells whether messages on a topic go to other nodes: not those by which
// areas are arbitrated, which every node publishes itself (package arbiter), nor
// what each node tells of itself.
func Carries(topic string) bool {
	switch t := area.ParseTopic(topic); t.Kind {
	case area.KindBusy, area.KindFlag, area.KindSet, area.KindClaim, area.KindAreaWork, area.KindLeader, area.KindPoll, area.KindVote,
		area.KindGrant, area.KindWork, area.KindPeers, area.KindTrunkUp, area.KindTrunkDown:
		return false
	case area.KindResponse: // of a request that may have come from anywhere
		return true
	}
	return !area.HubOnly(topic) && !area.Shown(topic) && !strings.HasPrefix(topic, ownTopics)
}

// Route is where messages on a topic go beside this node.
type Route struct {
	Nodes  []string // those that have, or may have, a subscriber of their own
	Shares []Share  // shared subscriptions that have members there
}

// Share is a shared subscription and how many members are connected at each node that
// has some, connected or not.
type Share struct {
	Filter  string // as it was asked for
	Members map[string]int
}

// Route answers where messages on a topic go, for a topic that is carried. The
// answer may be kept until [Broker.Rerouted].
func (r *Relay) Route(topic string) (to Route) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, p := range r.peers {
		if p.mayWant(topic) {
			to.Nodes = append(to.Nodes, name)
		}
		for f, n := range p.shares {
			if shares(f, topic) {
				to.share(f, name, n)
			}
		}
	}
	return to
}

func (to *Route) share(filter, node string, n int) {
	for i := range to.Shares {
		if to.Shares[i].Filter == filter {
			to.Shares[i].Members[node] = n
			return
		}
	}
	to.Shares = append(to.Shares, Share{filter, map[string]int{node: n}})
}

// Others are the other nodes.
func (r *Relay) Others() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]string, 0, len(r.peers))
	for name := range r.peers {
		all = append(all, name)
	}
	return all
}

// LinkSide tells the other nodes whether one of our Sides reaches its other side now. It
// does not block, nor call back.
func (r *Relay) LinkSide(from string, linked bool) {
	value := ""
	if linked {
		value = sideLinked
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own.set(key(aboutSide, from), value)
	r.nudge()
}

// SideLinked tells whether a publisher of the hub at a node, this one too, was said to
// reach its other side.
func (r *Relay) SideLinked(node, from string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if node == r.cfg.Node {
		return r.own.all[key(aboutSide, from)] == sideLinked
	}
	p := r.peers[node]
	return p != nil && p.sides[from]
}

// HasSide tells whether another node has a publisher of the hub itself.
func (r *Relay) HasSide(node, from string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p := r.peers[node]
	if p == nil {
		return false
	}
	_, has := p.sides[from]
	return has
}

// mostRecord bounds the form of a message, in bytes: a wire takes 1 MiB at least.
const mostRecord = 1<<20 - 1<<10

// Node is the name of this node.
func (r *Relay) Node() string { return r.cfg.Node }

// Send hands a message to the wire for one node. It does not block: what the wire
// does not take, and what is too much while it is down, is counted as lost, or as
// discarded with QoS 0. One that is retained, of any QoS, is made good when the wire
// is up again.
func (r *Relay) Send(node string, record []byte, qos byte, retained bool) {
	if r.tooLarge(record) {
		return
	}
	word := append(make([]byte, 0, 1+len(record)), wordMessage)
	word = append(word, record...)
	ok := r.mayWait(len(word), qos, retained) && r.wire.Send(node, word) == nil
	if !ok && retained {
		r.owe(node)
	}
	switch {
	case ok:
		if qos > 0 && r.cfg.Unsure > 0 {
			r.remember(node, word[1:])
		}
		r.count.sent.Add(1)
		r.count.sentBytes.Add(uint64(len(word)))
	case retained:
		r.count.deferred.Add(1)
	case qos == 0:
		r.count.discarded.Add(1)
	default:
		r.count.lost.Add(1)
	}
}

// mayWait tells whether a message may be handed to the wire as it stands.
func (r *Relay) mayWait(n int, qos byte, retained bool) bool {
	if r.up.Load() {
		return true
	}
	return qos > 0 && !retained && r.waiting.Add(int64(n)) <= int64(r.cfg.Waiting)
}
