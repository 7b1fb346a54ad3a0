package rollout

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Bounds of what is kept.
const (
	mostRunning = 32   // rollouts that have not ended
	mostKept    = 64   // rollouts; those that ended longest ago are forgotten
	mostDevices = 5000 // of a rollout
)

// Bus carries the orders and the statuses; area.Bus is one.
type Bus interface {
	Publish(ctx context.Context, batch ...area.Message) error
	Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error)
}

// Devices knows players. Its methods must not block.
type Devices interface {
	Devices() []area.Device
	Device(d area.DeviceID) (area.Device, bool)
}

// Retained is the retained messages that match a filter, at most so many. It must
// not block.
type Retained interface {
	Retained(filter string, most int) []area.Message
}

// Table keeps records by key on disk, at all nodes; shared.Table is one. What it took is
// durable when it returns.
type Table interface {
	Load(each func(key string, value []byte) error) error
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	// PutIf changes a record that is as old says, nil for one that is not there, and
	// else answers what there is. Its error has code degraded where that cannot be known.
	PutIf(ctx context.Context, key string, old, value []byte) (found []byte, done bool, err error)
}

// Parts is what a service works with. All are needed, but for Node and Mine.
type Parts struct {
	Node     string      // name of this one
	Mine     func() bool // whether this node carries rollouts out, of all that there are; nil: it is the only one
	Bus      Bus
	Devices  Devices
	Retained Retained
	Table    Table
	Now      func() time.Time
}

// Service makes and carries out rollouts. All methods but Run may be called by
// several goroutines.
type Service struct {
	Parts
	log   *slog.Logger
	count counters
	wake  chan struct{}

	mu    sync.Mutex // never held for a part
	book  book
	began time.Time                     // when this node began to carry them out; zero: it does not
	heard map[area.DeviceID]area.Update // not looked at yet; only of devices that are at it
}

type counters struct{ made, cancelled, orders, confirmed, failed, refused, skipped, unkept atomic.Uint64 }

// Stats counts what a service has done since its start.
type Stats struct {
	Running   int // now
	Made      uint64
	Cancelled uint64
	Orders    uint64 // sent to devices
	Confirmed uint64 // devices
	Failed    uint64
	Refused   uint64
	Skipped   uint64
	Unkept    uint64 // changes that the disk did not take
}

