package census

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/area"
)

// Kind is the census' kind of questions on a mux.
const Kind = backplane.KindUser + 50

// silentAfter is how many rounds without an answer make a node silent.
const silentAfter = 3

// mostGone bounds the nodes that are listed though they are not alive.
const mostGone = 64

// Config sets a census up.
type Config struct {
	Self  string        // name of this node; needed
	Every time.Duration // between two rounds, 100 ms or more; 0: 1 s
	Keep  time.Duration // for how long a node that is gone is listed; 0: 1 h
}

// Census is the list of nodes. Make it with [New]. Its methods are safe for
// concurrent use and do not block, but for Run.
type Census struct {
	cfg   Config
	mux   *backplane.Mux // nil: this node is the whole hub
	about func() Report
	now   func() time.Time
	wake  chan struct{}
	said  atomic.Uint64 // words
	count struct{ rounds, silent, malformed, forgotten atomic.Uint64 }

	since area.Time

	mu    sync.Mutex
	known map[string]*entry // the others
}

// entry is what is known of another node.
type entry struct {
	report Report
	said   uint64 // its number
	life   uint64
	since  time.Time
	starts int
	heard  time.Time // zero: never
	lag    time.Duration
	gone   time.Time // zero: it is alive
	left   bool
}

// New makes a census of the nodes of a mux, nil where this node is alone. It has to
// be made before the mux runs. about says what this node does; it must not block.
func New(cfg Config, mux *backplane.Mux, about func() Report, now func() time.Time) (*Census, error) {
	cfg.Every, cfg.Keep = cmp.Or(cfg.Every, time.Second), cmp.Or(cfg.Keep, time.Hour)
	if cfg.Self == "" || cfg.Every < 100*time.Millisecond || cfg.Keep < 0 || about == nil || now == nil {
		return nil, errors.New("census: the node's name, what it says of itself or the clock is missing, or a time is out of range")
	}
	c := &Census{cfg: cfg, mux: mux, about: about, now: now, wake: make(chan struct{}, 1), since: area.At(now()), known: map[string]*entry{}}
	if mux != nil {
		mux.OnAsk(Kind, c.answer)
		mux.OnNodes(c.changed)
	}
	return c, nil
}

