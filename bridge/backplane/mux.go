package backplane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of [Mux.Ask].
var (
	ErrGone   = errors.New("backplane: the node is gone")
	ErrBusy   = errors.New("backplane: the node has too many questions to answer")
	ErrSilent = errors.New("backplane: the node has not answered in time")
)

// Kinds of envelopes that the mux uses itself; users have those from KindUser on.
const (
	kindAsk byte = iota + 1
	kindReply
	KindUser byte = 16
)

const (
	mostAnswering = 64               // questions of others that are answered at once; more are refused
	mostAsking    = 4096             // of our own that wait; more are refused
	longestAsk    = 60 * time.Second // however long the asker would wait
)

// Mux shares a plane among its users: envelopes go to the user of their kind, and
// nodes ask each other. Its methods are safe for concurrent use.
type Mux struct {
	plane Plane

	hear   map[byte]func(Envelope)
	answer map[byte]func(ctx context.Context, from string, body []byte) ([]byte, error)
	watch  []func(nodes []Node)
	lost   []func(origin string, partition int, n uint64)
	linked []func(up bool)

	wants [Partitions]atomic.Int64

	ctx     context.Context
	tasks   sync.WaitGroup
	running chan struct{}
	count   struct{ asked, answered, refused, silent, unsent atomic.Uint64 }

	mu     sync.Mutex
	last   uint64
	asking map[uint64]*asked
	news   chan struct{} // closed at the next change of the nodes
	cut    chan struct{} // closed when others can no longer be reached; nil while they cannot
}

// asked is one question to one node.
type asked struct {
	node  string
	life  uint64        // the node's, when it was asked
	reply chan answered // has room for one
}

type answered struct {
	body []byte
	err  error
}

// NewMux makes the mux of a plane. Users register before it runs.
func NewMux(p Plane) *Mux {
	return &Mux{plane: p, hear: map[byte]func(Envelope){}, answer: map[byte]func(context.Context, string, []byte) ([]byte, error){},
		asking: map[uint64]*asked{}, news: make(chan struct{}), running: make(chan struct{}, mostAnswering)}
}

// Plane is what the mux shares.
func (m *Mux) Plane() Plane { return m.plane }

// OnHear has envelopes of a kind, KindUser or above, handed to f, which only
// enqueues.
func (m *Mux) OnHear(kind byte, f func(Envelope)) {
	if m.hear[kind] != nil {
		panic(fmt.Sprintf("backplane: kind %d is heard twice", kind))
	}
	m.hear[kind] = f
}

// OnAsk has questions of a kind answered by f. Each is a goroutine of its own; ctx
// ends when the asker waits no longer.
func (m *Mux) OnAsk(kind byte, f func(ctx context.Context, from string, body []byte) ([]byte, error)) {
	if m.answer[kind] != nil {
		panic(fmt.Sprintf("backplane: kind %d is answered twice", kind))
	}
	m.answer[kind] = f
}

// OnNodes has f told of each change of the nodes that live; it only enqueues.
func (m *Mux) OnNodes(f func([]Node)) { m.watch = append(m.watch, f) }

// OnMissed has f told of each gap; it only enqueues.
func (m *Mux) OnMissed(f func(origin string, partition int, n uint64)) { m.lost = append(m.lost, f) }

// OnConnected has f told whether others can be reached; it only enqueues.
func (m *Mux) OnConnected(f func(up bool)) { m.linked = append(m.linked, f) }

// Run runs the plane until ctx ends, and answers questions.
func (m *Mux) Run(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	m.ctx = work
	err := m.plane.Run(ctx, muxHandler{m})
	stop()
	m.tasks.Wait()
	return err
}

// Want counts who wants to hear of a target: the partition is listened to while
// somebody does.
func (m *Mux) Want(target string, on bool) {
	p := Partition(target)
	switch {
	case on && m.wants[p].Add(1) == 1:
		m.plane.Listen(p, true)
	case !on && m.wants[p].Add(-1) == 0:
		m.relisten(p)
	}
}

