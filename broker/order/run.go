package order

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Times of Run.
const (
	submitTimeout = 5 * time.Second // for the dispatcher to take a work
	retryAfter    = time.Second     // until a work that it did not take is handed to it again
	look          = 5 * time.Second // between two looks at clocks and estimates, where nothing happens
	moved         = 2 * time.Second // an estimate that moved by it is told to watchers
	lostAfter     = 24 * time.Hour  // after its expiry an assigned order has lost its player (DESIGN.md §3.6)
)

// Report takes a dispatcher's word on a work: it implements the reporter of
// the arbiter. It never blocks. Reports are applied by Run, in order per work;
// where 16 wait for one work, the oldest goes that is neither a start nor an
// end. One about a work that has no order, or whose order has ended, is counted
// and ignored.
func (s *Service) Report(r area.Report) {
	at := s.now().Add(-r.Ago)
	s.mu.Lock()
	e := s.live[r.Work]
	if e == nil {
		s.mu.Unlock()
		s.count.unknown.Add(1)
		return
	}
	if e.hand == others {
		node := e.node
		s.mu.Unlock()
		s.forward(node, r)
		return
	}
	if len(e.inbox) == 0 {
		s.inbox = append(s.inbox, e)
	}
	if e.push(stamped{r, at}) {
		s.count.coalesced.Add(1)
	}
	s.mu.Unlock()
	s.poke()
}

func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run applies reports, hands over what comes due, writes changes and tells the
// watchers, until ctx ends. Then it writes once more and returns nil.
func (s *Service) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			s.takeIn()
			s.apply()
			s.flush(context.WithoutCancel(ctx))
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		s.takeIn()
		s.apply()
		if now := s.now(); s.untilNext() <= 0 || now.Sub(looked) >= look {
			looked = now
			s.handOver(ctx)
			s.sweep(ctx)
			s.estimate()
			s.sweepKeys()
		}
		s.flush(ctx)
		timer.Reset(max(min(s.untilNext(), look-s.now().Sub(looked)), time.Millisecond))
	}
}

// apply moves orders as the reports say.
func (s *Service) apply() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.inbox {
		for _, r := range e.inbox {
			if e.order.State.Ended() || e.hand == others {
				s.count.late.Add(1)
				continue
			}
			if r.State == area.OrderCancelled && r.Reason == "" {
				r.Reason = e.cancel
			}
			s.change(e, r.Report, r.at)
		}
		e.inbox = nil
	}
	s.inbox = nil
}

// change moves an entry and remembers that it has to be written. The caller
// holds the lock.
func (s *Service) change(e *entry, r area.Report, at time.Time) {
	first := r.State == area.OrderPlaying && e.order.StartedAt == nil && !e.order.State.Ended()
	sounded := e.order.State == area.OrderPlaying
	if !e.move(r, at) {
		return
	}
	if sounded && e.order.State != area.OrderPlaying {
		s.silent[e.order.Area] = at
	}
	if first && e.order.Attempt == 1 && !s.silent[e.order.Area].After(e.dueAt()) {
		s.count.sounded(at.Sub(e.dueAt()))
	}
	if e.order.State.Ended() {
		s.count.end(e.order.State)
	}
	s.soil(e)
}

// soil remembers that an entry has to be written and told. The caller holds
// the lock.
func (s *Service) soil(e *entry) {
	if !e.dirty {
		e.dirty = true
		s.dirty = append(s.dirty, e)
	}
}

// handOver gives the dispatcher what came due.
func (s *Service) handOver(ctx context.Context) {
	now := s.now()
	for _, e := range s.pick(func(e *entry) bool {
		if e.hand != ours || e.order.State.Ended() || !e.due(now) || now.Before(e.retryAt) || !now.Before(e.order.ExpiresAt.Time) && !e.taken() {
			return false
		}
		e.hand = handing
		return true
	}) {
		if err := s.submit(ctx, e); err != nil && final(err) {
			s.log.Warn("a due order is refused by the dispatcher", "work", e.order.ID, "area", e.order.Area, "err", err)
		}
	}
}

// sweep ends what nobody else will end.
func (s *Service) sweep(ctx context.Context) {
	now := s.now()
	p := presentOf(s.roster.Players())
	for _, e := range s.pick(func(e *entry) bool {
		e.seen = e.seen || p.canDo(e)
		return s.overdue(e, now)
	}) {
		s.count.overdue.Add(1)
		if err := s.takeBack(ctx, e.order.ID, string(area.Expired)); err != nil {
			s.log.Warn("an overdue work cannot be taken back", "work", e.order.ID, "err", err)
		}
	}
}

