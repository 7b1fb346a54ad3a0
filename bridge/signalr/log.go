package signalr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Log numbers the events of groups for all nodes of a cluster, and keeps them for a time:
// a position that one node has given out is a position at every other. Its events reach
// members, those of the node that sends them too, when they have their number; so all
// members see them in one order, and what a killed node has shown anybody is kept.
//
// While the log is away a node sends without numbers: to its own members at once, to
// others as the cluster can. The group then has an epoch of that node's own, and when the
// log is back another one for all, so that who comes back with a position of before is
// told of a gap.
type Log interface {
	// Numbers tells whether the log numbers the events of a group. It must be quick.
	Numbers(group string) bool
	// Append queues a record to be put behind those of its group, and calls placed
	// once, from a goroutine of the log, for the records of a group in their order: with
	// the record's place, or an error, after which nobody knows whether it is there. It
	// does not block; what its queue does not take gets an error at once.
	Append(group string, record []byte, placed func(Position, error))
	// Open answers where groups stand, and begins an epoch for one that has none, or
	// none behind those that are named (empty: any will do).
	Open(ctx context.Context, groups, behind []string) ([]Position, error)
	// Since lists the records of a group behind a position, oldest first; gap says that
	// some are gone, and that the epoch is another.
	Since(ctx context.Context, group string, from Position) (list []Record, gap bool, err error)
}

// Record is an event as a [Log] keeps it.
type Record struct {
	// At is the record's place.
	At Position
	// Body is what was appended. It must not be changed.
	Body []byte
}

// Later tells whether an epoch of a [Log] came after another. They are decimal numbers
// that grow; empty is before all.
func Later(epoch, than string) bool {
	a, err := strconv.ParseUint(epoch, 10, 64)
	b, _ := strconv.ParseUint(than, 10, 64) // one of a node's own is no number: 0
	return err == nil && a > b
}

// Bounds of what is numbered.
const (
	logPatience = 5 * time.Second // for the log's answer, by who joins
	mostAhead   = 1024            // events of a group that wait for one before them; more are read again
	recentIDs   = 256             // newest events of a group that are known when they come again, with a number or without
)

// Kinds of letters for what is numbered; the others are in cluster.go.
const (
	toNumbered byte = iota + 32 // Body begins with the position
	toLoose                     // what could not be numbered
)

// numbering is what a group has whose events the log numbers. It is guarded by the
// group's order.
type numbering struct {
	ready  atomic.Bool         // pos is the log's
	loose  atomic.Bool         // pos is our own: since the log's something was sent without number
	epoch  string              // the newest one of the log that was seen here
	was    string              // the newest one in which it was ready
	base   uint64              // the server's own history has what came behind this offset
	ahead  map[uint64]*arrival // by offset; of the log's epoch
	recent [recentIDs]uint64   // ids of the newest events
	next   int
	news   chan struct{} // closed when it becomes ready, or loose
	since  time.Time     // when it was made
	holds  int           // who waits for it; guarded by rooms
}

func newNumbering() *numbering {
	return &numbering{ahead: map[uint64]*arrival{}, news: make(chan struct{}), since: time.Now()}
}

// knows tells whether an event has come before, and remembers it.
func (n *numbering) knows(id uint64) bool {
	if slices.Contains(n.recent[:], id) {
		return true
	}
	n.recent[n.next] = id
	n.next = (n.next + 1) % recentIDs
	return false
}

// tell wakes who waits for the group's position.
func (n *numbering) tell() {
	select {
	case <-n.news:
	default:
		close(n.news)
	}
}

// arrival is an event of a numbered group.
type arrival struct {
	head recordHead
	e    *event
}

// recordHead is the first line of a record; the event follows in its wire form.
type recordHead struct {
	ID     uint64   `json:"id"`
	Except []string `json:"except,omitempty"`
	Not    []string `json:"not,omitempty"` // members of these groups have it already
}

// parseArrival reads a record.
func parseArrival(b []byte) (*arrival, error) {
	head, wire, ok := bytes.Cut(b, []byte("\n"))
	a := &arrival{}
	if !ok || json.Unmarshal(head, &a.head) != nil {
		return nil, errWire
	}
	var err error
	a.e, err = parseWire(wire)
	return a, err
}

func (a *arrival) record() ([]byte, error) {
	head, err := json.Marshal(a.head)
	if err != nil {
		return nil, err
	}
	wire, err := a.e.wire()
	return append(append(head, '\n'), wire...), err
}

