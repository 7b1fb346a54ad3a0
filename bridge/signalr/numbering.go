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
