package leader

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader/election"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Clock says how much time has passed since some moment; it goes on while the
// machine is suspended.
type Clock interface{ Now() time.Duration }

// Parts is what a [Seat] works with; all but Able and Changed are needed. They are
// the caller's to run and to close.
type Parts struct {
	Uplink Uplink
	Link   Link
	Host   Host
	Clock  Clock
	Log    *slog.Logger
	// Able tells why this member cannot lead at all, so that it does not stand for
	// election; nil, and where it answers nil: it can. Where that has changed,
	// [Seat.Look] is to be called. It must not block.
	Able func() error
	// Web is the address of the hub's web listener, as this member reaches it, for
	// those who are carried there; nil, and where it answers "": it is not known. It
	// must not block.
	Web     func() string
	Changed func() // [Seat.Peer] or [Seat.State] is another; must not block
}

// Seat is a device's place among the members of its area. Make it with [New]; all
// methods but Run are safe for concurrent use and do not block.
type Seat struct {
	cfg Config
	Parts
	count counters
	hosts []string    // host and port of the hubs
	logs  *log.Logger // of libraries
	relay *relay
	net   network

	inbox chan func()   // what the owner is to do
	news  chan struct{} // something is to be looked at
	ended chan reignEnd
	ctx   context.Context // of Run, for what the owner starts

	lonely atomic.Bool // somebody is missing

	mu       sync.Mutex // guards what is below
	peer     *area.Peer
	state    State
	shown    area.Peers                       // the roster
	gives    string                           // where the device gives its clips; empty: nowhere
	ways     map[area.DeviceID]netip.AddrPort // relays
	carriers []area.DeviceID                  // of these, who reaches the hub
	away     bool                             // this member does not
	key      []byte

	// All below belongs to Run's goroutine.
	work    sync.WaitGroup
	keep    keeper
	unkept  bool // a term could not be kept
	roster  area.Peers
	known   bool // roster is
	elect   *election.Election
	reach   reach
	gossip  *gossip // nil: no part is taken
	at      netip.AddrPort
	lan     string                     // of at, as a prefix
	found   map[area.DeviceID][]string // where members were heard of, beside the roster
	held    *held                      // the port of the membership, while no part is taken
	relayAt uint16                     // port; 0: nobody is carried
	unserve context.CancelFunc
	unseek  context.CancelFunc // ends the discovery
	alive   []peer
	unhear  func() // ends the subscription of the area's leader topic
	linked  bool   // as the election was told
	hoped   bool   // as the election was told of the uplink
	barred  bool   // as the election was told: this member cannot lead
	reign   *reign // nil: none, or it is to end
	ending  bool   // one is
	above   *uint64
	passed  map[area.DeviceID]pass
	oldKey  []byte

	dialing, calling                                       bool
	dialAt, callAt, locateAt, useKeyAt, dropKeyAt, readyBy area.Instant
	askUntil                                               area.Instant
}

// New makes a seat. It fails if cfg is not valid or a part is missing; it starts
// nothing.
func New(cfg Config, p Parts) (*Seat, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if p.Uplink == nil || p.Link == nil || p.Host == nil || p.Clock == nil || p.Log == nil {
		return nil, errors.New("leader: a part is missing")
	}
	if p.Changed == nil {
		p.Changed = func() {}
	}
	if p.Able == nil {
		p.Able = func() error { return nil }
	}
	s := &Seat{cfg: cfg, Parts: p, inbox: make(chan func(), inboxLen), news: make(chan struct{}, 1), ended: make(chan reignEnd, 1),
		keep: keeper{dir: cfg.Dir, keyFile: cfg.KeyFile}, elect: election.New(cfg.Device), passed: map[area.DeviceID]pass{}, found: map[area.DeviceID][]string{},
		logs: log.New(lines{p.Log}, "", 0), net: sockets(), unhear: func() {}, unserve: func() {}, unseek: func() {},
		useKeyAt: area.Never, dropKeyAt: area.Never, readyBy: area.Never, askUntil: area.Never}
	for _, h := range p.Uplink.Home().Hubs {
		if u, err := uplink.ParseHub(h); err == nil {
			s.hosts = append(s.hosts, u.Host)
		}
	}
	s.relay = newRelay(cfg.Device, p.Uplink.Home().Hubs, s.web, p.Log, &s.count)
	return s, nil
}

