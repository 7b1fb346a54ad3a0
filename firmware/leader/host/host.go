package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/broker/store"
)

// Host is what a device leads with. Make it with [New]. Its methods are safe for
// concurrent use.
type Host struct {
	cfg Config
	Parts
	store  *store.Store
	out    *outbox
	works  *works
	own    *orders
	proof  *proof.Book
	inside atomic.Pointer[reign] // nil: it does not lead
	count  struct{ reigns, dropped, remote, refused atomic.Uint64 }
	close  sync.Once

	hubWait time.Duration
	leads   sync.Mutex // held while it does
}

// Stats counts what a [Host] has done since it was made.
type Stats struct {
	Reigns    uint64
	Leads     int    // 1 while it does
	Dropped   uint64 // messages that found the line's inbox full
	Refused   uint64 // leads that the hub refused
	Owed      int    // what the hub has yet to be told
	Forgotten uint64 // records of what sounded that the hub is not told: too many waited
	Works     int    // of the hub, without an end
	Unsaved   uint64 // writes of works, ends and orders that failed
}

// New opens what the device keeps of its reigns. It starts nothing; a Host must be
// closed.
func New(cfg Config, p Parts) (*Host, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if p.Link == nil || p.Renderer == nil || p.Clock == nil || p.Now == nil || p.Log == nil {
		return nil, errors.New("leader: a part is missing")
	}
	if cfg.Listen == "" {
		cfg.Listen = defaultListen
	}
	if cfg.Web == "" {
		cfg.Web = defaultWeb
	}
	h := &Host{cfg: cfg, Parts: p, out: newOutbox(p.Clock), hubWait: hubWait}
	var err error
	if h.store, err = store.Open(filepath.Join(cfg.Dir, "leader.db")); err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	if err := h.restore(); err != nil {
		return nil, errors.Join(err, h.store.Close())
	}
	return h, nil
}

// restore reads what the reigns before have left.
func (h *Host) restore() (err error) {
	if aside := h.store.Quarantined(); aside != "" {
		h.Log.Error("what was kept of reigns was damaged and is set aside", "err", aside)
	}
	if h.own, err = openOrders(h.store, h.Log); err != nil {
		return err
	}
	if h.works, err = openWorks(h.store, h.Log); err != nil {
		return err
	}
	h.proof, err = proof.Open(proof.Config{Dir: filepath.Join(h.cfg.Dir, "proof"), Node: string(h.cfg.Device), Queue: 512, FileBytes: recordBytes, Files: recordFiles}, h.Now, h.Log)
	if err != nil {
		return err
	}
	drawer, owed, err := openDrawer(h.store, h.Log)
	if err != nil {
		return err
	}
	h.out.restore(drawer, owed, h.Now().UnixMilli())
	for _, w := range h.works.ended() {
		h.oweWork(w.End.Report(w.Area), time.UnixMilli(w.EndAt))
	}
	for _, o := range h.own.untold() {
		h.oweOrder(o)
	}
	return nil
}

// Close gives back what [New] has opened. It must not be called while Run or Lead
// does.
func (h *Host) Close() error {
	var err error
	h.close.Do(func() { err = h.store.Close() })
	return err
}

// Leads tells whether the device leads now.
func (h *Host) Leads() bool { return h.inside.Load() != nil }

// Stats is a snapshot of the counters.
func (h *Host) Stats() Stats {
	s := Stats{
		Reigns: h.count.reigns.Load(), Dropped: h.count.dropped.Load(), Refused: h.count.refused.Load(),
		Owed: h.out.len(), Forgotten: h.out.forgotten(), Works: h.works.len(), Unsaved: h.works.failed.Load() + h.own.failed.Load(),
	}
	if h.Leads() {
		s.Leads = 1
	}
	return s
}

// Submit takes an order of the device itself, as one that is submitted at its
// broker. Its error is of code degraded where it does not lead, else as of the
// order service. A work that is known is ignored.
func (h *Host) Submit(ctx context.Context, s area.Submit) error {
	w := h.inside.Load()
	if w == nil {
		return area.Errorf(area.CodeDegraded, "this device does not lead its area")
	}
	return w.submit(ctx, s)
}

// CutOff tells whether it leads and the hub has not accepted that on a connection
// that stands: whether the area is on its own.
func (h *Host) CutOff() bool { return h.Leads() && !h.followed() }

// followed tells whether it leads and the hub has accepted that on the connection
// that stands.
func (h *Host) followed() bool {
	w := h.inside.Load()
	return w != nil && w.line.accepted.Load()
}

// Run tells the hub what it is owed, and keeps the record of what sounded, until
// ctx ends; it then returns nil.
func (h *Host) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { _ = h.proof.Run(ctx) }) // it always answers nil
	defer h.Link.Watch(func(t area.Trunk) {
		if t.Op == area.TrunkGot {
			h.out.got(t.N)
		}
	}, func(bool) { h.out.again() })()
	defer h.Link.Want(wantOwed, false)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		h.out.settle()
		h.Link.Want(wantOwed, h.out.len() > 0)
		if h.Link.Up() {
			h.out.send(h.followed(), h.Link.Send)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.out.wake:
		case <-tick.C:
			h.handOver()
		}
	}
}

// Why the link is wanted.
const (
	wantOwed = "reports"
	wantLead = "lead"
)