// overdue ends an entry if its time is over. The caller holds the lock. It
// tells whether the dispatcher still has it.
func (s *Service) overdue(e *entry, now time.Time) bool {
	over := now.Sub(e.order.ExpiresAt.Time)
	if e.order.State.Ended() || over < 0 || e.hand == handing || e.hand == others {
		return false
	}
	end := area.Report{State: area.OrderExpired, Att: e.order.Attempt}
	if !e.seen {
		end.State, end.Reason = area.OrderFailed, area.EndNoDevice
	}
	switch e.order.State {
	case area.OrderAssigned, area.OrderPlaying:
		if over < lostAfter {
			return false
		}
		end.State, end.Reason = area.OrderFailed, area.EndLostContact
	default:
		if e.hand == theirs && over < s.cfg.Grace {
			return false
		}
	}
	s.change(e, end, now)
	return e.hand == theirs
}

// pick answers the entries that f, called under the lock, says yes to, the
// oldest first.
func (s *Service) pick(f func(*entry) bool) []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*entry
	for _, e := range s.live {
		if f(e) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(x, y *entry) int { return cmp.Compare(x.arrival, y.arrival) })
	return out
}

// untilNext is how long nothing comes due; not more than 0: something has.
func (s *Service) untilNext() time.Duration {
	now, next := s.now(), look
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.live {
		if e.hand == ours && !e.order.State.Ended() {
			at := laterOf(e.dueAt(), e.retryAt)
			next = min(next, at.Sub(now))
		}
	}
	if len(s.dirty) > 0 { // could not be written
		next = min(next, retryAfter)
	}
	return next
}

// estimate marks the entries whose estimated start moved.
func (s *Service) estimate() {
	p, now := presentOf(s.roster.Players()), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entries := range s.areas {
		for e, t := range turns(entries, p, now) {
			if e.hand == handing {
				continue // not stored yet
			}
			if t.movedFrom(e.told, now) {
				s.soil(e)
			}
		}
	}
}

// flush writes what changed, then tells it. What cannot be written stays and
// is tried again.
func (s *Service) flush(ctx context.Context) {
	p, now := presentOf(s.roster.Players()), s.now()
	s.mu.Lock()
	dirty := slices.DeleteFunc(s.dirty, func(e *entry) bool { return s.live[e.order.ID] != e }) // refused after all
	s.dirty = nil
	records, kept := make([]Record, len(dirty)), make([]bool, len(dirty))
	lines := map[area.Name]map[*entry]turn{}
	for i, e := range dirty {
		a := e.order.Area
		if lines[a] == nil {
			lines[a] = turns(s.areas[a], p, now)
		}
		kept[i] = e.hand == others // by the node that has it
		e.dirty, e.told, e.seen = false, lines[a][e], e.seen || p.canDo(e)
		records[i] = e.record()
		records[i].Order = estimated(e, lines[a])
	}
	watchers := s.watchers()
	s.mu.Unlock()
	all := s.store.Put(ctx, without(records, kept)...)
	for i, e := range dirty {
		if all != nil && !kept[i] { // one by one: what is wrong with one of them is not with the others
			if err := s.store.Put(ctx, records[i]); err != nil {
				s.log.Error("an order cannot be written", "work", records[i].Order.ID, "err", err)
				s.mu.Lock()
				s.soil(e)
				s.mu.Unlock()
				s.answer(e, err)
				continue
			}
		}
		if records[i].Order.State.Ended() {
			s.remove(e)
		}
		for _, tell := range watchers {
			tell(records[i].Order)
		}
		s.answer(e, nil)
	}
}

// without leaves those records out that are kept already.
func without(records []Record, kept []bool) []Record {
	if !slices.Contains(kept, true) {
		return records
	}
	var out []Record
	for i, r := range records {
		if !kept[i] {
			out = append(out, r)
		}
	}
	return out
}

// Watch calls enqueue for each order that changed, from Run's goroutine, in the
// order of the changes of one order; changes that follow each other closely
// coalesce into the newest, whose history has them all. It must only enqueue:
// everybody waits for it. After cancel has returned it may be called once more.
func (s *Service) Watch(enqueue func(area.Order)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchID++
	id := s.watchID
	s.watch[id] = enqueue
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watch, id)
	}
}

// watchers is everybody who watches, the first first. The caller holds the
// lock.
func (s *Service) watchers() []func(area.Order) {
	n := make([]uint64, 0, len(s.watch))
	for id := range s.watch {
		n = append(n, id)
	}
	slices.Sort(n)
	out := make([]func(area.Order), len(n))
	for i, id := range n {
		out[i] = s.watch[id]
	}
	return out
}