// scribe is what a server has of its log.
type scribe struct {
	log  Log
	last atomic.Uint64 // id of the newest event of ours
	away atomic.Bool
	wake chan struct{}

	mu    sync.Mutex
	needs map[string]struct{} // groups whose position, or some event, is to be read
	lines map[string]*sending // groups to which something is being sent
}

// sending is what is on its way to a group: the log is asked for places, and, once it is
// away, what follows waits behind that.
type sending struct {
	asked int
	loose []func()
}

// wait takes an event that goes out without number, behind what was sent before; false:
// the log is to be asked, and done called then.
func (w *scribe) wait(group string, send func()) bool {
	w.mu.Lock()
	l := w.lines[group]
	if l == nil {
		l = &sending{}
		w.lines[group] = l
	}
	l.asked++
	if !w.away.Load() && len(l.loose) == 0 {
		w.mu.Unlock()
		return false
	}
	l.loose = append(l.loose, send)
	alone := l.asked == 1
	w.mu.Unlock()
	if alone {
		w.flush(group, l)
	}
	return true
}

// done says that the log has answered.
func (w *scribe) done(group string) {
	w.mu.Lock()
	l := w.lines[group]
	l.asked--
	rest := l.asked > 0 && l.asked == len(l.loose)
	if l.asked == 0 {
		delete(w.lines, group)
	}
	w.mu.Unlock()
	if rest {
		w.flush(group, l)
	}
}

// flush sends what has waited, until nothing does. Who comes meanwhile waits behind it.
func (w *scribe) flush(group string, l *sending) {
	for {
		w.mu.Lock()
		if len(l.loose) == 0 {
			if l.asked == 0 {
				delete(w.lines, group)
			}
			w.mu.Unlock()
			return
		}
		send := l.loose[0]
		w.mu.Unlock()
		send()
		w.mu.Lock()
		l.loose = l.loose[1:]
		l.asked--
		w.mu.Unlock()
	}
}

func newScribe(l Log) *scribe {
	w := &scribe{log: l, wake: make(chan struct{}, 1), needs: map[string]struct{}{}, lines: map[string]*sending{}}
	w.last.Store(uint64(time.Now().UnixNano()) << 8) // no id of another node, or life, is near
	return w
}

// need has a group looked after.
func (w *scribe) need(group string) {
	w.mu.Lock()
	w.needs[group] = struct{}{}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *scribe) take() (groups []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for g := range w.needs {
		groups = append(groups, g)
	}
	clear(w.needs)
	return groups
}

// numbers tells whether the events of a group are numbered by the log.
func (s *Server) numbers(group string) bool {
	return s.scribe != nil && group != "" && s.scribe.log.Numbers(group)
}

// sendNumbered sends an event to those groups of the target that the log numbers, and
// answers for how many members of this server, and what is left of the target; nil:
// nothing. Who is in several groups gets it by the first of them.
func (t Target) sendNumbered(e *event) (n int, rest *Target) {
	switch {
	case t.many == nil && t.client == "" && !t.all && t.s.numbers(t.group):
		return t.s.sendNumbered(t.group, e, t.except, nil), nil
	case t.many == nil || !slices.ContainsFunc(t.many.groups, t.s.numbers):
		return 0, &t
	}
	left := *t.many
	left.groups = nil
	var numbered []string
	for _, g := range t.many.groups {
		if t.s.numbers(g) {
			numbered = append(numbered, g)
		} else {
			left.groups = append(left.groups, g)
		}
	}
	not := slices.Clone(left.groups)
	for _, g := range numbered {
		n += t.s.sendNumbered(g, e, t.except, slices.Clone(not))
		not = append(not, g)
	}
	if len(left.groups)+len(left.clients)+len(left.tags) == 0 {
		return n, nil
	}
	t.many = &left
	return n, &t
}

