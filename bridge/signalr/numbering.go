package signalr

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// numbering is what a group has whose events the log numbers. It is guarded by the
// group's order.
//
// Events of one node come by two ways, the log and the cluster's letters, and when the log
// was away they come by one and by the other. So that none overtakes another each names
// the one before it of the same node in the same group, and waits for that; what comes
// later than one that followed it is not given to anybody.
type numbering struct {
	own    string              // id of this server: what it sends is in order
	ready  atomic.Bool         // pos is the log's
	loose  atomic.Bool         // pos is our own: since the log's something was sent without number
	torn   bool                // it was loose at some time
	epoch  string              // the newest one of the log that was seen here
	born   string              // the first one of the log in which it was ready
	was    string              // the newest one in which it was ready
	seen   uint64              // the place in it up to which everything was handed over, when another one has begun
	lacks  bool                // of that epoch some may be gone
	base   uint64              // the server's own history has what came behind this offset
	mine   uint64              // id of this server's newest event when the base was known: it, and those before it, may lie before the base
	ahead  map[uint64]*arrival // by offset; of the log's epoch
	parked []*arrival          // without a place, which wait for one before them
	heard  map[string]uint64   // by server, its newest event
	news   chan struct{}       // closed when it becomes ready, or loose
	since  time.Time           // when it was made
	holds  int                 // who waits for it; guarded by rooms
}

func newNumbering(own string) *numbering {
	return &numbering{own: own, ahead: map[uint64]*arrival{}, heard: map[string]uint64{}, news: make(chan struct{}), since: time.Now()}
}

// knows tells whether an event, or one that followed it, has come before.
func (n *numbering) knows(a *arrival) bool {
	return a.head.ID <= n.heard[a.head.From]
}

// note remembers an event that is handed over.
func (n *numbering) note(a *arrival) {
	if len(n.heard) >= mostOrigins {
		clear(n.heard)
	}
	n.heard[a.head.From] = a.head.ID
}

// follows tells whether the event before it is there. A server that is not known yet may
// have sent something while the log was away, if that ever was.
func (n *numbering) follows(a *arrival) bool {
	newest, ok := n.heard[a.head.From]
	if a.e == nil && !ok { // a last word of a server of which nothing has come: who was here before lacks what it had
		return time.Since(n.since) < logFresh
	}
	return a.head.Prev <= newest || !ok && !n.torn || a.head.From == n.own
}

// overdue tells whether an event has waited long enough.
func (a *arrival) overdue(now time.Time) bool {
	if a.since.IsZero() {
		a.since = now
	}
	return now.Sub(a.since) >= holeWait
}

// park has an event wait that has no place.
func (n *numbering) park(a *arrival) {
	if len(n.parked) >= mostParked {
		n.parked[0].since = time.Unix(0, 0)
	}
	n.parked = append(n.parked, a)
}

// outdate parks what waits for a place in an epoch that is over.
func (n *numbering) outdate() {
	for _, offset := range slices.Sorted(maps.Keys(n.ahead)) {
		n.park(n.ahead[offset])
	}
	clear(n.ahead)
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
	head  recordHead
	e     *event    // nil: only to say which is the server's newest
	since time.Time // when it began to wait for the one before it
}

