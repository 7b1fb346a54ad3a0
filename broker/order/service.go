package order

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Service takes orders and knows what became of them. Its methods are safe for
// concurrent use.
type Service struct {
	cfg    Config
	store  Store
	roster Roster
	disp   Dispatcher
	rend   Renderer
	now    func() time.Time
	log    *slog.Logger
	ids    ids
	wake   chan struct{} // something waits for Run
	count  counts

	mu      sync.Mutex
	arrival uint64
	live    map[area.WorkID]*entry
	foreign int                     // of them, those that other nodes have
	silent  map[area.Name]time.Time // when the last sound of an area ended
	areas   map[area.Name][]*entry  // the same, by area, in the order of arrival
	inbox   []*entry                // with reports that wait
	dirty   []*entry                // with changes that are not written
	watch   map[uint64]func(area.Order)
	watchID uint64

	adoptions []adoption // that wait for Run
	swept     time.Time  // when keys that are over were looked for; Run's

	keyMu  sync.Mutex
	keys   map[keyName]*keyed
	keyAge []*keyed // the oldest first
}

// New makes a service; orders without an end that the store has are taken up
// again. It reports all faults of the configuration at once.
func New(cfg Config, store Store, roster Roster, disp Dispatcher, rend Renderer, now func() time.Time, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg.withDefaults(), store: store, roster: roster, disp: disp, rend: rend, now: now, log: log,
		wake: make(chan struct{}, 1), live: map[area.WorkID]*entry{}, silent: map[area.Name]time.Time{}, areas: map[area.Name][]*entry{},
		watch: map[uint64]func(area.Order){}, keys: map[keyName]*keyed{},
	}
	for _, r := range store.Live() {
		e := &entry{location: r.Location, device: r.Device, order: r.Order, hand: s.handOf(r), node: r.Node, seen: r.Order.Device != nil, ended: make(chan struct{})}
		if e.hand == ours {
			e.node = s.self()
		}
		s.insert(e)
	}
	if n := s.cfg.Nodes; n != nil {
		n.Orders.Follow(s.heard)
	}
	return s, nil
}

// Accept checks a request, stores the order and hands it to the dispatcher. It
// blocks for the store and for the dispatcher. Its errors are [area.Error]s:
// invalid and unknown_… with every fault, exists for an id that was used,
// idempotency_mismatch, rate when too many orders have no end.
func (s *Service) Accept(ctx context.Context, r area.OrderRequest, by By) (area.Order, error) {
	o, _, err := s.AcceptOnce(ctx, r, by)
	return o, err
}

// DryRun is the order that Accept would make, with its estimated start; nothing
// is stored. Its id is empty unless the request has one.
func (s *Service) DryRun(_ context.Context, r area.OrderRequest, by By) (area.Order, error) {
	e, err := s.build(r, by, nil)
	if err != nil {
		return area.Order{}, err
	}
	if r.ID == nil {
		e.order.ID = ""
	} else if s.known(e.order.ID) {
		return area.Order{}, exists(e.order.ID)
	}
	p, now := presentOf(s.roster.Players()), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	e.arrival = s.arrival + 1
	return estimated(e, turns(append(slices.Clone(s.areas[e.order.Area]), e), p, now)), nil
}

// Where is the area that a target is in. Its errors are [area.Error]s:
// unknown_area, unknown_location, unknown_device, and invalid for a target that
// goes to each location.
func (s *Service) Where(to area.To) (area.Name, error) {
	if to.Keys() != 1 || to.Each != nil {
		return "", area.InvalidField("to", "exactly one of area, location, device is needed")
	}
	in, _, _, err := s.roster.Resolve(to)
	return in, err
}

func (s *Service) accept(ctx context.Context, r area.OrderRequest, by By, sub *area.Submit) (area.Order, error) {
	e, err := s.build(r, by, sub)
	if err != nil {
		s.count.refused.Add(1)
		return area.Order{}, err
	}
	if err := s.reserve(e); err != nil {
		s.count.refused.Add(1)
		return area.Order{}, err
	}
	if err := s.store.Put(ctx, e.record()); err != nil {
		s.remove(e)
		return area.Order{}, err
	}
	if err := s.start(ctx, e); err != nil {
		s.count.refused.Add(1)
		return area.Order{}, err
	}
	s.count.accepted.Add(1)
	return s.snapshot(e), nil
}