// Run asks the others until ctx ends; it then tells them a last time what this node
// does, for as long as a round takes at most, and returns nil. So the mux has to run
// longer.
func (c *Census) Run(ctx context.Context) error {
	if c.mux == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(c.cfg.Every)
	defer tick.Stop()
	for {
		c.round(ctx)
		select {
		case <-ctx.Done():
			c.round(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
		case <-c.wake:
		}
	}
}

// Tell has the others told at once what this node does.
func (c *Census) Tell() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// round asks every other node once, and waits no longer than until the next round.
func (c *Census) round(ctx context.Context) {
	c.count.rounds.Add(1)
	body, err := c.say()
	if err != nil {
		return // plain fields
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Every)
	defer cancel()
	asked := c.now()
	c.mux.Ask(ctx, Kind, nil, body, func(node string, answer []byte, err error) bool {
		if err != nil {
			c.count.silent.Add(1)
			return true
		}
		c.heard(node, answer, c.now().Sub(asked))
		return true
	})
}

// answer tells another node what this one does.
func (c *Census) answer(_ context.Context, from string, body []byte) ([]byte, error) {
	c.heard(from, body, -1)
	return c.say()
}

// say is what this node says of itself. Its number comes first: what a higher one has was
// looked at later.
func (c *Census) say() ([]byte, error) {
	n := c.said.Add(1)
	return word{c.about(), n}.encode()
}

// heard takes in what a node says of itself. lag is below 0 where it was not measured.
func (c *Census) heard(node string, body []byte, lag time.Duration) {
	w, err := parseWord(body)
	if err != nil {
		c.count.malformed.Add(1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.known[node]
	switch {
	case e == nil:
		return // the backplane tells of it first
	case !e.gone.IsZero(): // an old word brings nobody back, but may be the node's last
		e.left = e.left || w.State == Draining && w.StartedAt.Equal(e.report.StartedAt.Time)
		return
	}
	if !w.StartedAt.Equal(e.report.StartedAt.Time) || w.Said >= e.said { // else it was underway for longer than one after it
		e.report, e.said = w.Report, w.Said
	}
	e.heard = c.now()
	if lag >= 0 {
		e.lag = lag
	}
}

// changed takes in who is alive.
func (c *Census) changed(list []backplane.Node) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	alive := map[string]bool{}
	for _, n := range list {
		if n.Name != c.cfg.Self {
			alive[n.Name] = true
			c.lives(n, now)
		}
	}
	for name, e := range c.known {
		if !alive[name] && e.gone.IsZero() {
			e.gone, e.left = now, e.report.State == Draining
		}
	}
	c.tidy(now)
	c.Tell()
}

// lives notes that a node is alive. c.mu is held.
func (c *Census) lives(n backplane.Node, now time.Time) {
	e := c.known[n.Name]
	if e == nil {
		e = &entry{}
		c.known[n.Name] = e
	}
	if e.starts == 0 || e.life != n.Life {
		*e = entry{life: n.Life, since: now, starts: e.starts + 1}
	}
	e.gone, e.left = time.Time{}, false
}

// tidy forgets who is gone for too long, and who is one too many. c.mu is held.
func (c *Census) tidy(now time.Time) {
	var gone []string
	for name, e := range c.known {
		switch {
		case e.gone.IsZero():
		case now.Sub(e.gone) >= c.cfg.Keep:
			delete(c.known, name)
		default:
			gone = append(gone, name)
		}
	}
	slices.SortFunc(gone, func(x, y string) int { return c.known[x].gone.Compare(c.known[y].gone) })
	for len(gone) > mostGone {
		delete(c.known, gone[0])
		gone = gone[1:]
		c.count.forgotten.Add(1)
	}
}

// Nodes lists the nodes, this one among them, by name.
func (c *Census) Nodes() []Node {
	now := c.now()
	self := Node{Node: c.cfg.Self, Self: true, Report: c.about(), Since: c.since, Starts: 1, HeardAt: new(area.At(now)), LagMs: new(0.0)}
	list := []Node{self}
	c.mu.Lock()
	c.tidy(now)
	for _, name := range slices.Sorted(maps.Keys(c.known)) {
		list = append(list, c.node(name, self.Backplane.Connected, now))
	}
	c.mu.Unlock()
	slices.SortFunc(list, func(x, y Node) int { return cmp.Compare(x.Node, y.Node) })
	return list
}

// node is one of the others, as it is now. c.mu is held.
func (c *Census) node(name string, connected bool, now time.Time) Node {
	e := c.known[name]
	n := Node{Node: name, Report: e.report, Since: area.At(e.since), Starts: e.starts}
	if n.Kind == "" { // it has not been heard yet
		n.Kind, n.State, n.StartedAt = KindHub, Starting, n.Since
	}
	n.Areas = append([]area.Name{}, n.Areas...)
	if !e.heard.IsZero() {
		n.HeardAt, n.LagMs = new(area.At(e.heard)), new(float64(e.lag.Microseconds())/1000)
	}
	last := e.heard
	if last.IsZero() {
		last = e.since
	}
	switch {
	case e.left:
		n.State = Left
	case !e.gone.IsZero():
		n.State = Gone
	case !connected, now.Sub(last) >= silentAfter*c.cfg.Every+c.cfg.Every/2:
		n.State = Silent
	}
	if !e.gone.IsZero() {
		n.GoneAt, n.Areas, n.Connections, n.MessagesS = new(area.At(e.gone)), []area.Name{}, Connections{}, 0
	}
	return n
}

// Stats counts since the start.
type Stats struct {
	Known     int    // other nodes that are listed now
	Rounds    uint64 // of questions
	Silent    uint64 // questions without an answer
	Malformed uint64 // reports that could not be read
	Forgotten uint64 // nodes that were gone and made room
}

// Stats is a snapshot of the counters.
func (c *Census) Stats() Stats {
	c.mu.Lock()
	known := len(c.known)
	c.mu.Unlock()
	return Stats{Known: known, Rounds: c.count.rounds.Load(), Silent: c.count.silent.Load(), Malformed: c.count.malformed.Load(), Forgotten: c.count.forgotten.Load()}
}
