package order

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// How long a caller of Cancel waits to see the end: a sound is cut within 300
// ms (DESIGN.md §3.6), anything else ends at once unless the arbiter is busy.
const (
	waitPlaying = 300 * time.Millisecond
	waitOther   = 2 * time.Second

	mostAsked = 16 // orders of other nodes that a stop takes back at a time
)

// Cancel takes an order back for a person, and answers what has become of it:
// cancelled, or still playing for at most 300 ms more. It waits for the end for
// as long at most (2 s for what does not sound). Its errors are [area.Error]s:
// not_found, ended, and degraded where the order is another node's that does not answer.
func (s *Service) Cancel(ctx context.Context, id area.WorkID) (area.Order, error) {
	if node := s.nodeOf(id); node != "" {
		return s.cfg.Nodes.Peers.TakeBack(ctx, node, id, area.EndUser)
	}
	return s.cancelNow(ctx, id, area.EndUser)
}

// nodeOf is the other node that has an order without an end; empty: none has.
func (s *Service) nodeOf(id area.WorkID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.live[id]; e != nil && e.hand == others && !e.order.State.Ended() {
		return e.node
	}
	return ""
}

func (s *Service) cancelNow(ctx context.Context, id area.WorkID, reason string) (area.Order, error) {
	s.mu.Lock()
	e := s.live[id]
	s.mu.Unlock()
	if e == nil {
		r, ok := s.store.Get(id)
		if !ok {
			return area.Order{}, area.Errorf(area.CodeNotFound, "no order %s", id)
		}
		return area.Order{}, endedAlready(r.Order)
	}
	wait, err := s.cancel(ctx, e, reason)
	if err != nil {
		return area.Order{}, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-e.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.snapshot(e), nil
}

func endedAlready(o area.Order) error {
	return area.Errorf(area.CodeEnded, "order %s is %s since %s", o.ID, o.State, o.EndedAt)
}

// cancel takes an entry back, and tells how long its end may take.
func (s *Service) cancel(ctx context.Context, e *entry, reason string) (wait time.Duration, err error) {
	s.mu.Lock()
	if e.order.State.Ended() {
		defer s.mu.Unlock()
		return 0, endedAlready(e.order)
	}
	if e.hand == others {
		node := e.node
		s.mu.Unlock()
		_, err := s.cfg.Nodes.Peers.TakeBack(ctx, node, e.order.ID, reason)
		return 0, err
	}
	wait = waitOther
	if e.order.State == area.OrderPlaying {
		wait = waitPlaying
	}
	e.cancel = reason
	hand := e.hand
	if hand == ours {
		s.change(e, area.Report{State: area.OrderCancelled, Reason: reason}, s.now())
	}
	s.mu.Unlock()
	s.poke()
	if hand != theirs { // one that is being handed over is taken back by who does that
		return wait, nil
	}
	return wait, s.takeBack(ctx, e.order.ID, reason)
}

// takeBack asks the dispatcher to cancel. That it does not know the work, or
// ended it, means that its report is on the way.
func (s *Service) takeBack(ctx context.Context, id area.WorkID, reason string) error {
	err := s.disp.Cancel(ctx, id, reason)
	switch area.CodeOf(err) {
	case area.CodeNotFound, area.CodeEnded:
		return nil
	}
	return err
}

// Stopped is what a stop took back.
type Stopped struct {
	Stopped   []area.WorkID `json:"stopped"`   // sounded
	Cancelled []area.WorkID `json:"cancelled"` // waited
}

// StopArea silences an area: what sounds, and with waiting also what waits,
// orders for later included. It returns when the dispatcher knows. Its error is
// an [area.Error] of code unknown_area, or what the dispatcher said; then the
// answer has what was taken back all the same.
func (s *Service) StopArea(ctx context.Context, a area.Name, waiting bool) (Stopped, error) {
	if _, ok := s.roster.Area(a); !ok {
		return Stopped{}, area.Errorf(area.CodeUnknownArea, "no area %s", a)
	}
	s.mu.Lock()
	entries := slices.Clone(s.areas[a])
	s.mu.Unlock()
	return s.stop(ctx, entries, waiting)
}

// StopAll is [Service.StopArea] for every area.
func (s *Service) StopAll(ctx context.Context, waiting bool) (Stopped, error) {
	s.mu.Lock()
	var entries []*entry
	for _, list := range s.areas {
		entries = append(entries, list...)
	}
	s.mu.Unlock()
	slices.SortFunc(entries, func(x, y *entry) int { return cmp.Compare(x.arrival, y.arrival) })
	return s.stop(ctx, entries, waiting)
}

// stop takes back the waiting ones first, so that none begins in the silence.
func (s *Service) stop(ctx context.Context, entries []*entry, waiting bool) (Stopped, error) {
	out := Stopped{Stopped: []area.WorkID{}, Cancelled: []area.WorkID{}}
	var sounding, rest []*entry
	s.mu.Lock()
	for _, e := range entries {
		if e.order.State == area.OrderPlaying {
			sounding = append(sounding, e)
		} else if waiting {
			rest = append(rest, e)
		}
	}
	s.mu.Unlock()
	var errs []error
	var mu sync.Mutex // guards errs and out
	one := func(e *entry, into *[]area.WorkID) {
		_, err := s.cancel(ctx, e, area.EndStop)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			*into = append(*into, e.order.ID)
		case area.CodeOf(err) != area.CodeEnded:
			errs = append(errs, err)
		}
	}
	back := func(list []*entry, into *[]area.WorkID) {
		var tasks sync.WaitGroup
		places := make(chan struct{}, mostAsked)
		for _, e := range list {
			if s.nodeOf(e.order.ID) == "" {
				one(e, into)
				continue
			}
			places <- struct{}{}
			tasks.Go(func() {
				defer func() { <-places }()
				one(e, into)
			})
		}
		tasks.Wait()
	}
	back(rest, &out.Cancelled)
	back(sounding, &out.Stopped)
	return out, errors.Join(errs...)
}
