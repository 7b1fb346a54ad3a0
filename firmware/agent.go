package firmware

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// Parts is what an agent works with. All down to Log are needed, but for Clips; they are the
// caller's to close, but for Player and Beacon.
type Parts struct {
	Uplink   Uplink
	Player   Player
	Beacon   Beacon
	Clock    Clock
	Renderer Renderer
	Clips    Clips // nil: no clips are played, and texts are spoken here
	Memory   *Memory
	Log      *slog.Logger
	// Home is where the web listener of the hub is, as [WebOf] tells, while the device
	// is connected to somebody else; it must not block. Empty, or nil: it is not, and
	// the hub has told.
	Home func() string
	// Network tells whether the machine has a network, so that the light can
	// tell a pulled cable from a hub that is down. It must not block; it is
	// asked every second while there is no connection. Nil: there always is one.
	Network func() bool
	// Calendar is the wall clock, for the status, and what is kept of it on the
	// disk; nil: nothing is.
	Calendar *Calendar
	// Watchdog ends a run that makes no progress; nil: nothing does.
	Watchdog Watchdog
	// Ring is the lines that [Agent] sends when it is asked for its log; nil:
	// there are none.
	Ring *Ring
	// Gauges fill in what the parts of the device have to say in its status. They
	// are asked every 10 s at most, by one goroutine, and must not block. Faults
	// and Pins are made.
	Gauges []func(*area.Health)
	// Commands are what an operator may ask for beside the agent's own, by name.
	// They are called with the payload, by the owner, must not block, and are not
	// called for what is retained: that is old news.
	Commands map[string]func(payload []byte) error
	// Update is where the newest update of the program is, for the status; it is
	// called by several goroutines and must not block. Nil: there are none.
	Update func() area.Update
	// Peer is what the status says of leading the area; it must not block. Nil, or
	// where it answers nil: the device cannot lead.
	Peer func() *area.Peer
	// Alone tells whether the area goes on without its hub, for the light; it must
	// not block. Nil: it never does.
	Alone func() bool
}

// Agent is one device. Make it with [New]; all methods but Run are safe for
// concurrent use and do not block.
type Agent struct {
	cfg Config
	Parts
	count counters

	inbox   chan func()     // what the owner is to do
	links   chan struct{}   // link has changed
	over    chan playEnd    // of the play; one at a time
	ends    chan error      // Run is to end, and to answer this; nil: in order
	died    chan error      // a goroutine has panicked
	made    chan rendered   // sounds of works
	toMake  chan job        // works to be rendered
	toFetch chan *item      // works whose clip is to be brought
	toLoad  chan *item      // downloads that are this device's to do
	beside  chan area.Offer // downloads that a neighbour is to do
	ready   chan struct{}   // closed once the hub has answered

	shared shared
	work   sync.WaitGroup // renderers, the writer and the guard; Run starts and awaits them
	quiet  sync.Once      // the hardware is switched off

	// All below belongs to Run's goroutine.
	area     area.Name // in which it claims
	unlisten func()    // ends the subscriptions of that area
	turn     *turn.Turn
	ballot   *turn.Ballot // its vote, where the area is strict
	todo     []turn.Event // to be stepped after the present one
	play     *play        // what sounds; nil: nothing
	offers   map[area.WorkID]*taking
	queue    []*item       // assigned, in the order of their coming
	declined area.WorkID   // newest that was given back: neighbours may have it first
	current  *item         // of queue: the wish
	heard    []area.WorkID // the newest downloads that were held out to the area
	busy     *area.Busy    // newest seen on this connection
	link     link
	webPort  string       // of the hub, as it told it
	keepAt   area.Instant // when works that are not made are taken again
	status   area.Status  // as last published
	greeted  bool
	leaving  bool
	leaveBy  area.Instant
	ampOff   area.Instant // when the amplifier is switched off; Never: not at all
	ampOn    bool
	lampOn   bool
	light    string       // as last shown
	began    area.Instant // of Run
	blinks   area.Instant // identify: until then
	warned   map[string]bool
	states   map[string]string // by metric, as last reported
	noise    follower
	loud     bool         // the area sounded when that was last looked at
	sounded  area.Instant // until then the microphone hears the loudspeakers
	wake     *time.Timer
	renderer context.Context
	verdict  error        // what Run answers
	health   *area.Health // as last read from the gauges
	looked   area.Instant // when that was
	told     *area.Health // as last published
	toldAt   area.Instant
	once     func()       // see Once
	logged   area.Instant // when the log was last sent; 0: never
}

