package scheduler

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	// look is how long Run sleeps at most: timers do not follow a wall clock that
	// is set, so it is read again.
	look = 10 * time.Second

	// setBack is how far back the wall clock must go to count as set, and not as
	// corrected: a rule that has fired stays silent through a correction.
	setBack = 10 * time.Minute
)

// firing is one instant of one schedule.
type firing struct {
	id   string
	at   time.Time
	work area.OrderRequest
	each map[area.LocationID]area.WorkID

	others bool // another node makes its orders
}

// Run makes the orders of rules that come due, until ctx ends; then it answers
// nil. Firings of one instant are made in the order of their schedules' ids.
func (s *Service) Run(ctx context.Context) error {
	s.reportMissed()
	timer := time.NewTimer(0)
	defer timer.Stop()
	latest, unset := s.now(), false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.wake:
		}
		now := s.now()
		if now.Before(s.cfg.NotBefore) {
			unset = s.waits(unset)
			timer.Reset(look)
			continue
		}
		if unset || now.Before(latest.Add(-setBack)) {
			s.log.Warn("clock was set", "dur", now.Sub(latest))
			s.reckon(now)
			latest, unset = now, false
		}
		if now.After(latest) {
			latest = now
		}
		for _, f := range s.due(now) {
			s.fire(ctx, f)
		}
		timer.Reset(s.untilNext())
	}
}

// waits says, once, that nothing comes due before the clock is set.
func (s *Service) waits(told bool) bool {
	if !told {
		s.log.Warn("the clock is not set, and no schedule comes due before it is")
	}
	return true
}

// poke wakes Run; a poke that is waiting already stands for this one.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// reportMissed logs, once at the start, which schedules came due while nobody
// was there to fire them.
func (s *Service) reportMissed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for id, e := range s.table {
		if e.Schedule.Last == nil || !e.Schedule.Enabled {
			continue
		}
		if t := e.rule.Next(e.Schedule.Last.At.Time); !t.IsZero() && t.Before(now) {
			s.missed.Add(1)
			s.log.Info("firings missed while stopped", "rule", id, "dur", now.Sub(t))
		}
	}
}

// reckon makes every rule due after now.
func (s *Service) reckon(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.table {
		if e.Schedule.Enabled {
			e.next = e.rule.Next(now)
		}
	}
}

// untilNext is the time until a rule comes due, at most look.
func (s *Service) untilNext() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, wait := s.now(), look
	for _, e := range s.table {
		if !e.next.IsZero() {
			wait = min(wait, max(0, e.next.Sub(now)))
		}
	}
	return wait
}

// due takes the firings that are due off the table: of each schedule the newest
// that is not too late. The others are missed.
func (s *Service) due(now time.Time) []*firing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*firing
	for id, e := range s.table {
		if e.next.IsZero() || e.next.After(now) {
			continue
		}
		at, missed := e.newest(now, s.cfg.Grace)
		if missed {
			s.missed.Add(1)
			s.log.Warn("firings missed", "rule", id, "dur", now.Sub(e.next))
		}
		e.next = e.rule.Next(now)
		if !at.IsZero() {
			out = append(out, &firing{id: id, at: at, work: e.Schedule.Work, each: maps.Clone(e.Each)})
		}
	}
	slices.SortFunc(out, func(a, b *firing) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id))
	})
	return out
}

// newest is the latest instant of the rule that is due and not too late; zero
// where there is none. missed tells whether others were passed over.
func (e *entry) newest(now time.Time, grace time.Duration) (at time.Time, missed bool) {
	t := e.next
	if now.Sub(t) > grace {
		missed = true
		t = e.rule.Next(now.Add(-grace))
	}
	for ; !t.IsZero() && !t.After(now); t = e.rule.Next(t) {
		missed = missed || !at.IsZero()
		at = t
	}
	return at, missed
}

// fire makes the orders of a firing and notes them.
func (s *Service) fire(ctx context.Context, f *firing) {
	last := area.ScheduleFired{At: area.At(f.at)}
	if f.work.To.Each != nil {
		last.Order = s.fireEach(ctx, f)
	} else {
		last.Order = s.accept(ctx, f, f.work, "")
	}
	if f.others { // that node notes it
		return
	}
	s.mu.Lock()
	if e, ok := s.table[f.id]; ok {
		e.Schedule.Last, e.Each = &last, f.each
	}
	s.mu.Unlock()
	if err := s.store.Fired(ctx, f.id, last, f.each); err != nil {
		s.log.Error("firing not noted", "rule", f.id, "err", err)
	}
}

// fireEach makes one order for each location and answers the first. Locations
// that are gone are forgotten.
func (s *Service) fireEach(ctx context.Context, f *firing) (first *area.WorkID) {
	each := map[area.LocationID]area.WorkID{}
	for _, l := range s.locations() {
		if before, ok := f.each[l]; ok && s.pending(before) {
			each[l] = before
			s.skipped.Add(1)
			s.log.Debug("location skipped", "rule", f.id, "location", string(l), "work", string(before))
			continue
		}
		work := f.work
		work.To = at(l)
		id := s.accept(ctx, f, work, l)
		if id == nil {
			continue
		}
		each[l] = *id
		if first == nil {
			first = id
		}
	}
	f.each = each
	return first
}

// pending tells whether an order has not ended. One that is not known any more
// has.
func (s *Service) pending(id area.WorkID) bool {
	o, err := s.orders.Get(id)
	return err == nil && !o.State.Ended()
}

// accept hands one order over; nil where it was refused. Its key makes the order
// service take it once.
func (s *Service) accept(ctx context.Context, f *firing, work area.OrderRequest, l area.LocationID) *area.WorkID {
	by := By{Schedule: f.id, Key: area.At(f.at).String() + "/" + string(l)}
	o, err := s.orders.Accept(ctx, work, by)
	if area.CodeOf(err) == area.CodeExists {
		f.others = true
		s.log.Debug("firing is another node's", "rule", f.id, "location", string(l))
		return nil
	}
	if err != nil {
		s.refused.Add(1)
		if to := work.To.Location; l == "" && to != nil {
			l = area.LocationID(*to)
		}
		s.log.Warn("order of a schedule refused", "rule", f.id, "location", string(l), "err", err)
		return nil
	}
	s.fired.Add(1)
	return &o.ID
}

// locations is every location of every area, in the order of their ids.
func (s *Service) locations() []area.LocationID {
	var out []area.LocationID
	for _, a := range s.places.Areas() {
		for _, l := range a.Locations {
			out = append(out, l.ID)
		}
	}
	slices.Sort(out)
	return out
}

func at(l area.LocationID) area.To {
	id := string(l)
	return area.To{Location: &id}
}