// reserve takes the id. The entry is ours alone until it is handed over.
func (s *Service) reserve(e *entry) error {
	_, stored := s.store.Get(e.order.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored || s.live[e.order.ID] != nil {
		return exists(e.order.ID)
	}
	if n := len(s.live) - s.foreign; n >= s.cfg.MaxLive {
		return area.Errorf(area.CodeRate, "%d orders wait for their end already", n)
	}
	e.hand, e.node = handing, s.self()
	s.insert(e)
	return nil
}

// start hands a stored order over, or leaves it to wait for its time. An error
// means that the dispatcher will not have it: then it was never accepted.
func (s *Service) start(ctx context.Context, e *entry) error {
	if now := s.now(); !e.due(now) {
		s.mu.Lock()
		e.handed(ours)
		s.change(e, area.Report{State: area.OrderWaiting}, now)
		if e.cancel != "" { // taken back meanwhile
			s.change(e, area.Report{State: area.OrderCancelled, Reason: e.cancel}, now)
		}
		s.mu.Unlock()
		s.poke()
		return nil
	}
	err := s.submit(context.WithoutCancel(ctx), e)
	if err == nil || !final(err) {
		s.mu.Lock()
		s.soil(e)
		s.mu.Unlock()
		s.poke()
		return nil
	}
	s.remove(e)
	if gone := s.store.Drop(context.WithoutCancel(ctx), e.order.ID); gone != nil {
		s.log.Error("a refused order stays in the store", "work", e.order.ID, "err", gone)
	}
	return err
}

// final tells whether a dispatcher's error refuses a work for good.
func final(err error) bool {
	switch area.CodeOf(err) {
	case area.CodeRate, area.CodeInvalid, area.CodeUnknownArea, area.CodeUnknownLocation, area.CodeUnknownDevice, area.CodeExists, area.CodeConflict, area.CodeForbidden, area.CodeTooLarge:
		return true
	}
	return false
}

// submit hands the work of an entry, which is being handed over, to the
// dispatcher.
func (s *Service) submit(ctx context.Context, e *entry) error {
	s.mu.Lock()
	w := e.work()
	s.mu.Unlock()
	ctx, stop := context.WithTimeout(ctx, submitTimeout)
	defer stop()
	err := s.disp.Submit(ctx, w)
	s.mu.Lock()
	e.handed(theirs)
	if err != nil && e.hand != others {
		e.hand, e.retryAt = ours, s.now().Add(retryAfter)
	}
	reason := e.cancel
	if err != nil && reason != "" {
		s.change(e, area.Report{State: area.OrderCancelled, Reason: reason}, s.now())
	}
	s.mu.Unlock()
	switch {
	case err == nil && reason != "": // taken back while it was handed over
		return s.takeBack(ctx, w.ID, reason)
	case err != nil && !final(err):
		s.log.Warn("the dispatcher does not take a work", "work", w.ID, "area", w.Area, "err", err)
	}
	return err
}

// Get answers an order. Its error is an [area.Error] of code not_found.
func (s *Service) Get(id area.WorkID) (area.Order, error) {
	s.mu.Lock()
	e := s.live[id]
	s.mu.Unlock()
	if e != nil {
		return s.snapshot(e), nil
	}
	if r, ok := s.store.Get(id); ok {
		return r.Order, nil
	}
	return area.Order{}, area.Errorf(area.CodeNotFound, "no order %s", id)
}

// Find is Get of an order that another node may have accepted a moment ago: one that is
// not known is looked for where the nodes have theirs in common, which blocks for 500 ms
// at most.
func (s *Service) Find(ctx context.Context, id area.WorkID) (area.Order, error) {
	o, err := s.Get(id)
	if s.cfg.Nodes == nil || area.CodeOf(err) != area.CodeNotFound {
		return o, err
	}
	s.cfg.Nodes.Orders.Bring(ctx, id)
	return s.Get(id)
}

// List answers the newest orders first, and what to give as After to go on;
// next is empty at the end. Its error is an [area.Error] of code invalid for an
// After that no list gave out.
func (s *Service) List(f Filter) (items []area.Order, next string, err error) {
	switch f.State {
	case "", area.OrderAccepted, area.OrderWaiting, area.OrderOffered, area.OrderAssigned, area.OrderPlaying,
		area.OrderPlayed, area.OrderExpired, area.OrderCancelled, area.OrderFailed:
	default:
		return nil, "", area.InvalidField("state", "no state of an order")
	}
	items, next, err = s.store.List(f)
	if err != nil {
		return nil, "", err
	}
	s.refresh(items)
	items = slices.DeleteFunc(items, func(o area.Order) bool { return !f.match(&o) }) // moved on since it was written
	return items, next, nil
}

// refresh puts the newest word on those of the orders that have no end.
func (s *Service) refresh(items []area.Order) {
	p, now := presentOf(s.roster.Players()), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := map[area.Name]map[*entry]turn{}
	for i := range items {
		e := s.live[items[i].ID]
		if e == nil {
			continue
		}
		a := e.order.Area
		if lines[a] == nil {
			lines[a] = turns(s.areas[a], p, now)
		}
		items[i] = estimated(e, lines[a])
	}
}

// Queue answers the orders of an area that wait, in the order in which they
// will have their turn. What sounds is not among them.
func (s *Service) Queue(a area.Name) []area.Queued {
	p, now := presentOf(s.roster.Players()), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	when := turns(s.areas[a], p, now)
	queue := []area.Queued{}
	for _, e := range lineOf(s.areas[a], now) {
		o := estimated(e, when)
		queue = append(queue, area.Queued{Order: o.ID, Device: o.Device, State: o.State, EstimatedStart: o.EstimatedStart})
	}
	return queue
}

// snapshot is the order of an entry as it is now, with its estimate.
func (s *Service) snapshot(e *entry) area.Order {
	p, now := presentOf(s.roster.Players()), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return estimated(e, turns(s.areas[e.order.Area], p, now))
}

// estimated is the order of e with the turn that it has. A start that moved by
// less than two seconds is shown as before, so that who reads an order twice
// reads the same. The caller holds the lock.
func estimated(e *entry, when map[*entry]turn) area.Order {
	o := e.order
	if t, ok := when[e]; ok {
		if t.near(e.shown) {
			t = e.shown
		}
		e.shown = t
		o.EstimatedStart, o.After = nil, orNil(t.after)
		if !t.start.IsZero() {
			at := area.At(t.start)
			o.EstimatedStart = &at
		}
	}
	return o
}

// insert adds an entry; the caller holds the lock, or is New.
func (s *Service) insert(e *entry) {
	s.arrival++
	e.arrival = s.arrival
	s.live[e.order.ID] = e
	if e.hand == others {
		s.foreign++
	}
	s.areas[e.order.Area] = append(s.areas[e.order.Area], e)
}

// remove forgets an entry.
func (s *Service) remove(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[e.order.ID] == e && e.hand == others {
		s.foreign--
	}
	delete(s.live, e.order.ID)
	a := e.order.Area
	i, ok := slices.BinarySearchFunc(s.areas[a], e, func(x, y *entry) int { return cmp.Compare(x.arrival, y.arrival) })
	if ok {
		s.areas[a] = slices.Delete(s.areas[a], i, i+1)
	}
	if len(s.areas[a]) == 0 {
		delete(s.areas, a)
	}
}

func (s *Service) known(id area.WorkID) bool {
	s.mu.Lock()
	e := s.live[id]
	s.mu.Unlock()
	_, stored := s.store.Get(id)
	return e != nil || stored
}

func exists(id area.WorkID) error {
	return area.Errorf(area.CodeExists, "an order %s exists", id)
}
