package host

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// fromTrunk is the publisher of what came over the trunk.
const fromTrunk = area.FromBridge + ":trunk"

const (
	leadEvery = time.Second
	awayAfter = 3 * time.Second // without the trunk the hub's devices are gone
)

// line is the leader's end of the trunk. All but accepted belongs to run's
// goroutine.
type line struct {
	*reign
	inbox     chan func() // what came over bus and trunk, in its order
	documents chan []byte
	moved     chan struct{} // holds one signal: the roster has changed
	accepted  atomic.Bool   // the hub has accepted the lead on the connection that stands

	up      bool                          // a connection stands
	down    area.Instant                  // since when none does
	remote  map[area.DeviceID]bool        // devices of the hub
	served  []area.DeviceID               // devices that are connected here, as the hub knows them
	came    map[area.DeviceID]area.Status // devices of whose newest connection the hub was told before it was among those served
	shown   area.Leader                   // as it is on the bus
	at      area.Instant                  // since when
	busy    *area.Busy                    // newest
	told    lead                          // as last said
	said    []area.Instant                // when leads were said that are not answered yet
	hub     string                        // the life of the hub
	disk    disk
	verdict error // ends the reign
}

// mostSaid bounds the leads that are not answered; of more the oldest count.
const mostSaid = 64

// lead is what is said at once when it changes.
type lead struct {
	term   uint64
	serves string
	state  area.BusyState
}

func newLine(w *reign) *line {
	return &line{reign: w, inbox: make(chan func(), lineInbox), documents: make(chan []byte, 1), moved: make(chan struct{}, 1), remote: map[area.DeviceID]bool{}, came: map[area.DeviceID]area.Status{}, down: w.Clock(), disk: newDisk(w.store.Stats())}
}

// run is the line until ctx ends, or the hub does not have it; it then says so to
// the hub.
func (l *line) run(ctx context.Context) error {
	cancel, err := l.listen()
	defer cancel()
	if err != nil {
		return err
	}
	l.Link.Want(wantLead, true)
	defer l.Link.Want(wantLead, false)
	defer l.accepted.Store(false)
	defer l.roster.Watch(l.poke)()
	tick := time.NewTicker(leadEvery)
	defer tick.Stop()
	for l.verdict == nil {
		select {
		case <-ctx.Done():
			if !l.out.owes() { // else the hub waits for what this device still has to say
				l.own.led(true) // it goes on with what it knows
				l.send(area.Trunk{Op: area.TrunkResign})
			}
			return nil
		case do := <-l.inbox:
			do()
		case <-l.works.wake:
			l.taken()
		case p := <-l.Changed:
			l.renew(p)
		case term := <-l.Rivals:
			l.arbiter.HeardTerm(l.area, term)
		case b := <-l.documents:
			l.Document(b)
		case <-l.moved:
		case <-tick.C:
			l.lead(true)
			l.lostLong()
			if l.disk.look(l.store.Stats(), l.Clock()) {
				l.verdict = errors.Join(errDisk, l.store.Trouble())
			}
		}
		l.lead(false)
	}
	return l.verdict
}

// listen hears bus and trunk; it only enqueues.
func (l *line) listen() (cancel func(), err error) {
	var cancels []func()
	cancel = func() {
		for _, c := range cancels {
			c()
		}
	}
	for filter, heard := range map[string]func(area.Message){
		area.LeaderTopic(l.area): l.heardLeader, area.BusyTopic(l.area): l.heardBusy, area.AreaWorkTopic(l.area): l.heardOffer,
		area.GrantTopic("+"): l.heardAnswer, area.WorkTopic("+"): l.heardOffer, area.StatusTopic("+"): l.heardStatus, area.ClaimTopic(l.area, "+"): l.heardClaim, area.PollTopic(l.area): l.heardPoll,
		area.Root + "/device/+/tele/#": l.heardTele, area.Root + "/device/+/event/+": l.heardTele, area.Root + "/device/+/log": l.heardTele,
	} {
		c, err := l.broker.Subscribe(filter, func(m area.Message) {
			if area.Passes(m, fromTrunk) {
				l.enqueue(func() { heard(m) })
			}
		})
		if err != nil {
			return cancel, err
		}
		cancels = append(cancels, c)
	}
	c, err := l.Link.Documents(l.keep)
	if err != nil {
		return cancel, err
	}
	cancels = append(cancels, c, l.Link.Watch(func(t area.Trunk) { l.enqueue(func() { l.heard(t) }) }, func(bool) { l.enqueue(func() {}) }))
	return cancel, nil
}

