package devicehub

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Config sets the hub up.
type Config struct {
	Node string // name of this hub process
	// Inbox bounds the calls, and the messages of the bus, that wait for the
	// loop: each its own queue. Calls over it wait; messages are dropped and
	// counted. 0: 1,024.
	Inbox int
	// NodeTimeout is after what silence the hub takes another node for dead. 0: there
	// are none, or sooner than in 30 s.
	NodeTimeout time.Duration
}

// Arbiter is what the hub needs of the arbiter.
type Arbiter interface {
	// Say hands in what a device says to the arbiter of its area; what a classic
	// one is granted is a hold. It must not block.
	Say(in area.Name, d area.DeviceID, link string, c area.Claim, hold bool)
	// Release ends a classic hold of which this process knows nothing.
	Release(in area.Name, d area.DeviceID)
}

// Roster is what the hub needs of the roster.
type Roster interface {
	Register(p arbiter.Player) (area.Name, area.LocationID, error)
	Lost(link, reason string)
	Find(text string) (area.Name, error)
	Player(d area.DeviceID) (area.Device, bool)
}

// Orders is what the hub needs of the order service.
type Orders interface {
	// Announce takes an order; may is asked about the area that it goes to.
	Announce(ctx context.Context, req area.OrderRequest, who string, may func(area.Name) error) (area.Accepted, error)
	Find(ctx context.Context, id area.WorkID) (area.Order, error)
	Cancel(ctx context.Context, id area.WorkID) (area.Order, error)
	StopArea(ctx context.Context, a area.Name) (any, error)
	StopAll(ctx context.Context) (any, error)
}

// View is what the hub needs of the public objects. Join runs join where no
// delta can come between the snapshot and it, so that the watcher misses none
// and sees none twice.
type View interface {
	Areas() []area.Area
	Area(name area.Name) (area.Area, bool)
	Join(name area.Name, join func(group string)) (area.Area, bool)
	JoinAll(join func(group string)) []area.Area
	GroupOf(name area.Name) string
	GroupAll() string
}

// Clips keeps sound files.
type Clips interface {
	// Upload takes a clip in and answers its name, as orders use it. Its errors are
	// the reader's, and [area.Error]s: too_large, media_type, disk_full.
	Upload(ctx context.Context, name string, r io.Reader) (string, error)
}

// Mirror carries what a client sends to a group over to the topics.
type Mirror interface {
	GroupSent(from string, group area.Group, event string, args []byte)
}

// Parts are what the hub stands on.
type Parts struct {
	Server  *signalr.Server
	Bus     area.Bus
	Arbiter Arbiter
	Roster  Roster
	Orders  Orders
	View    View
	Mirror  Mirror
	Clips   Clips
	Streams Streams
	Past    Past    // nil: nothing of it is kept
	Others  Others  // nil: there are no other nodes
	Marks   Marks   // where who left which group; nil: this process remembers it
	Log     LogPast // when the events were that are numbered for all nodes; nil: none are
	// Absences keeps what lost connections have left; nil: nothing is, and clients rejoin
	// their groups themselves.
	Absences Absences
	Who      func(*signalr.Conn) auth.Principal // on whose behalf a client is connected
	Clock    func() area.Instant
	Now      func() time.Time
}

// Hub answers the calls of /hubs/devices. Make it with [New], then run it.
type Hub struct {
	Parts
	node string
	log  *slog.Logger

	nodeTimeout time.Duration

	calls chan func(*loop)
	heard chan func(*loop)
	count counters
	marks Marks

	owners    chan string          // of whom something was found to be left
	gone      chan []presence.Conn // of a node
	returners chan returner        // to be in the groups that were taken over
	heirs     sync.Mutex           // held from a look whether a connection has taken something over until it is noted
	joinings  joinings
}

type counters struct {
	dropped, malformed, timeouts, unclaimed, late atomic.Uint64
}

// Stats counts what happened since the start.
type Stats struct {
	Dropped   uint64 // messages of the bus that found the queue full
	Malformed uint64 // messages of the bus that could not be read
	Timeouts  uint64 // claims that waited 60 s in vain
	Unclaimed uint64 // works that a classic device was told of and did not claim
	Late      uint64 // times that what was left could not be handed over, or kept, at once: the queue was full
}