// Await blocks until what other nodes publish for a target, which somebody wants to hear
// of, is heard here: until the listening has begun, the others cannot be reached, or ctx
// ends.
func (m *Mux) Await(ctx context.Context, target string) {
	m.mu.Lock()
	cut := m.cut
	m.mu.Unlock()
	if cut == nil {
		return
	}
	select {
	case <-m.plane.Listening(Partition(target)):
	case <-cut:
	case <-ctx.Done():
	}
}

// relisten ends the listening, unless somebody wants to hear meanwhile.
func (m *Mux) relisten(p int) {
	m.plane.Listen(p, false)
	if m.wants[p].Load() > 0 {
		m.plane.Listen(p, true)
	}
}

// Publish sends e to every node that wants to hear of the target.
func (m *Mux) Publish(target string, e Envelope) error {
	return m.plane.Publish(Partition(target), e)
}

// Ask puts a question to nodes, all others where none is named, and calls reply for
// each, in the order of the answers, until it answers false. It blocks until all
// have answered, are gone, or ctx ends; a node that has not answered then is
// reported with [ErrSilent].
func (m *Mux) Ask(ctx context.Context, kind byte, nodes []string, body []byte, reply func(node string, body []byte, err error) bool) {
	if nodes == nil {
		for _, n := range m.plane.Nodes() {
			if n.Name != m.plane.Self() {
				nodes = append(nodes, n.Name)
			}
		}
	}
	if len(nodes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, longestAsk)
	defer cancel()
	type one struct {
		node string
		answered
	}
	all := make(chan one, len(nodes))
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	for _, n := range nodes {
		tasks.Go(func() {
			b, err := m.ask(ctx, kind, n, body)
			all <- one{n, answered{b, err}}
		})
	}
	for range nodes {
		if a := <-all; !reply(a.node, a.body, a.err) {
			return
		}
	}
}

// ask puts a question to one node.
func (m *Mux) ask(ctx context.Context, kind byte, node string, body []byte) ([]byte, error) {
	q := &asked{node: node, life: m.lifeOf(node), reply: make(chan answered, 1)}
	id, err := m.open(q)
	if err != nil {
		return nil, err
	}
	defer m.close(id)
	wait := longestAsk
	if end, ok := ctx.Deadline(); ok {
		wait = max(0, time.Until(end))
	}
	b := binary.LittleEndian.AppendUint64(nil, id)
	b = binary.LittleEndian.AppendUint32(append(b, kind), uint32(wait.Milliseconds()))
	if err := m.plane.Send(node, Envelope{Kind: kindAsk, Body: append(b, body...)}); err != nil {
		return nil, err
	}
	m.count.asked.Add(1)
	select {
	case a := <-q.reply:
		return a.body, a.err
	case <-ctx.Done():
		m.count.silent.Add(1)
		return nil, fmt.Errorf("%w: %s", ErrSilent, node)
	}
}

// lifeOf is the life of a node that is alive; 0 of another.
func (m *Mux) lifeOf(node string) uint64 {
	for _, n := range m.plane.Nodes() {
		if n.Name == node {
			return n.Life
		}
	}
	return 0
}

func (m *Mux) open(q *asked) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asking) >= mostAsking {
		return 0, ErrFull
	}
	m.last++
	m.asking[m.last] = q
	return m.last, nil
}

func (m *Mux) close(id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.asking, id)
}

// MuxStats counts questions since the start.
type MuxStats struct {
	Asked    uint64 // of our own, one for each node
	Silent   uint64 // of these, not answered in time
	Answered uint64 // of others
	Refused  uint64 // of others, since too many were being answered
	Unsent   uint64 // answers to others that could not be sent while they waited
}

// Stats is a snapshot of the counters.
func (m *Mux) Stats() MuxStats {
	c := &m.count
	return MuxStats{Asked: c.asked.Load(), Silent: c.silent.Load(), Answered: c.answered.Load(), Refused: c.refused.Load(), Unsent: c.unsent.Load()}
}

// muxHandler is the mux as its plane sees it.
type muxHandler struct{ m *Mux }

