package signalr

import (
	"container/list"
	"maps"
	"slices"
	"sync"
)

// Position is a place in the events of a group.
type Position struct {
	// Epoch names the life of the group's counting; positions of different epochs
	// cannot be compared.
	Epoch string `json:"epoch"`
	// Offset is the number of events since the epoch began.
	Offset uint64 `json:"offset"`
}

// rooms keeps the groups and who is in them.
type rooms struct {
	keep    int // groups without members that are remembered
	most    int // groups of one connection
	history History
	scribe  *scribe // nil: there is no log
	count   *counters
	writers *writers
	want    func(topic string, on bool) // told of groups that get their first and lose their last member; nil: nobody wants to know
	changed func(id string)             // told of connections whose groups have changed

	mu     sync.Mutex
	groups map[string]*group
	idle   list.List // groups without members, longest empty first
	all    *group    // every connection; it has no name
}

// group is a set of connections that get the same events. All but order is
// guarded by the mutex of rooms.
type group struct {
	// order is held while an event is counted and queued for every member, so
	// that all members see the events in the order of their offsets. It is taken
	// before the mutex of rooms, and never by a member.
	order sync.Mutex

	name     string
	pos      Position
	members  []*membership
	speak    [dialects]int                     // members by protocol
	snapshot []*Conn                           // of members; nil after a change
	choosy   map[*Conn]func(event string) bool // members that hear some events alone; replaced, never changed
	empty    *list.Element
	num      *numbering // nil: the group's events are not numbered by a log
}

// membership is one connection's place in a group.
type membership struct {
	c     *Conn
	group *group
	index int
	left  Position // of the group, when it ended
}

func newRooms(cfg Config, count *counters, w *writers) *rooms {
	return &rooms{changed: func(string) {}, writers: w, keep: cfg.IdleGroups, most: cfg.MaximumGroups, history: cfg.History, count: count, groups: make(map[string]*group), all: &group{}}
}

// enter makes c one of all; false when it has ended already.
func (r *rooms) enter(c *Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.left {
		return false
	}
	c.rooms = make(map[string]*membership, 2)
	r.all.add(c, "")
	r.changed(c.id)
	return true
}

func (r *rooms) join(name string, c *Conn) (Position, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.left || c.rooms == nil {
		return Position{}, ErrClosed
	}
	key := groupKey(name)
	if m := c.rooms[key]; m != nil {
		return m.group.pos, nil
	}
	if len(c.rooms) > r.most { // all is one of them
		return Position{}, ErrGroups
	}
	g := r.wake(name)
	g.add(c, key)
	r.changed(c.id)
	return g.pos, nil
}

// choose sets which events of a group a member hears; nil is all of them.
func (r *rooms) choose(name string, c *Conn, hears func(event string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := c.rooms[groupKey(name)]
	if m == nil || c.left || hears == nil && m.group.choosy[c] == nil {
		return
	}
	next := maps.Clone(m.group.choosy)
	if next == nil {
		next = map[*Conn]func(string) bool{}
	}
	if hears == nil {
		delete(next, c)
	} else {
		next[c] = hears
	}
	m.group.choosy = next
}

// wake returns the group of that name for a member to be added, and makes it
// when it is not known.
func (r *rooms) wake(name string) *group {
	g := r.groups[name]
	switch {
	case g == nil:
		g = &group{name: name, pos: Position{Epoch: newID()}}
		if r.scribe != nil && r.scribe.log.Numbers(name) {
			g.num, g.pos = newNumbering(r.scribe.id), Position{}
			r.scribe.need(name)
		}
		r.groups[name] = g
	case g.empty != nil:
		r.idle.Remove(g.empty)
		g.empty = nil
	default:
		return g
	}
	r.count.groups.Add(1)
	if r.want != nil {
		r.want(groupTopic(name), true)
	}
	return g
}

// groupKey keeps the names of groups apart from all, whose key is empty.
func groupKey(name string) string { return "g" + name }

func (g *group) add(c *Conn, key string) {
	m := &membership{c: c, group: g, index: len(g.members)}
	g.members = append(g.members, m)
	g.snapshot = nil
	g.speak[dialect(c.codec)]++
	c.rooms[key] = m
}

// spoken gives the protocols of the members, one bit each.
func (g *group) spoken() (set uint) {
	for i, n := range g.speak {
		if n > 0 {
			set |= 1 << i
		}
	}
	return set
}

// remove takes a member out by putting the last one in its place.
func (g *group) remove(m *membership) {
	last := len(g.members) - 1
	g.members[m.index] = g.members[last]
	g.members[m.index].index = m.index
	g.members[last] = nil
	g.members = g.members[:last]
	g.snapshot = nil
	g.speak[dialect(m.c.codec)]--
	if g.choosy[m.c] != nil {
		g.choosy = maps.Clone(g.choosy)
		delete(g.choosy, m.c)
	}
}

func (r *rooms) leave(name string, c *Conn) (Position, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := groupKey(name)
	m := c.rooms[key]
	if m == nil || c.left {
		return Position{}, false
	}
	delete(c.rooms, key)
	r.drop(m)
	r.changed(c.id)
	return m.left, true
}

// leaveAll ends every membership; c.rooms still tells afterwards what they
// were.
func (r *rooms) leaveAll(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.left = true
	for _, m := range c.rooms {
		r.drop(m)
	}
}

// drop removes a member, and sets the group aside when it was the last.
func (r *rooms) drop(m *membership) {
	g := m.group
	m.left = g.pos
	g.remove(m)
	if g != r.all {
		r.rest(g)
	}
}

// rest sets a group aside that has nobody any more.
func (r *rooms) rest(g *group) {
	if len(g.members) > 0 || g.num != nil && g.num.holds > 0 {
		return
	}
	r.count.groups.Add(-1)
	if r.want != nil {
		r.want(groupTopic(g.name), false)
	}
	g.members = nil
	if g.num != nil && !r.scribe.away.Load() {
		delete(r.groups, g.name) // the log knows where it stands
		return
	}
	g.empty = r.idle.PushBack(g)
	for r.idle.Len() > r.keep {
		oldest := r.idle.Remove(r.idle.Front()).(*group)
		delete(r.groups, oldest.name)
	}
}

func (r *rooms) of(c *Conn) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(c.rooms))
	for key := range c.rooms {
		if key != "" {
			names = append(names, key[1:])
		}
	}
	slices.Sort(names)
	return names
}