// New makes the hub and registers its methods with the server, which must not
// serve yet.
func New(cfg Config, p Parts, log *slog.Logger) (*Hub, error) {
	if p.Server == nil || p.Bus == nil || p.Arbiter == nil || p.Roster == nil || p.Orders == nil || p.View == nil || p.Mirror == nil || p.Clips == nil || p.Streams == nil || p.Who == nil || p.Clock == nil || p.Now == nil {
		return nil, errors.New("devicehub: a part is missing")
	}
	if cfg.Inbox == 0 {
		cfg.Inbox = 1024
	}
	h := &Hub{Parts: p, node: cfg.Node, log: log, nodeTimeout: cfg.NodeTimeout, marks: p.Marks, joinings: joinings{now: map[joining]chan struct{}{}}, calls: make(chan func(*loop), cfg.Inbox), heard: make(chan func(*loop), cfg.Inbox),
		owners: make(chan string, cfg.Inbox), gone: make(chan []presence.Conn, mostGone), returners: make(chan returner, cfg.Inbox)}
	if h.marks == nil {
		h.marks = replay.NewMarks(0)
	}
	h.methods()
	return h, nil
}

// Stats is a snapshot of the counters.
func (h *Hub) Stats() Stats {
	return Stats{
		Dropped: h.count.dropped.Load(), Malformed: h.count.malformed.Load(),
		Timeouts: h.count.timeouts.Load(), Unclaimed: h.count.unclaimed.Load(), Late: h.count.late.Load(),
	}
}

// Run owns the classic devices until ctx ends; it then returns nil.
func (h *Hub) Run(ctx context.Context) error {
	for _, s := range []struct {
		filter string
		heard  func(area.Message)
	}{
		{area.BusyTopic("+"), h.busy}, {area.GrantTopic("+"), h.grant}, {area.WorkTopic("+"), h.work}, {area.AreaWorkTopic("+"), h.work},
	} {
		cancel, err := h.Bus.Subscribe(s.filter, s.heard)
		if err != nil {
			return err
		}
		defer cancel()
	}
	l := &loop{
		arb: h.Arbiter, count: &h.count, devices: map[area.DeviceID]*classic{}, full: map[area.DeviceID]*device{},
		busy: map[area.Name]area.Busy{}, taking: map[area.WorkID]area.DeviceID{}, open: map[area.WorkID]openOffer{},
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { h.trail(ctx) })
	tasks.Go(func() { h.handOver(ctx) })
	for range regainers {
		tasks.Go(func() { h.bringBack(ctx) })
	}
	h.loop(ctx, l)
	tasks.Wait()
	return nil
}

func (h *Hub) loop(ctx context.Context, l *loop) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var do func(*loop)
		select {
		case <-ctx.Done():
			return
		case do = <-h.calls:
			l.now = h.Clock()
			h.catchUp(l)
		case do = <-h.heard:
		case <-timer.C:
		}
		l.now = h.Clock()
		if do != nil {
			do(l)
		}
		next := min(l.tick(), l.tickFull())
		timer.Reset(max(0, min(time.Hour, next.Sub(l.now))))
	}
}

// catchUp deals with what was heard before a call: a device that comes must meet
// all offers that stand, or it takes one that is less urgent than another.
func (h *Hub) catchUp(l *loop) {
	for range len(h.heard) {
		select {
		case do := <-h.heard:
			do(l)
		default:
			return
		}
	}
}

// hear puts a message of the bus into the loop's queue, or drops it.
func (h *Hub) hear(do func(*loop)) {
	select {
	case h.heard <- do:
	default:
		h.count.dropped.Add(1)
	}
}

// do puts a call into the loop's queue and waits for room in it.
func (h *Hub) do(ctx context.Context, f func(*loop)) error {
	select {
	case h.calls <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hub) busy(m area.Message) {
	b, err := area.ParseBusy(m.Payload)
	if err != nil {
		h.count.malformed.Add(1)
		return
	}
	h.hear(func(l *loop) { l.shownBusy(b) })
}

func (h *Hub) grant(m area.Message) {
	if m.Replay {
		return
	}
	a, err := area.ParseAnswer(m.Payload)
	if err != nil {
		h.count.malformed.Add(1)
		return
	}
	d := area.ParseTopic(m.Topic).Device
	h.hear(func(l *loop) { l.answer(d, a) })
}

func (h *Hub) work(m area.Message) {
	if m.Replay {
		return
	}
	o, err := area.ParseOffer(m.Payload)
	if err != nil {
		h.count.malformed.Add(1)
		return
	}
	t := area.ParseTopic(m.Topic)
	h.hear(func(l *loop) { l.offer(t.Area, t.Device, o) })
}
