package scheduler

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/scheduler/rule"
)

// Service keeps schedules and makes their orders. Its methods are safe for
// concurrent use.
type Service struct {
	cfg    Config
	store  Store
	orders Orders
	places Places
	now    func() time.Time
	log    *slog.Logger
	wake   chan struct{} // holds one: schedules have changed

	// edits lets one change of schedules through at a time. It is held while the
	// store writes, so that the store and the table below agree on which of two
	// changes was the last.
	edits sync.Mutex

	mu    sync.Mutex // guards what is below
	table map[string]*entry

	fired, missed, skipped, refused atomic.Uint64
}

// entry is a schedule on the table.
type entry struct {
	Record
	rule rule.Rule
	next time.Time // zero: none, or not enabled
}

// Stats is what has happened since the start.
type Stats struct {
	Schedules int
	Fired     uint64 // orders made
	Missed    uint64 // schedules that came due too late, once for each time
	Skipped   uint64 // locations whose earlier order had not ended
	Refused   uint64 // orders that the order service refused
}

// New makes a service out of what the store has and the configuration says. now
// is the wall clock. It starts nothing. Its error is about the configuration,
// the store, or a configured id that a caller's schedule has ([area.CodeExists]).
func New(cfg Config, store Store, orders Orders, places Places, now func() time.Time, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Most == 0 {
		cfg.Most = defaultMost
	}
	s := &Service{cfg: cfg, store: store, orders: orders, places: places, now: now, log: log, wake: make(chan struct{}, 1), table: map[string]*entry{}}
	records, err := store.Load()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		e, err := s.entry(r)
		if err != nil {
			log.Warn("stored schedule cannot be read", "rule", r.Schedule.ID, "err", err)
			continue
		}
		s.table[r.Schedule.ID] = e
	}
	return s, s.Reload(context.Background(), cfg.Schedules)
}

// entry makes a line of the table, due from now on.
func (s *Service) entry(r Record) (*entry, error) {
	compiled, err := compile(r.Schedule)
	if err != nil {
		return nil, err
	}
	e := &entry{Record: r, rule: compiled}
	if r.Schedule.Enabled {
		e.next = compiled.Next(s.now())
	}
	return e, nil
}

// show is the schedule as everybody sees it.
func (e *entry) show() area.Schedule {
	out := e.Schedule
	out.Next = nil
	if !e.next.IsZero() {
		t := area.At(e.next)
		out.Next = &t
	}
	return out
}

// List is every schedule, in the order of their ids.
func (s *Service) List() []area.Schedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]area.Schedule, 0, len(s.table))
	for _, id := range slices.Sorted(maps.Keys(s.table)) {
		out = append(out, s.table[id].show())
	}
	return out
}

// Get is one schedule; [area.CodeNotFound].
func (s *Service) Get(id string) (area.Schedule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.table[id]
	if !ok {
		return area.Schedule{}, unknown(id)
	}
	return e.show(), nil
}

// Next is the next n instants of a schedule, enabled or not; fewer where it
// ends; [area.CodeNotFound], and [area.CodeInvalid] where n is not 1 to 1,000.
func (s *Service) Next(id string, n int) ([]area.Time, error) {
	if n < 1 || n > 1000 {
		return nil, area.InvalidField("n", "%d is not 1 to 1000", n)
	}
	s.mu.Lock()
	e, ok := s.table[id]
	s.mu.Unlock()
	if !ok {
		return nil, unknown(id)
	}
	out := []area.Time{}
	for _, t := range rule.NextN(e.rule, s.now(), n) {
		out = append(out, area.At(t))
	}
	return out, nil
}

// Create adds a schedule of a caller and answers it. [area.CodeExists],
// [area.CodeRate] where there are [Config.Most], [area.CodeInvalid] and what the
// order service says of the work.
func (s *Service) Create(ctx context.Context, n area.Schedule) (area.Schedule, error) {
	s.edits.Lock()
	defer s.edits.Unlock()
	if _, err := s.Get(n.ID); err == nil {
		return area.Schedule{}, area.Errorf(area.CodeExists, "schedule %s is there already", n.ID)
	}
	if s.Stats().Schedules >= s.cfg.Most {
		return area.Schedule{}, area.Errorf(area.CodeRate, "there are %d schedules already", s.cfg.Most)
	}
	return s.put(ctx, Record{Schedule: n})
}

