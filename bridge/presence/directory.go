package presence

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// Conn is a connection as all nodes know it.
type Conn struct {
	ID         string            `json:"id"`
	Node       string            `json:"-"`
	User       string            `json:"user,omitempty"` // empty: nobody in particular
	Groups     []string          `json:"groups,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	About      json.RawMessage   `json:"about,omitempty"` // what else the hub tells of it; the user's
}

// Config says which kinds of the backplane are the directory's, and bounds it.
type Config struct {
	Kind  byte          // of envelopes, and of questions; no other user has it
	Beat  time.Duration // between two words of a node; default 1 s
	Inbox int           // words of others that wait; default 8,192
	Log   *slog.Logger
}

// Topic is the target over which nodes tell of their connections.
const topic = "presence"

// Directory knows the connections of all nodes. Make it with [New] before the mux runs,
// then run it. It is safe for concurrent use.
type Directory struct {
	cfg      Config
	mux      *backplane.Mux
	self     string
	life     uint64
	describe func(id string) (Conn, bool)
	gone     func([]Conn)
	heard    chan event
	wake     chan struct{}
	listed   chan []backplane.Node // the newest list of nodes, not taken yet
	count    struct{ dropped, synced, malformed, unsent atomic.Uint64 }

	mu    sync.Mutex // guards what follows
	dirty map[string]struct{}
	own   *members
	nodes map[string]*node // the others
}

// members is the connections of one node.
type members struct {
	rev   uint64 // number of the newest word
	conns map[string]Conn
	users map[string]int
}

func newMembers() *members { return &members{conns: map[string]Conn{}, users: map[string]int{}} }

func (m *members) set(c Conn) {
	m.drop(c.ID)
	m.conns[c.ID] = c
	if c.User != "" {
		m.users[c.User]++
	}
}

func (m *members) drop(id string) {
	c, ok := m.conns[id]
	if !ok {
		return
	}
	delete(m.conns, id)
	if c.User == "" {
		return
	}
	if m.users[c.User]--; m.users[c.User] == 0 {
		delete(m.users, c.User)
	}
}

// New makes a directory. describe tells of an own connection, false where it is gone; it
// is called by Run's goroutine.
func New(cfg Config, m *backplane.Mux, describe func(id string) (Conn, bool)) *Directory {
	if cfg.Beat == 0 {
		cfg.Beat = time.Second
	}
	if cfg.Inbox == 0 {
		cfg.Inbox = 8192
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{
		cfg: cfg, mux: m, self: m.Plane().Self(), life: rand.Uint64(), describe: describe, gone: func([]Conn) {},
		heard: make(chan event, cfg.Inbox), wake: make(chan struct{}, 1), listed: make(chan []backplane.Node, 1),
		dirty: map[string]struct{}{}, own: newMembers(), nodes: map[string]*node{},
	}
	m.OnHear(cfg.Kind, func(e backplane.Envelope) { d.put(event{from: e.Origin, body: e.Body}) })
	m.OnAsk(cfg.Kind, func(_ context.Context, _ string, body []byte) ([]byte, error) { return d.piece(string(body)) })
	m.OnNodes(d.list)
	m.OnMissed(func(origin string, _ int, _ uint64) { d.put(event{from: origin}) })
	m.Want(topic, true)
	return d
}

// OnGone has f told of the connections of a node that is gone, or has begun anew. It is
// called with a lock held: it must only enqueue. Before Run only.
func (d *Directory) OnGone(f func([]Conn)) { d.gone = f }

// Stats counts. Those without "now" only grow.
type Stats struct {
	Connections int    // of other nodes, now
	Dropped     uint64 // words of others that found the queue full
	Malformed   uint64 // words of others that could not be read
	Synced      uint64 // times that a node was asked for everything it has
	Unsent      uint64 // own words that the backplane did not take
}

// Stats is a snapshot of the counters.
func (d *Directory) Stats() Stats {
	s := Stats{Dropped: d.count.dropped.Load(), Malformed: d.count.malformed.Load(), Synced: d.count.synced.Load(), Unsent: d.count.unsent.Load()}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		s.Connections += len(n.conns)
	}
	return s
}

// Changed says that an own connection has come, gone, or become another. It does not
// block, and may be called with locks held.
func (d *Directory) Changed(id string) {
	d.mu.Lock()
	d.dirty[id] = struct{}{}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Others lists the connections of other nodes that fit, in the order of their ids. fits
// must be quick, and not call the directory.
func (d *Directory) Others(fits func(Conn) bool) (list []Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		list = n.fitting(list, fits)
	}
	slices.SortFunc(list, byID)
	return list
}

// All lists the connections of all nodes that fit, as Others does. An own one is among
// them a moment after it has come.
func (d *Directory) All(fits func(Conn) bool) (list []Conn) {
	list = d.Others(fits)
	d.mu.Lock()
	defer d.mu.Unlock()
	list = d.own.fitting(list, fits)
	slices.SortFunc(list, byID)
	return list
}

func byID(a, b Conn) int { return strings.Compare(a.ID, b.ID) }

func (m *members) fitting(list []Conn, fits func(Conn) bool) []Conn {
	for c := range maps.Values(m.conns) {
		if fits(c) {
			list = append(list, c)
		}
	}
	return list
}

// ConnectionsOfUser lists the connections of a user at all nodes.
func (d *Directory) ConnectionsOfUser(user string) []Conn {
	return d.All(func(c Conn) bool { return user != "" && c.User == user })
}

// ConnectionsOfGroup lists the members of a group at all nodes.
func (d *Directory) ConnectionsOfGroup(group string) []Conn {
	return d.All(func(c Conn) bool { return slices.Contains(c.Groups, group) })
}

// ConnectionsWith lists the connections with an attribute at all nodes.
func (d *Directory) ConnectionsWith(key, value string) []Conn {
	return d.All(func(c Conn) bool { v, ok := c.Attributes[key]; return ok && v == value })
}

// IsUserOnline tells whether a user is connected to any node.
func (d *Directory) IsUserOnline(user string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		if n.users[user] > 0 {
			return true
		}
	}
	return d.own.users[user] > 0
}

// silence is for how many beats a node may say nothing before its connections count no
// longer against a user's limit: who was on a node that was killed may come back at once.
const silence = 3

// Elsewhere counts the connections of a user at other nodes that are not silent.
func (d *Directory) Elsewhere(user string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, other := range d.nodes {
		if time.Since(other.heard) < silence*d.cfg.Beat {
			n += other.users[user]
		}
	}
	return n
}
