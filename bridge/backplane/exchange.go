package backplane

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// inboxLen bounds what waits in a node of an [Exchange]. More is refused to the
// sender and told to the receiver as missed.
const inboxLen = 8192

// Exchange joins nodes of one process. Its zero value is ready.
type Exchange struct {
	mu    sync.Mutex
	nodes map[string]*member
}

// Join makes a node. Its name must not be taken by one that runs.
func (x *Exchange) Join(name, note string) Plane {
	return &member{x: x, node: Node{Name: name, Life: rand.Uint64(), Since: time.Now().UTC(), Note: note}, wake: make(chan struct{}, 1)}
}

// Alone is the plane of a node that has no others.
func Alone(name string) Plane { return new(Exchange).Join(name, "") }

// member is one node of an exchange. Its fields are guarded by the exchange's
// mutex.
type member struct {
	x       *Exchange
	node    Node
	wake    chan struct{}
	running bool
	listens [Partitions]bool
	inbox   []Envelope
	missed  []hole
	changed bool
	stats   Stats
}

type hole struct {
	origin    string
	partition int
	n         uint64
}

func (m *member) Self() string { return m.node.Name }

func (m *member) Run(ctx context.Context, h Handler) error {
	h.Connected(false)
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	h.Connected(true)
	for {
		for m.hand(h) {
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		}
	}
}

func (m *member) enter() error {
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	if m.x.nodes == nil {
		m.x.nodes = map[string]*member{}
	}
	if m.x.nodes[m.node.Name] != nil {
		return ErrTwice
	}
	m.x.nodes[m.node.Name], m.running = m, true
	m.x.tell()
	return nil
}

func (m *member) leave() {
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	delete(m.x.nodes, m.node.Name)
	m.running, m.inbox, m.missed = false, nil, nil
	m.x.tell()
}

// tell has every node be told who is there.
func (x *Exchange) tell() {
	for _, m := range x.nodes {
		m.changed = true
		m.nudge()
	}
}

func (m *member) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// hand gives h what waits; false when nothing did.
func (m *member) hand(h Handler) bool {
	m.x.mu.Lock()
	inbox, missed, changed := m.inbox, m.missed, m.changed
	m.inbox, m.missed, m.changed = nil, nil, false
	var nodes []Node
	if changed {
		nodes = m.x.list()
	}
	m.stats.Received += uint64(len(inbox))
	m.x.mu.Unlock()
	if changed {
		h.Changed(nodes)
	}
	for _, e := range inbox {
		h.Heard(e)
	}
	for _, o := range missed {
		h.Missed(o.origin, o.partition, o.n)
	}
	return changed || len(inbox)+len(missed) > 0
}

func (x *Exchange) list() []Node {
	var list []Node
	for _, m := range x.nodes {
		list = append(list, m.node)
	}
	slices.SortFunc(list, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (m *member) Publish(partition int, e Envelope) error {
	if err := e.Check(); err != nil {
		return err
	}
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	m.stats.Published++
	m.stats.Bytes += uint64(len(e.Body))
	e.Origin = m.node.Name
	var err error
	for _, to := range m.x.nodes {
		if to != m && to.listens[partition] {
			err = m.give(to, partition, e, err)
		}
	}
	return err
}

func (m *member) Send(node string, e Envelope) error {
	if err := e.Check(); err != nil {
		return err
	}
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	to := m.x.nodes[node]
	if to == nil || to == m {
		return ErrNoNode
	}
	m.stats.Published++
	m.stats.Bytes += uint64(len(e.Body))
	e.Origin = m.node.Name
	return m.give(to, Inbox, e, nil)
}

// give puts e into to's inbox. The exchange's mutex is held.
func (m *member) give(to *member, partition int, e Envelope, before error) error {
	if len(to.inbox) >= inboxLen {
		m.stats.Refused++
		to.miss(m.node.Name, partition)
		return ErrFull
	}
	to.inbox = append(to.inbox, e)
	to.nudge()
	return before
}

func (m *member) miss(origin string, partition int) {
	m.stats.Missed++
	for i := range m.missed {
		if o := &m.missed[i]; o.origin == origin && o.partition == partition {
			o.n++
			return
		}
	}
	m.stats.Gaps++
	m.missed = append(m.missed, hole{origin, partition, 1})
}

func (m *member) Listen(partition int, on bool) {
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	m.listens[partition] = on
}

// Listening is closed from the first: listening begins at once.
func (m *member) Listening(int) <-chan struct{} { return begun }

var begun = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (m *member) Nodes() []Node {
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	return m.x.list()
}

func (m *member) Stats() Stats {
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	s := m.stats
	s.Batches, s.Connected, s.Nodes = s.Published, m.running, len(m.x.nodes)
	return s
}