// sendNumbered sends an event to a numbered group, and answers for how many members of
// this server. not are groups whose members have it already.
func (s *Server) sendNumbered(group string, e *event, except, not []string) int {
	if err := e.prepare(1<<dialects - 1); err != nil {
		s.log.Error("event cannot be encoded", "group", group, "err", err)
	}
	a := &arrival{head: recordHead{ID: s.scribe.last.Add(1), Except: except, Not: not}, e: e}
	b, err := a.record()
	if err != nil {
		return 0 // it was logged
	}
	n := 0
	for _, c := range s.Members(group) {
		if !slices.Contains(except, c.id) {
			n++
		}
	}
	if s.scribe.wait(group, func() { s.sendLoose(group, a, b) }) {
		return n
	}
	s.scribe.log.Append(group, b, func(at Position, err error) {
		defer s.scribe.done(group)
		if err != nil {
			s.scribe.lost(s, err)
			s.sendLoose(group, a, b)
			return
		}
		head, _ := json.Marshal(at) // plain fields
		if s.cfg.Cluster != nil && s.cfg.Cluster.Publish(groupTopic(group), Letter{Kind: toNumbered, Target: group, Body: append(append(head, '\n'), b...)}) != nil {
			s.count.unspread.Add(1) // the next one shows it
		}
		s.placed(group, at, a)
	})
	return n
}

// arrivedRecord takes an event of a numbered group from another node.
func (s *Server) arrivedRecord(l Letter) {
	var at Position
	body, ok := l.Body, true
	if l.Kind == toNumbered {
		var head []byte
		head, body, ok = bytes.Cut(body, []byte("\n"))
		ok = ok && json.Unmarshal(head, &at) == nil
	}
	a, err := parseArrival(body)
	if err != nil || !ok || !s.numbers(l.Target) {
		s.count.unheard.Add(1)
		s.log.Warn("letter of another node dropped", "n", len(l.Body), "err", errWire)
		return
	}
	s.count.heard.Add(1)
	if l.Kind == toNumbered {
		s.placed(l.Target, at, a)
		return
	}
	s.arrivedLoose(l.Target, a)
}

// lost notes that the log is away.
func (w *scribe) lost(s *Server, err error) {
	if !w.away.Swap(true) {
		s.log.Warn("log of groups is away", "err", err)
	}
}

// sendLoose sends an event without number, to our own members and by the cluster.
func (s *Server) sendLoose(group string, a *arrival, record []byte) {
	if s.cfg.Cluster != nil && s.cfg.Cluster.Publish(groupTopic(group), Letter{Kind: toLoose, Target: group, Body: record}) != nil {
		s.count.unspread.Add(1)
	}
	s.arrivedLoose(group, a)
}

// arrivedLoose gives an event without number to our own members. The group's epoch is
// our own from then on.
func (s *Server) arrivedLoose(group string, a *arrival) {
	g := s.rooms.find(group)
	if g == nil || g.num == nil {
		return
	}
	g.order.Lock()
	defer g.order.Unlock()
	if g.num.knows(a.head.ID) {
		return
	}
	s.goLoose(g)
	s.count.loose.Add(1)
	s.handOver(g, Position{}, a)
	s.scribe.need(group) // so that it has an epoch for all again
}

// goLoose gives a group an epoch of this server's own. Its order is held.
func (s *Server) goLoose(g *group) {
	if g.num.loose.Swap(true) {
		return
	}
	g.num.ready.Store(false)
	g.num.base = 0
	s.handRest(g)
	s.rooms.place(g, Position{Epoch: newID()})
	g.num.tell()
}

// placed takes an event with its number, in whatever order they come.
func (s *Server) placed(group string, at Position, a *arrival) {
	g := s.rooms.find(group)
	if g == nil || g.num == nil {
		return // nobody is there, and who comes reads the log
	}
	g.order.Lock()
	defer g.order.Unlock()
	n := g.num
	if Later(at.Epoch, n.epoch) {
		n.epoch = at.Epoch
		n.ready.Store(false)
		s.handRest(g)
	}
	switch ready := n.ready.Load(); {
	case n.loose.Load() && !Later(at.Epoch, n.was): // of an epoch that is over for us
		if !n.knows(a.head.ID) {
			s.handOver(g, Position{}, a)
		}
	case at.Epoch != n.epoch, ready && at.Offset <= g.pos.Offset: // it has come before
	case ready && at.Offset == g.pos.Offset+1:
		s.handOver(g, at, a)
		s.handAhead(g)
	default:
		if len(n.ahead) < mostAhead {
			n.ahead[at.Offset] = a
		}
		s.scribe.need(group)
	}
}

// handAhead hands over what has waited for the event before it. The order is held.
func (s *Server) handAhead(g *group) {
	for {
		at := Position{g.pos.Epoch, g.pos.Offset + 1}
		a := g.num.ahead[at.Offset]
		if a == nil {
			return
		}
		delete(g.num.ahead, at.Offset)
		s.handOver(g, at, a)
	}
}