// Put replaces a schedule of a caller and answers it. What it fired last stays.
// [area.CodeNotFound], [area.CodeConfigured], [area.CodeInvalid] and what the
// order service says of the work.
func (s *Service) Put(ctx context.Context, n area.Schedule) (area.Schedule, error) {
	s.edits.Lock()
	defer s.edits.Unlock()
	r, err := s.callers(n.ID)
	if err != nil {
		return area.Schedule{}, err
	}
	n.Last = r.Schedule.Last
	r.Schedule = n
	return s.put(ctx, r)
}

// Delete removes a schedule of a caller. Its orders stay. [area.CodeNotFound],
// [area.CodeConfigured].
func (s *Service) Delete(ctx context.Context, id string) error {
	s.edits.Lock()
	defer s.edits.Unlock()
	if _, err := s.callers(id); err != nil {
		return err
	}
	return s.drop(ctx, id)
}

// callers is a schedule that a caller may change.
func (s *Service) callers(id string) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.table[id]
	if !ok {
		return Record{}, unknown(id)
	}
	if e.Schedule.Source == area.SourceConfig {
		return Record{}, area.Errorf(area.CodeConfigured, "schedule %s is in the configuration file", id)
	}
	return e.Record, nil
}

// put checks, keeps and lays down a caller's schedule.
func (s *Service) put(ctx context.Context, r Record) (area.Schedule, error) {
	r.Schedule.Source, r.Schedule.Next = area.SourceAPI, nil
	e, err := s.entry(r)
	if err != nil {
		return area.Schedule{}, err
	}
	if err := s.tryWork(ctx, r.Schedule.Work); err != nil {
		return area.Schedule{}, err
	}
	if err := s.lay(ctx, e); err != nil {
		return area.Schedule{}, err
	}
	return s.Get(r.Schedule.ID)
}

// tryWork asks the order service what it thinks of the work. Work for each
// location is tried with one of them.
func (s *Service) tryWork(ctx context.Context, work area.OrderRequest) error {
	if work.To.Each != nil {
		all := s.locations()
		if len(all) == 0 {
			return nil
		}
		work.To = at(all[0])
	}
	_, err := s.orders.DryRun(ctx, work)
	return err
}

// lay keeps an entry and puts it on the table.
func (s *Service) lay(ctx context.Context, e *entry) error {
	if err := s.store.Put(ctx, e.Record); err != nil {
		return err
	}
	s.mu.Lock()
	s.table[e.Schedule.ID] = e
	s.mu.Unlock()
	s.poke()
	return nil
}

func (s *Service) drop(ctx context.Context, id string) error {
	if err := s.store.Delete(ctx, id); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.table, id)
	s.mu.Unlock()
	return nil
}

// Reload makes the schedules of the configuration file these: new ones come,
// others go, and one that stays keeps what it fired last. Callers' schedules are
// not touched; an id of theirs is [area.CodeExists]. With an error nothing has
// changed, unless it is the store's.
func (s *Service) Reload(ctx context.Context, configured []area.Schedule) error {
	s.edits.Lock()
	defer s.edits.Unlock()
	old := s.configured()
	var entries []*entry
	for _, n := range configured {
		e, err := s.reentry(n, old)
		if err != nil {
			return err
		}
		if e != nil {
			entries = append(entries, e)
		}
		delete(old, n.ID)
	}
	for id := range old {
		if err := s.drop(ctx, id); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := s.lay(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// configured is the entries of the configuration file.
func (s *Service) configured() map[string]*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]*entry{}
	for id, e := range s.table {
		if e.Schedule.Source == area.SourceConfig {
			out[id] = e
		}
	}
	return out
}

// reentry makes the entry of a configured schedule, with what the old one of its
// id had fired.
func (s *Service) reentry(n area.Schedule, old map[string]*entry) (*entry, error) {
	r := Record{}
	if was, ok := old[n.ID]; ok {
		s.mu.Lock()
		r = was.Record
		s.mu.Unlock()
	} else if _, err := s.Get(n.ID); err == nil {
		return nil, area.Errorf(area.CodeExists, "schedule %s of the configuration file was made by a caller already", n.ID)
	}
	n.Last, n.Source, n.Next = r.Schedule.Last, area.SourceConfig, nil
	r.Schedule = n
	return s.entry(r)
}

// Stats is what has happened since the start.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	n := len(s.table)
	s.mu.Unlock()
	return Stats{Schedules: n, Fired: s.fired.Load(), Missed: s.missed.Load(), Skipped: s.skipped.Load(), Refused: s.refused.Load()}
}

func unknown(id string) error { return area.Errorf(area.CodeNotFound, "no schedule %s", id) }
