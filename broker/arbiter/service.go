package arbiter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config sets the service up. Each area's own settings are the roster's.
type Config struct {
	Node  string // name of this arbiter, as devices repeat it in "from"
	Index uint64 // of this node among all that may arbitrate, 0 to 63
	Floor uint64 // see [CoreConfig.Floor]
	Addr  string // where the broker listens, shown on the leader topic
	Web   string // scheme and port of the web listener, shown there too; empty: none
	Mode  string // shown there too: what this arbiter is; empty: "hub"
	// Inbox bounds what devices have said to one area and it has not read yet.
	// More is dropped and counted: every device says it again. 0: 1,024.
	Inbox int
	// ColdStart declares that no device can hold a lease yet: see
	// [CoreConfig.ColdStart].
	ColdStart bool
	// Voters are the members of an area, who vote where it is strict, and whether
	// they are known: else nothing is granted there. It is asked when the area is
	// first arbitrated, and after [Service.Elect]; it must not block, nor call the
	// service but for [Service.Reign]. nil: nobody but this arbiter has a seat.
	Voters func(area.Name) (list []Voter, known bool)
	// Witness keeps the record of what was granted and what sounded. nil: nobody
	// does. One that is a [Merger] also takes in what leaders have noted.
	Witness Witness

	// Leaders keeps which areas are led by one of their own devices, and which
	// works are in the hands of those; nil: none may be. Then Members says who may
	// lead, and Life is new at each start of this process.
	Leaders AreaTable
	Members Members
	Life    string
	// Nodes joins the arbiters of several hub nodes; nil: this one has every area.
	// Then Life is new at each start of this process.
	Nodes *Nodes
	// Retained is what the broker retains, at most so much; nil: nothing.
	Retained func(filter string, most int) []area.Message
}

// Ledger keeps one small record for each area, durably.
type Ledger interface {
	// Load answers the record of an area; nil where there is none.
	Load(a area.Name) ([]byte, error)
	// Commit writes a record, in order for each area, and calls done when it is
	// durable or could not be made so. It must not block, and done must only
	// enqueue.
	Commit(a area.Name, record []byte, done func(error))
}

// Links is what the service needs to know of the broker's connections.
type Links interface {
	// Connections tells of each MQTT connection that ends, and why. The function
	// must only enqueue.
	Connections(ended func(conn uint64, reason string)) (cancel func())
	// Disconnect closes the connection of an MQTT client.
	Disconnect(client, reason string) bool
}

// Reporter is told what became of works, in order per work. Report must not
// block.
type Reporter interface{ Report(area.Report) }

// Service runs the arbiters of all areas of the roster. Make it with [New]. Its
// methods are safe for concurrent use and do not block.
//
// Each area has one goroutine, which alone steps its core and publishes its
// topics.
type Service struct {
	cfg    Config
	bus    area.Bus
	ledger Ledger
	links  Links
	roster *Roster
	clock  func() area.Instant
	now    func() time.Time
	log    *slog.Logger
	post   chan area.Message
	count  struct{ malformed, unposted, lost, unsent, words, vacated, parted atomic.Uint64 }
	nodes  *nodes               // nil: there are no others
	led    map[area.Name][]byte // what Leaders had at the start

	mu    sync.Mutex
	desks map[area.Name]*desk
	works map[area.WorkID]area.Name
	start func(*desk) // starts a desk's goroutine; nil before Run
}

// postbox bounds the answers that are not an area's own (refusals of a
// registration, responses to a submit). More are dropped and counted.
const postbox = 256