// find returns the group of that name, nil when there is none.
func (r *rooms) find(name string) *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.groups[name]
}

func (r *rooms) everybody() []*Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.list()
}

// members returns who is in g; the result is shared and must not be changed.
func (r *rooms) members(g *group) []*Conn {
	if g == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return g.list()
}

// list returns the snapshot, which joining and leaving only forget: a storm of
// joins costs nothing until the next event.
func (g *group) list() []*Conn {
	if g.snapshot == nil && len(g.members) > 0 {
		g.snapshot = make([]*Conn, len(g.members))
		for i, m := range g.members {
			g.snapshot[i] = m.c
		}
	}
	return g.snapshot
}

// spoken gives the protocols of the members of g, one bit each.
func (r *rooms) spoken(g *group) (set uint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return g.spoken()
}

// send counts an event of g and queues it for every member that is not
// excepted. It returns for how many; ok is false, and nothing happened, when a
// member speaks a protocol for which the event is not prepared. keep puts it
// into the history.
func (r *rooms) send(g *group, e *event, except []string, keep bool) (n int, ok bool) {
	fan, n, ok := r.spread(g, e, except, keep)
	if ok {
		e.finish(fan) // without the lock
	}
	return n, ok
}

func (r *rooms) spread(g *group, e *event, except []string, keep bool) (fan *fanout, n int, ok bool) {
	g.order.Lock()
	defer g.order.Unlock()
	return r.spreadIn(g, e, except, keep, Position{})
}

// spreadIn is spread with the group's order held, for an event whose place is known, or
// is the next (zero).
func (r *rooms) spreadIn(g *group, e *event, except []string, keep bool, at Position) (fan *fanout, n int, ok bool) {
	r.mu.Lock()
	if g.spoken()&^e.prepared() != 0 {
		r.mu.Unlock()
		return nil, 0, false
	}
	if g.pos.Offset++; at.Epoch != "" {
		g.pos = at
	}
	at = g.pos
	members, choosy := g.list(), g.choosy
	r.mu.Unlock()
	if keep {
		r.history.Keep(g.name, Past{At: at, Event: e.m.Target, Args: e.kept})
	}
	fan = e.fanFor(r.writers, len(members))
	for _, c := range members {
		f := e.frames[dialect(c.codec)]
		if f == nil || slices.Contains(except, c.id) {
			continue
		}
		if hears := choosy[c]; hears != nil && !hears(e.m.Target) {
			continue
		}
		if e.seen != nil {
			if _, twice := e.seen[c]; twice {
				continue
			}
			e.seen[c] = struct{}{}
		}
		if c.enqueueEvent(fan, e, f) == nil {
			n++
		}
	}
	return fan, n, true
}

func (r *rooms) position(name string) (Position, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.groups[name]; g != nil {
		return g.pos, true
	}
	return Position{}, false
}