// recordHead is the first line of a record; the event follows in its wire form.
type recordHead struct {
	From   string   `json:"from"`           // the server
	ID     uint64   `json:"id"`             // among those of the server; they grow
	Prev   uint64   `json:"prev,omitempty"` // the server's newest one of the group before it; 0: none that it remembers
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

// record is the event as the log keeps it, with its wire form.
func (a *arrival) record(wire []byte) []byte {
	head, _ := json.Marshal(a.head) // plain fields
	return append(append(head, '\n'), wire...)
}

// arrivedRecord takes an event of a numbered group from another node. A server without
// a log of its own hands it on as it comes: who comes back to it is told of a gap.
func (s *Server) arrivedRecord(l Letter) {
	var at Position
	body, ok := l.Body, true
	if l.Kind == toTail {
		s.arrivedTail(l)
		return
	}
	if l.Kind == toNumbered {
		var head []byte
		head, body, ok = bytes.Cut(body, []byte("\n"))
		ok = ok && json.Unmarshal(head, &at) == nil
	}
	a, err := parseArrival(body)
	if err == nil && ok && s.cfg.Log == nil {
		s.count.heard.Add(1)
		Target{s: s, group: l.Target, except: s.exempt(&a.head)}.deliver(a.e)
		return
	}
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

// arrivedLoose takes an event without number. The group's epoch is our own from then on.
func (s *Server) arrivedLoose(group string, a *arrival) {
	g := s.rooms.find(group)
	if g == nil || g.num == nil {
		return
	}
	g.order.Lock()
	defer g.order.Unlock()
	if g.num.knows(a) {
		return
	}
	if a.e != nil {
		s.count.loose.Add(1)
	}
	g.num.park(a)
	s.settle(g)
	s.scribe.need(group) // so that it has an epoch for all again, and what is missing is read
}

// goLoose gives a group an epoch of this server's own. Its order is held.
func (s *Server) goLoose(g *group) {
	if g.num.loose.Swap(true) {
		return
	}
	g.num.ready.Store(false)
	if g.pos.Epoch == g.num.was {
		g.num.seen = g.pos.Offset
	}
	g.num.base, g.num.torn = 0, true
	g.num.outdate()
	s.rooms.place(g, Position{Epoch: newID()})
	s.repositioned(g, false)
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
		n.outdate()
	}
	switch {
	case Later(n.born, at.Epoch): // nobody was there
	case n.setBack(at, g.pos, a):
		n.park(a)
		s.scribe.need(group)
	case at.Epoch != n.epoch, n.loose.Load() && !Later(at.Epoch, n.was): // of an epoch that is over for us
		if !n.knows(a) {
			n.park(a)
		}
	case n.ready.Load() && at.Offset <= g.pos.Offset, n.ahead[at.Offset] != nil: // it has come before
	case len(n.ahead) < mostAhead || at.Offset == g.pos.Offset+1:
		n.ahead[at.Offset] = a
		if !n.ready.Load() || at.Offset != g.pos.Offset+1 {
			s.scribe.need(group)
		}
	default:
		s.scribe.need(group)
	}
	s.settle(g)
}

// settle hands over what need not wait any more. The order is held.
func (s *Server) settle(g *group) {
	now := time.Now()
	for s.settleParked(g, now) || s.settleAhead(g, now) {
	}
	if len(g.num.parked) > 0 || g.num.ready.Load() && g.num.ahead[g.pos.Offset+1] != nil {
		s.scribe.mu.Lock()
		s.scribe.stuck[g.name] = struct{}{}
		s.scribe.mu.Unlock()
	}
}

// settleParked hands over one event without a place.
func (s *Server) settleParked(g *group, now time.Time) bool {
	n := g.num
	for i, a := range n.parked {
		known := n.knows(a)
		if !known && !n.follows(a) {
			if !a.overdue(now) {
				continue
			}
			s.gone(g)
		}
		n.parked = slices.Delete(n.parked, i, i+1)
		switch {
		case known:
		case a.e == nil:
			n.note(a)
		default:
			s.goLoose(g)
			s.handOver(g, Position{}, a)
			s.scribe.need(g.name)
		}
		return true
	}
	return false
}

// settleAhead hands over the event that has the next place.
func (s *Server) settleAhead(g *group, now time.Time) bool {
	n := g.num
	if !n.ready.Load() {
		return false
	}
	at := Position{g.pos.Epoch, g.pos.Offset + 1}
	a := n.ahead[at.Offset]
	if a == nil {
		return false
	}
	if !n.knows(a) && !n.follows(a) {
		if !a.overdue(now) {
			return false
		}
		s.gone(g)
	}
	delete(n.ahead, at.Offset)
	s.handOver(g, at, a)
	return true
}

// exempt lists the connections here that are not to get an event.
func (s *Server) exempt(h *recordHead) []string {
	except := h.Except
	for _, other := range h.Not {
		for _, c := range s.Members(other) {
			except = append(slices.Clip(except), c.id)
		}
	}
	return except
}

// handOver gives an event to our own members, in its place; the zero position is the next
// of the group's own. The order is held: what is encoded are values, no methods of the
// program.
func (s *Server) handOver(g *group, at Position, a *arrival) {
	if g.num.knows(a) {
		s.rooms.place(g, at) // it came before, without its number
		return
	}
	g.num.note(a)
	except := s.exempt(&a.head)
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
