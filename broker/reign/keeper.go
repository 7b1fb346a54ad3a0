package reign

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// ErrNotOurs is what a write is answered to an area that another node has, or
// nobody.
var ErrNotOurs = errors.New("reign: the area is not ours")

// Slack is what a time to live has beyond the longest lease that it must outlive.
const Slack = 4 * time.Second

// Config sets a keeper up.
type Config struct {
	Node  string        // name of this node
	Life  string        // of this process: new at each start
	Index uint64        // of this node among all that may arbitrate, 0 to 63
	Beat  time.Duration // between two renewals, and between two looks at what others have; 1 s
	Log   *slog.Logger  // nil: nothing is logged
}

// State is who has an area, as this node knows.
type State struct {
	Mine  bool
	Owner string // node; empty: nobody, as far as is known
	Life  string
	Term  uint64       // of the reign: each later one has a higher one
	Until area.Instant // of ours: when it ends, unless another state says more
	// Away: the ledger does not answer, and the area is not ours. Who has it is not
	// known; Owner is who had it.
	Away bool

	// Of a reign of ours that has just begun: what the arbiter before has left.
	Begun     bool
	Core, Led []byte
}

// Commit is what is to be written to the entry of an area; nil: it stays.
type Commit struct {
	Core, Led []byte
	Term      uint64 // highest of the arbiter; 0: not told
}

// Keeper takes areas for this node, keeps them, and follows who has the others.
// Make it with [New]. Its methods are safe for concurrent use and do not block, but
// for Run.
type Keeper struct {
	cfg   Config
	store Store
	clock func() area.Instant
	wake  chan struct{}
	count struct{ taken, lost, gave, writes, failed atomic.Uint64 }

	mu    sync.Mutex
	asked map[area.Name]*asked // what was asked for and is not taken up yet
	order []area.Name

	seats map[area.Name]*chair // of the goroutine
	looks area.Instant         // the next look
}

// asked is what others want done with one area.
type asked struct {
	follow *following
	drop   bool
	commit *Commit
	give   bool
	done   []func(error)
}

type following struct {
	ttl  time.Duration
	term uint64
	told func(State)
}

// chair is a seat and what is to be done with it.
type chair struct {
	seat
	name  area.Name
	told  func(State)
	last  State
	todo  *Commit
	give  bool
	out   bool // it was given up, and is not wanted back
	away  bool // the ledger did not answer
	done  []func(error)
	retry area.Instant // no write before
}

// New makes a keeper. clock is the arbiter's.
func New(cfg Config, store Store, clock func() area.Instant) (*Keeper, error) {
	if cfg.Node == "" || cfg.Life == "" || cfg.Index >= termStep || store == nil || clock == nil {
		return nil, errors.New("reign: the node's name, its life, its index, the store or the clock is missing")
	}
	if cfg.Beat == 0 {
		cfg.Beat = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{cfg: cfg, store: store, clock: clock, wake: make(chan struct{}, 1), asked: map[area.Name]*asked{}, seats: map[area.Name]*chair{}}, nil
}

// Follow has the keeper take the area when it may, and tell who has it. ttl is for
// how long a reign goes on without a word of the ledger: the longest lease with its
// guard, and [Slack]; term is the highest that is known from before. told only
// enqueues. It may be called again, with another ttl.
func (k *Keeper) Follow(a area.Name, ttl time.Duration, term uint64, told func(State)) {
	k.ask(a, func(q *asked) { q.follow, q.drop = &following{ttl, term, told}, false })
}

// Drop gives the area up and follows it no longer.
func (k *Keeper) Drop(a area.Name) { k.ask(a, func(q *asked) { q.drop, q.give = true, true }) }

// Commit writes the arbiter's records, if the area is still ours; of several that
// wait the newest of each is written. done is called once, on the keeper's
// goroutine, and must only enqueue: nil when the ledger has it, [ErrNotOurs] when it
// has not, and any other error when that is not known.
func (k *Keeper) Commit(a area.Name, c Commit, done func(error)) {
	k.ask(a, func(q *asked) {
		if q.commit == nil {
			q.commit = &Commit{}
		}
		q.commit.add(c)
		q.done = append(q.done, done)
	})
}

func (c *Commit) add(o Commit) {
	if o.Core != nil {
		c.Core = o.Core
	}
	if o.Led != nil {
		c.Led = o.Led
	}
	c.Term = max(c.Term, o.Term)
}

// GiveUp ends the reign over an area in order, after all that was committed: its
// arbiter grants no more. done is as that of Commit.
func (k *Keeper) GiveUp(a area.Name, done func(error)) {
	k.ask(a, func(q *asked) { q.give, q.done = true, append(q.done, done) })
}

func (k *Keeper) ask(a area.Name, what func(*asked)) {
	k.mu.Lock()
	q := k.asked[a]
	if q == nil {
		q = &asked{}
		k.asked[a] = q
		k.order = append(k.order, a)
	}
	what(q)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run keeps the reigns until ctx ends; then it writes what was asked for by then,
// and returns nil. What is still ours is not given up: its arbiter may not have
// stopped in order.
func (k *Keeper) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for ctx.Err() == nil && k.call(ctx) {
		}
		timer.Reset(k.Wait())
		select {
		case <-ctx.Done():
			for range 2 { // a look, and what is to be written
				k.call(context.WithoutCancel(ctx))
			}
			return nil
		case <-k.wake:
		case <-timer.C:
		}
	}
}