// shared is what other goroutines read or set.
type shared struct {
	fence  atomic.Int64 // deadline of the play, on the clock; 0: silence
	volume atomic.Int64
	boost  atomic.Int64           // percent that the noise adds to it
	alert  atomic.Pointer[string] // what the light shows in place of its own; nil: nothing
	muted  atomic.Bool
	boot   atomic.Uint64
	web    atomic.Pointer[string] // see Web
	cutOff atomic.Int64           // until then clips of texts are hardly waited for

	rounds, steps atomic.Uint64 // of the owner, of the writers
	writing       atomic.Bool   // a writer is at work
	idle          atomic.Bool   // see Idle

	mu     sync.Mutex
	link   link              // newest state of the connection
	faults map[string]string // what does not work now, by part
}

// link is the connection to the hub.
type link struct {
	up   bool
	conn uint64
	hub  string
}

type counters struct {
	offers, unfit, full, takes, declined, played, stopped, preempted, failed, repeated, loaded, unloaded, deaf, dropped, feeds, hangs, panics atomic.Uint64
}

// Stats counts what an [Agent] has done since it was made.
type Stats struct {
	Offers    uint64 // heard, repetitions included
	Unfit     uint64 // not taken: a work that this device cannot do
	Full      uint64 // not taken: too many works are waiting here
	Takes     uint64
	Declined  uint64 // assigned, and given back
	Played    uint64 // to the last sample
	Stopped   uint64 // by the deadline, by our own end, or because nobody wants it any more
	Preempted uint64
	Failed    uint64 // by the loudspeaker
	Repeated  uint64 // answered from the journal
	Loaded    uint64 // downloads that were done for the area
	Unloaded  uint64 // downloads of others that did not come here: no room, or no clip
	Deaf      uint64 // connections made again because nobody answered
	Dropped   uint64 // messages for which the inbox had no room
	Feeds     uint64 // of the watchdog
	Hangs     uint64 // times that it was no longer fed
	Panics    uint64
}

// New makes an agent. It fails if cfg is not valid or a part is missing; it
// starts nothing.
func New(cfg Config, p Parts) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if p.Uplink == nil || p.Player == nil || p.Beacon == nil || p.Clock == nil || p.Renderer == nil || p.Memory == nil || p.Log == nil {
		return nil, errors.New("device: a part is missing")
	}
	cfg.fill()
	a := &Agent{cfg: cfg, Parts: p,
		inbox: make(chan func(), inboxLen), links: make(chan struct{}, 1), over: make(chan playEnd, 1), ends: make(chan error, 1), died: make(chan error, 1),
		made: make(chan rendered, 2*mostTaken), toMake: make(chan job, 2*mostTaken), toFetch: make(chan *item, 2*mostTaken), toLoad: make(chan *item, 2*mostTaken), beside: make(chan area.Offer, mostBeside), ready: make(chan struct{}),
		offers: map[area.WorkID]*taking{}, warned: map[string]bool{}, ampOff: area.Never, keepAt: area.Never}
	a.shared.faults = map[string]string{}
	if cfg.Start.Safe {
		a.Alert(LightSafeMode)
	}
	a.shared.volume.Store(int64(cfg.Volume))
	a.shared.boot.Store(p.Memory.Boot())
	a.area, a.turn = cfg.Area, a.newTurn(cfg.Area, p.Memory.Boot())
	a.ballot = turn.NewBallot(p.Memory.MID(), a.now())
	return a, nil
}

func (a *Agent) newTurn(in area.Name, boot uint64) *turn.Turn {
	return turn.New(turn.Config{Area: in, Device: a.cfg.Device, MID: a.Memory.MID(), Boot: boot,
		StopLatency: max(turn.DefaultStopLatency, a.Player.Tail()), Nonce: rand.Text})
}

// Ready is closed when the hub has answered for the first time.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// Hub is the address of the hub that the device is connected to, empty where it
// is not.
func (a *Agent) Hub() string {
	a.shared.mu.Lock()
	defer a.shared.mu.Unlock()
	if !a.shared.link.up {
		return ""
	}
	return a.shared.link.hub
}

// Once has f called when the hub has answered for the first time, by the owner: f
// must not block. It must be called before Run.
func (a *Agent) Once(f func()) { a.once = f }

// ToggleMute is the mute button: it acts on the next chunk of sound. A muted
// device goes on with its turn, silent, and what is left of it is heard if the
// mute ends before; an emergency is heard in spite of it. Works that are held
// out to the whole area it leaves to its neighbours for half a second.
func (a *Agent) ToggleMute() {
	a.shared.muted.Store(!a.shared.muted.Load())
	a.enqueue(func() {}) // so that the status is published
}

