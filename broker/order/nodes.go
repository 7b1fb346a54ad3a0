package order

import (
	"context"
	"errors"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// Nodes joins the orders of several hub nodes to one list. An order belongs to the
// node that accepted it, or to the one that has taken it over from a node that is
// gone: that one alone hands it to the dispatcher, moves it and writes it. All others
// show it, and have its node cancel it.
type Nodes struct {
	Self   string  // name of this node
	Orders Sharing // the other half of the service's Store
	Keys   Keys    // the idempotency keys of all nodes; nil: each node's are its own
	Peers  Peers
}

// Sharing is what a [Store] does whose orders other nodes have as well; [Shared] is
// one.
type Sharing interface {
	// Follow has changed called with each order that another node has written, and
	// with each that another node has taken over. It must only enqueue.
	Follow(changed func(Record))
	// Bring has changed called with an order that this node has not heard of yet, if
	// there is one. It blocks for 500 ms at most.
	Bring(ctx context.Context, id area.WorkID)
	// Take makes this node the owner of an order that another is said to have: one
	// node alone succeeds. False: it was not that node's any more, or has ended. Its
	// error is an [area.Error], of code degraded where nobody can tell.
	Take(ctx context.Context, id area.WorkID, from string) (Record, bool, error)
}

// Peers is the other nodes' order services.
type Peers interface {
	// TakeBack has a node call [Service.TakeBack]. It blocks for the node; its error is
	// what that said, or one of code degraded where it says nothing.
	TakeBack(ctx context.Context, node string, id area.WorkID, reason string) (area.Order, error)
	// Report hands a node the dispatcher's word on one of its orders. It must not
	// block, and may lose it: ends are said again.
	Report(node string, r area.Report)
}

// self is the name of this node; empty: it is alone.
func (s *Service) self() string {
	if s.cfg.Nodes == nil {
		return ""
	}
	return s.cfg.Nodes.Self
}

// handOf is who has an order that is kept.
func (s *Service) handOf(r Record) hand {
	if s.cfg.Nodes == nil || r.Node == s.cfg.Nodes.Self {
		return ours
	}
	return others
}

// heard takes in an order as another node has written it. An order of ours that is
// another's by now is let go.
func (s *Service) heard(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.live[r.Order.ID]
	switch {
	case e == nil:
		e = &entry{location: r.Location, device: r.Device, order: r.Order, node: r.Node, hand: s.handOf(r), seen: r.Order.Device != nil, ended: make(chan struct{})}
		s.insert(e)
		s.soil(e)
	case e.order.State.Ended(): // and about to be written, or told
		return
	case s.handOf(r) == others || r.Order.State.Ended():
		s.taken(e, r)
	default:
		s.inherited(e, r)
	}
	if e.order.State.Ended() {
		close(e.ended)
	}
	s.poke()
}

// taken has an entry follow what its node says; the caller holds the lock.
func (s *Service) taken(e *entry, r Record) {
	if e.hand != others {
		s.count.letGo.Add(1)
		s.foreign++
		s.log.Info("order is another node's by now", "work", e.order.ID, "node", r.Node)
	}
	e.become(r.Order)
	e.node, e.hand, e.cancel = r.Node, others, ""
	s.soil(e)
}

// Owners names the other nodes that have orders without an end, in their order.
func (s *Service) Owners() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.live {
		if e.hand == others && !e.order.State.Ended() && !slices.Contains(out, e.node) {
			out = append(out, e.node)
		}
	}
	slices.Sort(out)
	return out
}

// Inherit takes over the orders without an end of a node that is gone, and goes on
// with them as with its own after a restart. Of several nodes that do so at once one
// gets each. It blocks for what the nodes have in common; its error is the first that
// kept it from an order, after all were tried.
func (s *Service) Inherit(ctx context.Context, node string) error {
	var failed error
	for _, e := range s.pick(func(e *entry) bool { return e.hand == others && e.node == node && !e.order.State.Ended() }) {
		r, mine, err := s.cfg.Nodes.Orders.Take(ctx, e.order.ID, node)
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case mine:
			s.mu.Lock()
			if e.hand == others && s.live[e.order.ID] == e {
				s.inherited(e, r)
			}
			s.mu.Unlock()
			s.poke()
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// inherited makes an order this node's own; the caller holds the lock.
func (s *Service) inherited(e *entry, r Record) {
	if e.hand != others {
		return
	}
	s.log.Info("order of a node that is gone is taken over", "work", e.order.ID, "node", e.node)
	e.become(r.Order)
	e.node, e.hand = s.self(), ours
	s.foreign--
	s.count.inherited.Add(1)
	s.soil(e)
}

// forward hands a report on an order of another node to that.
func (s *Service) forward(node string, r area.Report) {
	s.count.forwarded.Add(1)
	s.cfg.Nodes.Peers.Report(node, r)
}

// TakeBack is [Service.Cancel] on behalf of another node, for a reason. Its errors
// are those of Cancel, and conflict where the order is not this node's any more.
func (s *Service) TakeBack(ctx context.Context, id area.WorkID, reason string) (area.Order, error) {
	s.mu.Lock()
	e := s.live[id]
	foreign := e != nil && e.hand == others
	s.mu.Unlock()
	if foreign {
		return area.Order{}, area.Errorf(area.CodeConflict, "order %s is another node's by now", id)
	}
	return s.cancelNow(ctx, id, reason)
}

// Waiting is how many orders of all nodes do not sound and have no end.
func (s *Service) Waiting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.live {
		if !e.order.State.Ended() && e.order.State != area.OrderPlaying {
			n++
		}
	}
	return n
}