// call does the call to the store that is due, if any is.
func (k *Keeper) call(ctx context.Context) (done bool) {
	c := k.Step()
	if c == nil {
		return false
	}
	var heads []string
	var out []Result
	var link uint64
	var err error
	if c.Changes != nil {
		out, link, err = k.store.Swap(ctx, c.Changes)
	} else {
		heads, link, err = k.store.Heads(ctx, c.Areas)
	}
	k.Answer(c, heads, out, link, err)
	return true
}

// takeUp takes up what was asked for.
func (k *Keeper) takeUp() {
	k.mu.Lock()
	all, order := k.asked, k.order
	k.asked, k.order = map[area.Name]*asked{}, nil
	k.mu.Unlock()
	for _, a := range order {
		k.take(a, all[a])
	}
}

func (k *Keeper) take(a area.Name, q *asked) {
	c := k.seats[a]
	if f := q.follow; f != nil {
		if c == nil {
			c = &chair{name: a, seat: seat{self: k.cfg.Node, life: k.cfg.Life, index: k.cfg.Index}}
			k.seats[a] = c
			k.looks = 0
		}
		c.ttl, c.term, c.told, c.out = f.ttl, max(c.term, f.term), f.told, false
		c.told(c.last)
	}
	if c == nil {
		for _, done := range q.done {
			done(ErrNotOurs)
		}
		return
	}
	if q.commit != nil {
		if c.todo == nil {
			c.todo = &Commit{}
		}
		c.todo.add(*q.commit)
	}
	c.give = c.give || q.give
	c.done = append(c.done, q.done...)
	if q.drop {
		c.told = func(State) {}
		c.ttl = 0
	}
}

// settle takes note of reigns that are over, and answers who cannot be served.
func (k *Keeper) settle() {
	now := k.clock()
	for _, c := range k.sorted() {
		if c.over(now) {
			k.count.lost.Add(1)
			k.cfg.Log.Warn("area lost, its ledger does not answer", "area", c.name, "node", k.cfg.Node)
			c.away = true
			k.tell(c)
		}
		if !c.mine {
			c.answer(ErrNotOurs)
			c.out, c.give = c.out || c.give, false
			if c.ttl == 0 {
				delete(k.seats, c.name)
			}
		}
	}
}

func (k *Keeper) sorted() []*chair {
	list := make([]*chair, 0, len(k.seats))
	for _, c := range k.seats {
		list = append(list, c)
	}
	slices.SortFunc(list, func(x, y *chair) int { return strings.Compare(string(x.name), string(y.name)) })
	return list
}

// answer tells all who wait for a write what became of it.
func (c *chair) answer(err error) {
	done := c.done
	c.done, c.todo = nil, nil
	for _, f := range done {
		f(err)
	}
}

// due is when there is something to be written; [area.Never] if nothing is.
func (c *chair) due(beat time.Duration) area.Instant {
	at := c.takeAt()
	switch {
	case c.mine && (c.todo != nil || c.give || len(c.tries) > 0):
		at = c.retry
	case c.mine:
		at = max(c.sent.Add(beat), c.retry)
	case c.out:
		at = area.Never
	case at != area.Never:
		at = max(at, c.retry)
	}
	return at
}

// Wait is how long there is nothing to do, unless something is asked for.
func (k *Keeper) Wait() time.Duration {
	next := k.looks
	for _, c := range k.seats {
		next = min(next, c.due(k.cfg.Beat))
		if c.mine {
			next = min(next, c.until)
		}
	}
	return max(0, next.Sub(k.clock()))
}

// tell says who has an area, and whether the ledger is away, where that has changed.
func (k *Keeper) tell(c *chair) {
	s := State{Owner: c.head.Owner, Life: c.head.Life, Term: c.head.Term, Away: c.away}
	if c.link == 0 {
		s.Owner, s.Life, s.Term = c.last.Owner, c.last.Life, c.last.Term // nobody is known to have followed him
		if c.last.Mine {
			s.Owner, s.Life = "", ""
		}
	}
	if s.Owner == k.cfg.Node {
		s.Owner, s.Life = "", "" // an earlier start of ours, or a reign that is over
	}
	same := s.Owner == c.last.Owner && s.Life == c.last.Life && s.Term == c.last.Term && s.Away == c.last.Away && !c.last.Mine
	c.last = s
	if !same {
		c.told(s)
	}
}

// Stats counts since the start.
type Stats struct {
	Mine   int    // areas that this node has now
	Taken  uint64 // times that it took one
	Lost   uint64 // times that one was lost without being given up
	Gave   uint64 // times that one was given up in order
	Writes uint64 // renewals and records that were answered
	Failed uint64 // of which nobody knows whether they were done
}

// Stats is a snapshot of the counters.
func (k *Keeper) Stats() Stats {
	c := &k.count
	s := Stats{Taken: c.taken.Load(), Lost: c.lost.Load(), Gave: c.gave.Load(), Writes: c.writes.Load(), Failed: c.failed.Load()}
	s.Mine = int(s.Taken - s.Lost - s.Gave)
	return s
}