// New makes a service of the rollouts that the table has; those that had not
// ended go on. A record that cannot be read is left out and logged.
func New(p Parts, log *slog.Logger) (*Service, error) {
	if p.Mine == nil {
		p.Mine = func() bool { return true }
	}
	if p.Bus == nil || p.Devices == nil || p.Retained == nil || p.Table == nil || p.Now == nil {
		return nil, errors.New("rollout: a part is missing")
	}
	s := &Service{Parts: p, log: log, wake: make(chan struct{}, 1), heard: map[area.DeviceID]area.Update{}}
	err := p.Table.Load(func(id string, value []byte) error {
		if r, err := decode(id, value); err == nil {
			s.book.put(r)
		} else {
			log.Error("stored rollout cannot be read", "rule", id, "err", err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rollouts: %w", err)
	}
	return s, nil
}

// Stats is what was counted so far.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	running := 0
	for _, r := range s.book.list {
		if r.EndedAt == nil {
			running++
		}
	}
	s.mu.Unlock()
	c := &s.count
	return Stats{Running: running, Made: c.made.Load(), Cancelled: c.cancelled.Load(), Orders: c.orders.Load(), Confirmed: c.confirmed.Load(),
		Failed: c.failed.Load(), Refused: c.refused.Load(), Skipped: c.skipped.Load(), Unkept: c.unkept.Load()}
}

// List is every rollout that is kept, the oldest first.
func (s *Service) List() []Rollout {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Rollout, 0, len(s.book.list))
	for _, r := range s.book.list {
		out = append(out, r.clone())
	}
	return out
}

// Get is one rollout: not_found.
func (s *Service) Get(id string) (Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(id); r != nil {
		return r.clone(), nil
	}
	return Rollout{}, notFound(id)
}

func (s *Service) find(id string) *Rollout {
	for _, r := range s.book.list {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func notFound(id string) error { return area.Errorf(area.CodeNotFound, "no rollout %.40q", id) }

// versionForm is that of the versions that a program can be signed as.
var versionForm = regexp.MustCompile(`^v[0-9]+(\.[0-9]+){0,2}([-+][0-9A-Za-z.+-]+)?$`)

// Start makes a rollout, which is kept when Start returns. may refuses areas in
// which the caller may not; nil: he may in all. Its errors are of code invalid,
// unknown_device, unknown_area (where there is no player), forbidden and degraded
// (too many rollouts run), or the table's.
func (s *Service) Start(ctx context.Context, req Request, by string, may func(area.Name) error) (Rollout, error) {
	targets, err := s.targets(req.To)
	if err != nil {
		return Rollout{}, err
	}
	if req.Version != "" && (len(req.Version) > 128 || !versionForm.MatchString(req.Version)) {
		return Rollout{}, area.InvalidField("version", "not such as v1.4.0")
	}
	now := s.Now()
	r := &Rollout{ID: newID(now), Request: req, State: Running, CreatedAt: area.At(now), CreatedBy: by}
	for _, d := range targets {
		if may != nil {
			if err := may(d.Area); err != nil {
				return Rollout{}, err
			}
		}
		r.Devices = append(r.Devices, Device{Device: d.ID, Area: d.Area, State: Waiting, At: area.At(now)})
	}
	if s.Stats().Running >= mostRunning {
		return Rollout{}, area.Errorf(area.CodeDegraded, "%d rollouts run already", mostRunning)
	}
	if s.Mine() {
		r.coordinator = s.Node
	}
	if r.raw, err = encode(*r); err == nil {
		err = s.Table.Put(ctx, r.ID, r.raw)
	}
	if err != nil {
		return Rollout{}, err
	}
	s.count.made.Add(1)
	s.log.Info("rollout made", "rule", r.ID, "who", by, "n", len(r.Devices))
	s.mu.Lock()
	if s.find(r.ID) == nil { // else another node is at it already
		s.book.put(r)
	}
	out := r.clone()
	s.mu.Unlock()
	s.poke()
	return out, nil
}

// newID is an id that sorts by time.
func newID(now time.Time) string {
	return "u-" + strconv.FormatInt(now.UnixMilli(), 36) + strings.ToLower(rand.Text()[:5])
}

// targets are the players that a rollout is for, by area and id.
func (s *Service) targets(to To) ([]area.Device, error) {
	given := 0
	for _, is := range []bool{to.Device != nil, to.Area != nil, to.All} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, area.InvalidField("to", "exactly one of device, area and all")
	}
	list := slices.DeleteFunc(slices.Clone(s.Devices.Devices()), func(d area.Device) bool {
		return d.Kind != "player" || to.Device != nil && d.ID != *to.Device || to.Area != nil && d.Area != *to.Area
	})
	slices.SortFunc(list, func(a, b area.Device) int { return cmp.Or(cmp.Compare(a.Area, b.Area), cmp.Compare(a.ID, b.ID)) })
	switch {
	case len(list) > mostDevices:
		return nil, area.InvalidField("to", "more than %d devices: choose areas", mostDevices)
	case len(list) > 0:
		return list, nil
	case to.Device != nil:
		return nil, area.Errorf(area.CodeUnknownDevice, "no player %.80q", *to.Device)
	case to.Area != nil:
		return nil, area.Errorf(area.CodeUnknownArea, "no player in area %.80q", *to.Area)
	}
	return nil, area.Errorf(area.CodeUnknownDevice, "there is no player")
}

// cancelTime is how long a rollout may take to be cancelled.
const cancelTime = 5 * time.Second

// Cancel takes a rollout back: nobody else is ordered, and who was goes on. It blocks
// for the table. Its errors are of code not_found, ended, and degraded where the other
// nodes cannot be reached.
func (s *Service) Cancel(id, by string) (Rollout, error) {
	ctx, stop := context.WithTimeout(context.Background(), cancelTime)
	defer stop()
	for {
		r, err := s.Get(id)
		if err != nil {
			return Rollout{}, err
		}
		if r.State != Running {
			return Rollout{}, area.Errorf(area.CodeEnded, "rollout %s has ended", id)
		}
		b := book{list: []*Rollout{&r}}
		b.cancel(&r, "cancelled by "+by, s.Now())
		switch kept, err := s.keep(ctx, r); {
		case area.CodeOf(err) == area.CodeDegraded || ctx.Err() != nil:
			return Rollout{}, err
		case err != nil:
			s.unkept(r, err)
		case kept == nil:
			continue // it has changed meanwhile, and is looked at again
		default:
			r.raw = kept
		}
		s.mu.Lock()
		s.book.put(&r)
		out := r.clone()
		s.mu.Unlock()
		for _, p := range b.ended {
			s.tell(p.of, *p.device)
		}
		s.count.cancelled.Add(1)
		s.log.Info("rollout cancelled", "rule", id, "who", by)
		s.poke()
		return out, nil
	}
}

func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