// handRest hands over what waits for an event that will not come: the epoch is over. The
// order is held.
func (s *Server) handRest(g *group) {
	for _, offset := range slices.Sorted(maps.Keys(g.num.ahead)) {
		a := g.num.ahead[offset]
		if !g.num.knows(a.head.ID) {
			s.handOver(g, Position{}, a)
		}
	}
	clear(g.num.ahead)
}

// handOver gives an event to our own members, in its place; the zero position is the next
// of the group's own. The order is held: what is encoded are values, no methods of the
// program.
func (s *Server) handOver(g *group, at Position, a *arrival) {
	if at.Epoch != "" && g.num.knows(a.head.ID) {
		s.rooms.place(g, at) // it came before, without its number
		return
	}
	except := a.head.Except
	for _, other := range a.head.Not {
		for _, c := range s.Members(other) {
			except = append(slices.Clip(except), c.id)
		}
	}
	keep := s.remember(g, a.e)
	s.count.groupSends.Add(1)
	for {
		fan, _, ok := s.rooms.spreadIn(g, a.e, except, keep, at)
		if ok {
			a.e.finish(fan)
			return
		}
		_ = a.e.prepare(s.rooms.spoken(g)) // what fails is left out
	}
}

// errLog is why a position could not be had.
var errLog = errors.New("log of groups does not answer")

// JoinAt is [Conn.Join] that waits for the position of a group that a [Log] numbers, for
// as long as the log may take. Of any other group it is Join.
func (c *Conn) JoinAt(name string) (Position, error) {
	if !c.s.numbers(name) {
		return c.Join(name)
	}
	if err := c.permitGroup(name); err != nil {
		return Position{}, err
	}
	_, letGo, err := c.s.hold(c, name)
	if err != nil {
		return Position{}, err
	}
	defer letGo()
	return c.Join(name)
}

// hold keeps a numbered group awake, and waits until its position is known.
func (s *Server) hold(c *Conn, name string) (g *group, letGo func(), err error) {
	g = s.rooms.hold(name)
	letGo = func() { s.rooms.letGo(g) }
	patience := time.NewTimer(logPatience)
	defer patience.Stop()
	select {
	case <-g.num.news:
		return g, letGo, nil
	case <-c.ctx.Done():
		err = ErrClosed
	case <-patience.C:
		err = errLog
	}
	letGo()
	return nil, nil, err
}

// joinSinceNumbered is [Conn.JoinSince] for a numbered group. What lies before the time
// at which this server began to listen is read from the log, without holding up the
// group; the rest is in the server's own history.
func (c *Conn) joinSinceNumbered(name string, from Position) (at Position, gap bool, err error) {
	g, letGo, err := c.s.hold(c, name)
	if err != nil {
		return Position{}, false, err
	}
	defer letGo()
	g.order.Lock()
	epoch, base := g.pos.Epoch, g.num.base
	g.order.Unlock()
	var list []Past
	var missing bool
	if epoch == from.Epoch && from.Offset < base {
		if list, missing, err = c.s.pastOf(c.ctx, name, from); err != nil {
			list, missing = nil, true
		}
	}
	g.order.Lock()
	defer g.order.Unlock()
	if at, err = c.s.rooms.join(name, c); err != nil {
		return at, false, err
	}
	c.s.rooms.choose(name, c, nil)
	if at.Epoch != from.Epoch || from.Offset > at.Offset {
		return at, true, nil
	}
	list = slices.DeleteFunc(list, func(p Past) bool { return p.At.Epoch != at.Epoch || p.At.Offset > at.Offset })
	if len(list) > 0 {
		from = list[len(list)-1].At
	}
	from.Offset = max(from.Offset, min(base, at.Offset))
	return at, c.catchUp(name, from, at, list...) || missing, nil
}

// pastOf reads what the log has of a group behind a position.
func (s *Server) pastOf(ctx context.Context, name string, from Position) (list []Past, gap bool, err error) {
	ctx, stop := context.WithTimeout(ctx, logPatience)
	defer stop()
	records, gap, err := s.scribe.log.Since(ctx, name, from)
	for _, r := range records {
		a, err := parseArrival(r.Body)
		if err == nil {
			err = a.e.prepare(1 << dialect(codecs[0]))
		}
		if err != nil {
			gap = true
			continue
		}
		list = append(list, Past{At: r.At, Event: a.e.m.Target, Args: a.e.arguments()})
	}
	return list, gap, err
}