// New makes the service. clock is monotonic, now is the wall's: expiries come
// in by the wall and are judged by the clock.
func New(cfg Config, bus area.Bus, ledger Ledger, links Links, roster *Roster, clock func() area.Instant, now func() time.Time, log *slog.Logger) (*Service, error) {
	if cfg.Node == "" || cfg.Index >= termStep {
		return nil, fmt.Errorf("arbiter: the node has no name, or its index %d is not 0 to %d", cfg.Index, termStep-1)
	}
	if bus == nil || ledger == nil || links == nil || roster == nil || clock == nil || now == nil || log == nil {
		return nil, errors.New("arbiter: a part is missing")
	}
	if cfg.Leaders != nil && (cfg.Members == nil || cfg.Life == "") {
		return nil, errors.New("arbiter: who may lead, or this start's name, is missing")
	}
	if n := cfg.Nodes; n != nil && (n.Hub == "" || n.Reigns == nil || n.Wire == nil || cfg.Life == "") {
		return nil, errors.New("arbiter: of several nodes their name, the ledger, the wire, or this start's name is missing")
	}
	if cfg.Inbox == 0 {
		cfg.Inbox = 1024
	}
	if cfg.Mode == "" {
		cfg.Mode = area.LeaderHub
	}
	s := &Service{
		cfg: cfg, bus: bus, ledger: ledger, links: links, roster: roster, clock: clock, now: now, log: log,
		post: make(chan area.Message, postbox), desks: map[area.Name]*desk{}, works: map[area.WorkID]area.Name{}, led: map[area.Name][]byte{},
	}
	if err := s.loadLeaders(); err != nil {
		return nil, err
	}
	if cfg.Nodes != nil {
		s.nodes = newNodes()
	}
	roster.joined = s.presence
	for _, name := range roster.Names() {
		if _, err := s.desk(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Run arbitrates until ctx ends. It then stops granting in every area, waits
// until the last records are durable, at most 2 s, and returns nil.
func (s *Service) Run(ctx context.Context, reporter Reporter) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.mu.Lock()
	s.start = func(d *desk) { wg.Go(func() { d.run(ctx, reporter) }) }
	for _, d := range s.desks {
		s.start(d)
	}
	s.mu.Unlock()
	cancel, err := s.listen()
	defer cancel()
	if err != nil {
		return err
	}
	defer s.roster.Watch(s.reconcile)()
	wg.Go(func() { s.deliver(ctx) })
	if s.nodes != nil {
		wg.Go(func() { s.tellNodes(ctx) })
	}
	<-ctx.Done()
	s.mu.Lock()
	s.start = nil
	s.mu.Unlock()
	return nil
}

// desk is the desk of an area, made where there is none.
func (s *Service) desk(name area.Name) (*desk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.desks[name]; ok {
		return d, nil
	}
	d, err := s.newDesk(name)
	if err != nil {
		return nil, err
	}
	s.desks[name] = d
	if s.start != nil {
		s.start(d)
	}
	return d, nil
}

// found is the desk of an area that the roster knows; nil, and a line in the
// log, where it cannot be made.
func (s *Service) found(name area.Name) *desk {
	d, err := s.desk(name)
	if err != nil {
		s.count.lost.Add(1)
		s.log.Error("area cannot be arbitrated", "area", name, "err", err)
		return nil
	}
	return d
}

// reconcile makes a desk for each area of the roster, hands on changed
// settings, and closes the desks of areas that are gone.
func (s *Service) reconcile() {
	known := map[area.Name]bool{}
	for _, name := range s.roster.Names() {
		known[name] = true
		if d := s.found(name); d != nil {
			d.configure()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, d := range s.desks {
		if !known[name] {
			delete(s.desks, name)
			d.box.put(gone{})
		}
	}
}

// Submit hands a work to the dispatcher of its area. A work that is known
// already is ignored. Its error is an [area.Error] of code unknown_area.
func (s *Service) Submit(_ context.Context, w area.Work) error { return s.submit(Submit{Work: w}) }

func (s *Service) submit(ev Submit) error {
	w := ev.Work
	if _, ok := s.roster.Settings(w.Area); !ok {
		return area.Errorf(area.CodeUnknownArea, "no area %s", w.Area)
	}
	d, err := s.desk(w.Area)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.works[w.ID] = w.Area
	s.mu.Unlock()
	ev.Expires = area.Never
	if !w.Expires.IsZero() {
		ev.Expires = s.clock().Add(w.Expires.Sub(s.now()))
	}
	d.box.put(ev)
	return nil
}

// Cancel takes a work back; its end comes as a report with this reason. Its
// error is an [area.Error] of code not_found for a work that is not known, or
// has ended.
func (s *Service) Cancel(_ context.Context, id area.WorkID, reason string) error {
	s.mu.Lock()
	d := s.desks[s.works[id]]
	s.mu.Unlock()
	if d == nil {
		return area.Errorf(area.CodeNotFound, "no work %s is being dispatched", id)
	}
	d.box.put(Cancel{Work: id, Reason: reason})
	return nil
}

// Stored says that the end of a work is where the order service keeps it, so
// that the arbiter may forget it.
func (s *Service) Stored(a area.Name, id area.WorkID) {
	s.mu.Lock()
	d := s.desks[a]
	delete(s.works, id)
	s.mu.Unlock()
	if d != nil {
		d.box.put(Stored{Work: id})
	}
}

// StopPlay stops what sounds in an area, a work or not.
func (s *Service) StopPlay(a area.Name) {
	s.mu.Lock()
	d := s.desks[a]
	s.mu.Unlock()
	if d != nil {
		d.box.put(StopPlay{})
	}
}

// Say hands in what a device says that is connected to the hub; what one of the
// classic calls is granted is a hold. Over the area's bound it is dropped and
// counted.
func (s *Service) Say(in area.Name, d area.DeviceID, link string, c area.Claim, hold bool) {
	s.roster.Heard(d, link)
	if desk := s.found(in); desk != nil {
		desk.box.hear(Heard{Device: d, Claim: c, Hold: hold})
	}
}

// Release ends the classic hold of a device, whoever was told of its grant.
func (s *Service) Release(in area.Name, d area.DeviceID) {
	if desk := s.found(in); desk != nil {
		desk.box.put(Set{Device: d})
	}
}

// Set hands in what a dumb device says that is connected elsewhere; will: it was
// lost there. Over the area's bound it is dropped and counted.
func (s *Service) Set(in area.Name, d area.DeviceID, on, will bool) {
	if desk := s.found(in); desk != nil {
		desk.box.hear(Set{Device: d, On: on, Will: will})
	}
}

// Busy is the public state of an area; false where it is not known yet.
func (s *Service) Busy(name area.Name) (area.Busy, bool) {
	s.mu.Lock()
	d := s.desks[name]
	s.mu.Unlock()
	if d == nil {
		return area.Busy{}, false
	}
	return d.shown()
}

// presence tells an area's core who is live; it is the roster's callback.
func (s *Service) presence(p Presence) {
	switch {
	case p.Over != "":
		s.log.Warn("device taken over by another connection", "device", p.Device, "area", p.Area, "conn", p.Link)
	case p.New:
		s.log.Info("device online", "device", p.Device, "area", p.Area, "location", p.Location, "conn", p.Link)
	case !p.Live:
		s.log.Info("device offline", "device", p.Device, "area", p.Area, "conn", p.Link)
	}
	d := s.found(p.Area)
	if d == nil {
		return
	}
	if p.Live && !(s.cfg.Leaders != nil && isTrunkLink(p.Link)) { // a device of the leader's is the leader's to know
		d.box.put(DeviceUp{Device: p.Device, Location: p.Location, Dumb: p.Via == area.ViaDumb, MID: p.MID, Silent: p.Silent})
	} else {
		d.box.put(DeviceDown{Device: p.Device})
	}
}

// ServiceStats counts what happened since the start, over all areas.
type ServiceStats struct {
	Counts
	MirrorCounts
	Areas     int
	Led       int    // areas that one of their devices has, as far as is known
	Held      int    // areas in which a device sounds now
	Settled   int    // areas that do not settle now
	Malformed uint64 // payloads of devices that could not be read
	Full      uint64 // messages of devices that found an area's inbox full
	Unposted  uint64 // answers that found the postbox full
	Lost      uint64 // events of areas whose record could not be read

	// Of several nodes:
	Own     int    // areas that this one has
	Vacant  int    // areas that nobody has, as far as this one knows: nothing is granted there
	Vacated uint64 // times that one became nobody's
	PerNode int    // areas that this one grants to its own devices, since the ledger is away (on_ledger_loss: per_node)
	Parted  uint64 // times that it began to
	Words   uint64 // words of other nodes
	Unsent  uint64 // words to them that could not be sent
}

// Stats is a snapshot of the counters.
func (s *Service) Stats() ServiceStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := ServiceStats{Areas: len(s.desks), Malformed: s.count.malformed.Load(), Unposted: s.count.unposted.Load(), Lost: s.count.lost.Load(),
		Vacated: s.count.vacated.Load(), Parted: s.count.parted.Load(), Words: s.count.words.Load(), Unsent: s.count.unsent.Load()}
	for _, d := range s.desks {
		c, b := d.stats()
		t.Counts = t.Counts.plus(c)
		m, leader := d.mirrorStats()
		t.MirrorCounts = t.MirrorCounts.plus(m)
		if leader != "" {
			t.Led++
		}
		t.Full += d.box.dropped()
		if d.own() {
			t.Own++
		}
		if d.silent() {
			t.Vacant++
		}
		if d.perNodeNow() {
			t.PerNode++
		}
		if b.State == area.Held {
			t.Held++
		}
		if b.State != area.Settling {
			t.Settled++
		}
	}
	return t
}

func (c Counts) plus(o Counts) Counts {
	return Counts{
		Grants: c.Grants + o.Grants, LeaseExpired: c.LeaseExpired + o.LeaseExpired, Conflicts: c.Conflicts + o.Conflicts,
		Intruders: c.Intruders + o.Intruders, Preemptions: c.Preemptions + o.Preemptions, Barges: c.Barges + o.Barges, Unbacked: c.Unbacked + o.Unbacked, Adoptions: c.Adoptions + o.Adoptions,
		Disconnects: c.Disconnects + o.Disconnects, Settlings: c.Settlings + o.Settlings, Stale: c.Stale + o.Stale,
		Replaced: c.Replaced + o.Replaced, Dropped: c.Dropped + o.Dropped,
	}
}