func (l *line) enqueue(do func()) {
	select {
	case l.inbox <- do:
	default:
		l.count.dropped.Add(1)
	}
}

// poke says that the roster has changed.
func (l *line) poke() {
	select {
	case l.moved <- struct{}{}:
	default:
	}
}

// keep takes the newest roster document.
func (l *line) keep(payload []byte) {
	for {
		select {
		case l.documents <- payload:
			return
		default:
		}
		select {
		case <-l.documents:
		default:
		}
	}
}

// connected looks whether the connection has changed: on another one nothing is
// accepted yet.
func (l *line) connected() {
	up := l.Link.Up()
	if up == l.up {
		return
	}
	l.up, l.told, l.said = up, lead{}, nil
	l.accepted.Store(false)
	if !up {
		l.down = l.Clock()
		l.Log.Warn("the area is on its own, the hub cannot be reached", "area", l.area)
	}
}

// lead says that we do: each second, and at once where something has changed.
func (l *line) lead(due bool) {
	l.connected()
	serves := l.serves()
	l.presence(serves)
	if l.shown.Term == 0 || !l.up {
		return
	}
	now := lead{term: l.shown.Term, serves: join(serves)}
	if l.busy != nil {
		now.state = l.busy.State
	}
	if !due && now == l.told {
		return
	}
	l.told = now
	if len(l.said) < mostSaid {
		l.said = append(l.said, l.Clock())
	}
	holds, alive := l.arbiter.Holds(l.area)
	l.send(area.Trunk{Op: area.TrunkLead, SettleMs: l.settling().Milliseconds(), AliveMs: alive.Milliseconds(), Addr: l.addr, Web: l.webAt, Serves: serves, Holds: holds, Owes: l.out.len()})
}

// settling is for how long nothing is granted.
func (l *line) settling() time.Duration {
	if l.busy == nil || l.busy.State != area.Settling {
		return 0
	}
	return max(0, millis(l.shown.SettleMs)-l.Clock().Sub(l.at))
}

// serves is the devices that are connected here.
func (l *line) serves() (list []area.DeviceID) {
	for _, d := range l.roster.Players() {
		if d.Presence == area.Online && !l.remote[d.ID] {
			list = append(list, d.ID)
		}
	}
	return list
}

func join(list []area.DeviceID) string {
	var b []byte
	for _, d := range list {
		b = append(append(b, d...), ' ')
	}
	return string(b)
}

// send says something to the hub. What cannot be said now is said again, or is a
// state that the next one replaces.
func (l *line) send(t area.Trunk) {
	t.Area, t.Term = l.area, l.shown.Term
	if err := l.Link.Send(t); err != nil {
		l.Log.Debug("not said to the hub", "rule", t.Op, "err", err)
	}
}

// tell says something that only an accepted leader says.
func (l *line) tell(t area.Trunk) {
	if l.accepted.Load() {
		l.send(t)
	}
}

// lostLong takes the hub's devices off the roster when it is away for long.
func (l *line) lostLong() {
	if l.up || len(l.remote) == 0 || l.Clock().Sub(l.down) < awayAfter {
		return
	}
	for d := range l.remote {
		l.roster.Lost(remoteLink(d), area.PresentTimeout)
	}
	clear(l.remote)
}

// whole says everything that the hub has to know of the area at the beginning.
func (l *line) whole() {
	if l.busy != nil {
		l.tell(area.Trunk{Op: area.TrunkBusy, Busy: l.busy})
	}
	l.tellOrders()
	l.served = nil
	clear(l.came)
	l.presence(l.serves())
}

// refused hears that the hub does not have us as its leader.
func (l *line) refused(t area.Trunk) {
	l.Host.count.refused.Add(1)
	l.accepted.Store(false)
	l.Heard(t.Term)
	switch t.Reason {
	case area.TrunkHubLeads:
		l.verdict = leader.ErrHubLeads
	case area.TrunkNotMember:
		l.verdict = ErrNotMember
	case area.TrunkOtherLeads:
		l.verdict = ErrOtherLeads
	default:
		l.arbiter.HeardTerm(l.area, t.Term)
	}
}