// Stats is what was counted so far.
func (a *Agent) Stats() Stats {
	c := &a.count
	return Stats{Offers: c.offers.Load(), Unfit: c.unfit.Load(), Full: c.full.Load(), Takes: c.takes.Load(), Declined: c.declined.Load(),
		Played: c.played.Load(), Stopped: c.stopped.Load(), Preempted: c.preempted.Load(), Failed: c.failed.Load(),
		Repeated: c.repeated.Load(), Loaded: c.loaded.Load(), Unloaded: c.unloaded.Load(), Deaf: c.deaf.Load(), Dropped: c.dropped.Load(),
		Feeds: c.feeds.Load(), Hangs: c.hangs.Load(), Panics: c.panics.Load()}
}

// settle brings everything into line after something has happened.
func (a *Agent) settle() {
	a.flush()
	for a.next() {
		a.flush()
	}
	if !a.greeted && a.turn.Greeted() {
		a.greeted = true
		a.sayPlayed()
		close(a.ready)
		a.sendCrash()
		if a.once != nil {
			a.once()
		}
	}
	a.look(a.now())
	a.show()
	a.sleep()
}

// flush steps everything that is to be stepped.
func (a *Agent) flush() {
	for len(a.todo) > 0 {
		ev := a.todo[0]
		a.todo = a.todo[1:]
		actions := slices.Clone(a.turn.Step(ev, a.now()))
		a.shared.fence.Store(int64(a.turn.Deadline()))
		for _, act := range actions {
			a.do(act)
		}
	}
}

func (a *Agent) step(ev turn.Event) { a.todo = append(a.todo, ev) }

// do does what the protocol says.
func (a *Agent) do(act turn.Action) {
	switch act := act.(type) {
	case turn.Send:
		a.publish(area.Message{Topic: area.ClaimTopic(a.area, a.cfg.Device), Payload: act.Claim.Encode(), QoS: 1})
	case turn.Start:
		a.start(act)
	case turn.Stop:
		a.halt()
	case turn.Assigned:
		a.assigned(act)
	case turn.Refused:
		a.refused(act)
	case turn.Free:
		a.free(act)
	case turn.Booted:
		a.booted(act.Boot)
	case turn.Replaced:
		a.warnOnce(area.ReasonReplaced, "another machine has this device's name")
		if r, ok := a.Uplink.(Rester); ok {
			r.Rest(act.Again)
		}
	case turn.Deaf:
		a.count.deaf.Add(1)
		a.Log.Warn("nobody answers, connecting again", "conn", a.link.conn)
		a.Uplink.Drop()
	}
}

// booted keeps the number that the hub has handed out.
func (a *Agent) booted(boot uint64) {
	a.shared.boot.Store(boot)
	a.Log.Info("the hub counts this start anew", "n", boot)
	if err := a.Memory.SetBoot(boot); err != nil {
		a.Log.Error("start number not kept", "err", err)
	}
}

func (a *Agent) now() area.Instant { return area.Instant(a.Clock.Now()) }

// due does what its time has come for.
func (a *Agent) due() {
	now := a.now()
	a.takeDue(now)
	a.keepTaken(now)
	a.expire(now)
	a.takeUp(now)
	if now >= a.turn.Next() {
		a.step(turn.Tick{})
	}
	if now >= a.ampOff {
		a.amp(false)
	}
}

// sleep sets the timer to when something is due next.
func (a *Agent) sleep() {
	now := a.now()
	next := min(a.turn.Next(), a.ampOff, a.keepAt, a.looked.Add(lookEvery))
	for _, i := range a.queue {
		next = min(next, i.due())
		if i.aside != 0 && i != a.current {
			next = min(next, i.aside)
		}
	}
	for _, o := range a.offers {
		if !o.said {
			next = min(next, o.due)
		}
	}
	if a.leaving {
		next = min(next, a.leaveBy)
	}
	if a.blinks > now {
		next = min(next, now.Add(blink))
	}
	if a.light == LightBooting || !a.link.up && !a.leaving {
		next = min(next, now.Add(lightEvery))
	}
	a.wake.Reset(min(max(next.Sub(now), 0), time.Hour))
}

func (a *Agent) warnOnce(key, message string, args ...any) {
	if !a.warned[key] {
		a.warned[key] = true
		a.Log.Warn(message, args...)
	}
}