func (h muxHandler) Heard(e Envelope) {
	switch e.Kind {
	case kindAsk:
		h.m.asked(e)
	case kindReply:
		h.m.replied(e)
	default:
		if f := h.m.hear[e.Kind]; f != nil {
			f(e)
		}
	}
}

func (h muxHandler) Missed(origin string, partition int, n uint64) {
	for _, f := range h.m.lost {
		f(origin, partition, n)
	}
}

func (h muxHandler) Connected(up bool) {
	h.m.reached(up)
	for _, f := range h.m.linked {
		f(up)
	}
}

// reached takes whether others can be reached.
func (m *Mux) reached(up bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case up && m.cut == nil:
		m.cut = make(chan struct{})
	case !up && m.cut != nil:
		close(m.cut)
		m.cut = nil
	}
}

// Changed ends the questions to nodes that are gone, or live another life, and has
// answers to nodes that were not known tried again.
func (h muxHandler) Changed(nodes []Node) {
	h.m.mu.Lock()
	for id, q := range h.m.asking {
		if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == q.node && n.Life == q.life }) {
			delete(h.m.asking, id)
			q.reply <- answered{err: fmt.Errorf("%w: %s", ErrGone, q.node)}
		}
	}
	close(h.m.news)
	h.m.news = make(chan struct{})
	h.m.mu.Unlock()
	for _, f := range h.m.watch {
		f(nodes)
	}
}

const askHead = 8 + 1 + 4

// asked answers a question of another node, in a goroutine of its own.
func (m *Mux) asked(e Envelope) {
	if len(e.Body) < askHead {
		return
	}
	id, kind := e.Body[:8], e.Body[8]
	wait := time.Duration(binary.LittleEndian.Uint32(e.Body[9:])) * time.Millisecond
	f := m.answer[kind]
	if f == nil {
		f = func(context.Context, string, []byte) ([]byte, error) {
			return nil, fmt.Errorf("backplane: no question of kind %d is answered here", kind)
		}
	}
	select {
	case m.running <- struct{}{}:
	default:
		m.count.refused.Add(1)
		if m.reply(e.Origin, id, nil, ErrBusy) != nil {
			m.count.unsent.Add(1)
		}
		return
	}
	m.tasks.Go(func() {
		defer func() { <-m.running }()
		ctx, stop := context.WithTimeout(m.ctx, min(wait, longestAsk))
		defer stop()
		b, err := f(ctx, e.Origin, e.Body[askHead:])
		m.count.answered.Add(1)
		m.deliver(ctx, e.Origin, id, b, err)
	})
}

// deliver sends an answer. An asker that is not known at the moment, as when the
// server between the nodes was emptied, gets it when it is known again, if it waits
// for so long.
func (m *Mux) deliver(ctx context.Context, to string, id, body []byte, err error) {
	for {
		m.mu.Lock()
		news := m.news
		m.mu.Unlock()
		unsent := m.reply(to, id, body, err)
		if errors.Is(unsent, ErrTooLarge) {
			unsent = m.reply(to, id, nil, fmt.Errorf("%w: an answer of %d bytes", ErrTooLarge, len(body)))
		}
		if unsent == nil {
			return
		}
		if !errors.Is(unsent, ErrNoNode) {
			m.count.unsent.Add(1)
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			m.count.unsent.Add(1)
			return
		}
	}
}

func (m *Mux) reply(to string, id, body []byte, err error) error {
	b := append(slices.Clone(id), 0)
	if err != nil {
		b[len(b)-1], body = 1, []byte(err.Error())
	}
	return m.plane.Send(to, Envelope{Kind: kindReply, Body: append(b, body...)})
}

func (m *Mux) replied(e Envelope) {
	if len(e.Body) < 9 {
		return
	}
	m.mu.Lock()
	id := binary.LittleEndian.Uint64(e.Body)
	q := m.asking[id]
	if q != nil && q.node == e.Origin {
		delete(m.asking, id)
	} else {
		q = nil
	}
	m.mu.Unlock()
	switch {
	case q == nil:
	case e.Body[8] == 0:
		q.reply <- answered{body: e.Body[9:]}
	default:
		q.reply <- answered{err: errors.New(string(e.Body[9:]))}
	}
}
