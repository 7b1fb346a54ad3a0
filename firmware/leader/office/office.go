package office

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// Office is what a device leads its area with, in a program of its own. Make it with
// [New]. Its methods are safe for concurrent use; Lead blocks for the reign, and
// needs Run.
type Office struct {
	cfg      Config
	link     Link
	clock    func() area.Instant
	changed  func()
	log      *slog.Logger
	requests chan *request
	leads    sync.Mutex // held by Lead
	told     atomic.Pointer[Told]
	pid      atomic.Int64
	count    struct{ starts, died, silent, stuck, refused, malformed atomic.Uint64 }

	mu   sync.Mutex
	able error // why it cannot lead

	// All below belongs to Run's goroutine.
	reigns uint64
	path   string // of the program, where it is able
}

// request is a reign that is to be.
type request struct {
	leader.Reign
	ctx  context.Context
	n    uint64
	done chan error // holds one
}

// end answers a request once; a nil one is none.
func (r *request) end(err error) {
	if r == nil {
		return
	}
	select {
	case r.done <- err:
	default:
	}
}

// Stats counts what an [Office] has done since it was made.
type Stats struct {
	Starts    uint64 // of the program
	Died      uint64 // ends that nobody asked for, those below among them
	Silent    uint64 // killed, since it asked for no leave
	Stuck     uint64 // killed, since it did not take what the hub said
	Refused   uint64 // its words that the connection to the hub did not take
	Malformed uint64 // its words that are none of the trunk's
	PID       int    // of the program; 0: it does not run
	Told             // by the program; zero where it does not run
}

// New makes an office. clock is monotonic, and goes on while the machine is
// suspended; changed is called when [Office.Able] answers something else, and must
// not block. New starts nothing.
func New(cfg Config, link Link, clock func() area.Instant, changed func(), log *slog.Logger) (*Office, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if link == nil || clock == nil || changed == nil || log == nil {
		return nil, errors.New("office: a part is missing")
	}
	return &Office{cfg: cfg, link: link, clock: clock, changed: changed, log: log, requests: make(chan *request), able: errNotAsked}, nil
}

// Able tells why the device cannot lead; nil: it can. Until the program was asked for
// its release it cannot. It does not block.
func (o *Office) Able() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.able
}

// Gauge tells it in the device's health.
func (o *Office) Gauge(h *area.Health) {
	if err := o.Able(); err != nil && !errors.Is(err, errNotAsked) {
		h.Faults["leader"] = err.Error()
	}
}

// Close does nothing: an office has nothing open while it does not run.
func (o *Office) Close() error { return nil }

// Leads tells whether the program leads.
func (o *Office) Leads() bool { t := o.told.Load(); return t != nil && t.Leads }

// CutOff tells whether it leads and the hub has not accepted that on a connection
// that stands.
func (o *Office) CutOff() bool { t := o.told.Load(); return t != nil && t.CutOff }

// Stats is a snapshot of the counters.
func (o *Office) Stats() Stats {
	c := &o.count
	s := Stats{Starts: c.starts.Load(), Died: c.died.Load(), Silent: c.silent.Load(), Stuck: c.stuck.Load(), Refused: c.refused.Load(), Malformed: c.malformed.Load()}
	if t := o.told.Load(); t != nil {
		s.PID, s.Told = int(o.pid.Load()), *t
	}
	return s
}

// Counts are the office's own counters and those of the program while it runs, by
// name.
func (o *Office) Counts() map[string]uint64 {
	s := o.Stats()
	all := map[string]uint64{"starts": s.Starts, "died": s.Died, "silent": s.Silent, "stuck": s.Stuck, "said_in_vain": s.Refused, "malformed": s.Malformed}
	for name, n := range s.Told.Counts {
		all[name] = n
	}
	return all
}

// Lead is [leader.Host]: it has the program lead until ctx ends. Its errors say why
// the program cannot be run, what ended it, or what it said when its reign ended.
func (o *Office) Lead(ctx context.Context, r leader.Reign) error {
	o.leads.Lock() // one after the other, as package leader has them
	defer o.leads.Unlock()
	req := &request{Reign: r, ctx: ctx, done: make(chan error, 1)}
	select {
	case o.requests <- req:
		return <-req.done
	case <-ctx.Done():
		return nil
	}
}

// Run has the program run while it is needed, until ctx ends; it then returns nil and
// leaves no program behind.
func (o *Office) Run(ctx context.Context) error {
	o.look(ctx)
	due := time.NewTimer(0) // what is owed of an earlier start
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-o.requests:
			o.employ(ctx, r)
		case <-due.C:
			if o.Able() != nil {
				o.look(ctx)
			}
			if o.Able() == nil && owes(o.cfg.Dir) {
				o.employ(ctx, nil)
			}
		}
		due.Reset(lookAgain)
	}
}

// look asks the program for its release.
func (o *Office) look(ctx context.Context) {
	path, err := Probe(ctx, o.cfg.Release, o.cfg.Find)
	if ctx.Err() != nil {
		return
	}
	o.path = path
	o.judge(err)
}

// judge notes whether the device can lead, and tells once where it cannot.
func (o *Office) judge(err error) {
	o.mu.Lock()
	was := o.able
	o.able = err
	o.mu.Unlock()
	if (was == nil) == (err == nil) && !errors.Is(was, errNotAsked) {
		return
	}
	if err != nil {
		o.log.Error("this device follows and cannot lead its area", "err", err)
	} else {
		o.log.Debug("this device can lead its area", "node", o.path)
	}
	o.changed()
}

// employ runs the program once, for a reign or for what is owed; r nil: for that.
func (o *Office) employ(ctx context.Context, r *request) {
	if o.Able() != nil { // package leader asks for no reign then, but it may have before
		o.look(ctx)
	}
	if err := o.Able(); err != nil {
		r.end(err)
		return
	}
	if err := o.serve(ctx, r); errors.Is(err, ErrRelease) || errors.Is(err, ErrNotRun) {
		o.judge(err)
	}
}