// web is where the hub's web listener is; empty: that is not known.
func (s *Seat) web() string {
	if s.Web == nil {
		return ""
	}
	return s.Web()
}

// Run takes the seat until ctx ends, then says goodbye to the other members, leaves
// nothing running and returns nil. It can be called once.
func (s *Seat) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s.ctx = ctx
	s.begin()
	unhear, err := s.Uplink.Subscribe(area.PeersTopic(s.cfg.Device), func(m area.Message) {
		if !m.Replay {
			s.enqueue(func() { s.document(m.Payload, true) })
		}
	})
	if err != nil {
		return err
	}
	defer unhear()
	defer s.Uplink.Watch(func(bool, uint64, string) { s.look() })()
	defer s.Link.Watch(s.heard, nil)()
	defer func() { s.unhear() }()
	s.own(ctx)
	end()
	s.work.Wait() // the reign first of all
	s.closeGossip()
	s.held.release()
	return nil
}

// begin takes in what is kept from the run before.
func (s *Seat) begin() {
	now := s.now()
	s.reach, s.hoped = newReach(now), true
	p, known, err := s.keep.load()
	if err != nil {
		s.Log.Error("what the member keeps is damaged, waiting for the hub", "err", err)
	}
	s.step(election.Heard{Term: s.keep.term})
	s.step(election.Uplink{Up: true})
	s.able()
	if known {
		s.take(p)
	}
}

// own is the loop of the owner.
func (s *Seat) own(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case f := <-s.inbox:
			f()
		case <-s.news:
			s.see()
		case e := <-s.ended:
			s.reignEnded(e)
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		s.due()
		timer.Reset(min(max(s.next().Sub(s.now()), 0), time.Hour))
	}
}

func (s *Seat) now() area.Instant { return area.Instant(s.Clock.Now()) }

// enqueue has the owner do f; where there is no room f is forgotten and counted:
// whatever it is, it comes again.
func (s *Seat) enqueue(f func()) {
	select {
	case s.inbox <- f:
	default:
		s.count.dropped.Add(1)
	}
}

// post has the owner do f, for goroutines of his: they may wait.
func (s *Seat) post(f func()) {
	select {
	case s.inbox <- f:
	case <-s.ctx.Done():
	}
}

// Look has the owner look around: something outside has changed.
func (s *Seat) Look() { s.look() }

// look has the owner look around; it does not matter how often it is called.
func (s *Seat) look() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// next is when something is due.
func (s *Seat) next() area.Instant {
	next := min(s.elect.Next(), s.locateAt, s.useKeyAt, s.dropKeyAt, s.readyBy, s.askUntil)
	if !s.dialing && s.reach.pause(s.now()) > 0 {
		next = min(next, s.dialAt)
	}
	if !s.calling && s.gossip != nil {
		next = min(next, s.callAt)
	}
	return next
}

// due does what its time has come for.
func (s *Seat) due() {
	now := s.now()
	if now >= s.locateAt {
		s.locate(now)
	}
	if !s.dialing && s.reach.pause(now) > 0 && now >= s.dialAt {
		s.dial(now)
	}
	if !s.calling && s.gossip != nil && now >= s.callAt {
		s.call(now)
	}
	if now >= s.useKeyAt {
		s.useKey(now)
	}
	if now >= s.dropKeyAt {
		s.dropKey()
	}
	if now >= s.readyBy {
		s.notReady()
	}
	if s.reign != nil && s.refused() {
		s.outcast()
	}
	if now >= s.askUntil {
		s.askUntil = area.Never
		s.Link.Want(wantAsk, false)
	}
	if now >= s.elect.Next() {
		s.step(election.Tick{})
	}
}
