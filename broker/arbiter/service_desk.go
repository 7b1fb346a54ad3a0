package arbiter

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// desk is one area at work: its core, its inbox and its goroutine.
type desk struct {
	s    *Service
	name area.Name
	box  *mailbox

	// The goroutine's own.
	core    *Core   // nil while one of the area's own devices arbitrates
	mirror  *mirror // nil where none ever may
	ends    reigns
	queue   []Event // of the mirror, while it is stepped
	out     []area.Message
	then    []func()               // to be called once these are published
	since   *area.Time             // the core arbitrates
	told    area.Lead              // who arbitrates, as it was told to other nodes
	asked   uint64                 // newest commit
	written uint64                 // newest commit that was answered
	term    uint64                 // shown on the leader topic
	nodes   *crossing              // nil: there is one node
	sent    map[area.DeviceID]bool // devices of the leader that have what is retained for them
	lacks   bool                   // nothing is granted for want of a majority, and that was told
	stale   bool                   // the roster has not been told of the newest busy
	watcher watcher

	local atomic.Bool // the topology that the mirror was told

	mu     sync.Mutex
	reign  uint64 // where there are several nodes: this one has the area, by this term or a later one; 0: it has not
	served bool   // same: this one has it, or hears the one that has, or goes on by itself
	apart  bool   // same: this one goes on by itself
	busy   area.Busy
	has    bool
	counts Counts
	set    CoreConfig
	holds  []area.Hold  // without a lease, as of the instant
	heldAt area.Instant // same
	alive  time.Duration

	mirrors MirrorCounts
	leader  area.DeviceID // who has the area; empty: the hub
}

// gone ends a desk whose area was removed.
type gone struct{}

func (gone) event() {}

// closing bounds how long a desk waits for its last record.
const closing = 2 * time.Second

// newDesk reads the area's record and makes its core.
func (s *Service) newDesk(name area.Name) (*desk, error) {
	cfg, ok := s.coreConfig(name)
	if !ok {
		return nil, area.Errorf(area.CodeUnknownArea, "no area %s", name)
	}
	record, err := s.ledger.Load(name)
	if err != nil {
		return nil, fmt.Errorf("load the record of area %s: %w", name, err)
	}
	d := &desk{s: s, name: name, box: newMailbox(s.cfg.Inbox), set: cfg, watcher: watcher{to: s.cfg.Witness, name: name}, ends: reigns{record: record}}
	if s.nodes != nil {
		return d, d.follow(cfg)
	}
	if err := d.makeMirror(cfg, s.led[name]); err != nil {
		return nil, fmt.Errorf("area %s: %w", name, err)
	}
	if d.mirror == nil || d.mirror.leader == "" {
		if d.core, err = NewCore(cfg, record); err != nil {
			return nil, fmt.Errorf("area %s: %w", name, err)
		}
	}
	if a, _ := s.roster.Settings(name); a.Source == area.SourceSeen {
		s.log.Warn("area made by a device that named it", "area", name)
	}
	if d.core != nil {
		d.elect()
	}
	return d, nil
}

func (s *Service) coreConfig(name area.Name) (CoreConfig, bool) {
	a, ok := s.roster.Settings(name)
	return CoreConfig{
		Area: name, Node: s.name(), Reigned: s.nodes != nil, Index: s.cfg.Index, Floor: s.cfg.Floor, Lease: a.Lease,
		Finish: a.Policy == "finish", Barge: a.EmergencyBarge, Others: s.cfg.Mode == area.LeaderLocal || s.roster.Topology(name) == area.TopologyLocal,
		Strict: a.Mode == area.ModeStrict, Seat: s.cfg.Mode == area.LeaderHub,
		ClassicHold: a.ClassicHold, DumbHold: a.DumbHold, ColdStart: s.cfg.ColdStart,
	}, ok
}

// configure hands on settings that have changed.
func (d *desk) configure() {
	cfg, ok := d.s.coreConfig(d.name)
	d.mu.Lock()
	same := !ok || cfg == d.set
	d.set = cfg
	d.mu.Unlock()
	if !same {
		d.box.put(Configure{Config: cfg})
		d.refollow(cfg, 0)
	}
	if local := d.s.roster.Topology(d.name) == area.TopologyLocal; d.s.cfg.Leaders != nil && d.local.Swap(local) != local {
		d.box.put(topology{local})
	}
}

// run owns the core until ctx ends or the area is gone.
func (d *desk) run(ctx context.Context, reporter Reporter) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var events []Event
	d.begun()
	d.step(Begin{}, reporter)
	for {
		d.flush(ctx)
		timer.Reset(d.wait())
		select {
		case <-ctx.Done():
			d.close(reporter)
			return
		case <-d.box.wake:
		case <-timer.C:
		}
		events = d.box.take(events[:0])
		for _, ev := range events {
			if _, ok := ev.(gone); ok {
				d.clear(ctx)
				return
			}
			d.step(ev, reporter)
		}
		if d.next() <= d.s.clock() {
			d.step(Tick{}, reporter)
		}
	}
}

// next is when a Tick is due.
func (d *desk) next() area.Instant {
	next := area.Never
	if d.core != nil {
		next = d.core.Next()
	}
	if d.mirror != nil {
		next = min(next, d.mirror.next())
	}
	if d.nodes != nil {
		next = min(next, d.nextNodes())
	}
	return next
}

// wait is how long the area can be left alone.
func (d *desk) wait() time.Duration {
	next := d.next()
	if next == area.Never {
		return time.Hour
	}
	return max(0, next.Sub(d.s.clock()))
}

// step moves the area by one event and does what that asks for; messages are
// gathered for flush.
func (d *desk) step(ev Event, reporter Reporter) {
	if ev, ours := ev.(ofReign); ours {
		d.stepCore(d.committed(ev), reporter)
		return
	}
	if _, ours := ev.(reelect); ours {
		d.stepCore(d.electorate(), reporter)
		return
	}
	if d.nodes != nil {
		d.stepNodes(ev, reporter)
		return
	}
	d.stepOwn(ev, reporter)
}

// stepOwn moves an area that this node has.
func (d *desk) stepOwn(ev Event, reporter Reporter) {
	if d.mirror == nil {
		d.stepCore(ev, reporter)
		return
	}
	if _, says := ev.(up); says && d.overdue() {
		return
	}
	d.stepMirror(ev, reporter)
}

func (d *desk) stepCore(ev Event, reporter Reporter) {
	if ev == nil || d.core == nil {
		return
	}
	if ev, ok := ev.(Heard); ok {
		d.watcher.heard(ev, d.s.clock())
	}
	for _, a := range d.core.Step(ev, d.s.clock()) {
		d.act(a, reporter)
	}
}

// act does what a core, or a mirror in its place, asks for.
func (d *desk) act(a Action, reporter Reporter) {
	switch a := a.(type) {
	case ShowBusy:
		d.show(a.Busy)
	case Say:
		d.watcher.said(a)
		d.say(a.Device, a.Answer)
	case HoldOut:
		d.holdOut(a)
	case Commit:
		d.commit(a)
	case Disconnect:
		d.s.disconnect(a.Device)
		d.cut(a.Device)
	case Poll:
		d.put(area.PollTopic(d.name), a.Poll.Encode(), false)
	case Barged:
		d.s.log.Warn("an emergency did not wait for a device that does not answer", "area", d.name, "device", a.Device, "who", a.Over, "work", a.Work, "lease", a.Token)
		d.watcher.barged(a)
	case Remark:
		d.s.remark(a, d.name)
	case Report:
		d.s.tell(a)
		d.report(a.Report, reporter)
	}
}

// remark logs what an operator has to know of a device.
func (s *Service) remark(r Remark, in area.Name) {
	at := []any{"area", in, "device", r.Device}
	switch r.On {
	case Contested:
		s.log.Warn("two machines answer to the name of one device", at...)
	case Unentitled:
		s.log.Warn("a device sounds without a right", at...)
	case Overdue:
		s.log.Warn("a device is past its time, and may sound still", at...)
	case Unheard:
		s.log.Warn("lease ended without a word of its holder", at...)
	}
}

// tell logs what an operator wants to find again of a work.
func (s *Service) tell(done Report) {
	r := done.Report
	at := []any{"area", r.Area, "work", r.Work, "n", r.Att}
	by := cmp.Or(r.Device, done.By)
	if by != "" {
		at = append(at, "device", by)
	}
	switch {
	case r.State == area.OrderPlaying:
		s.log.Info("plays", at...)
	case r.State == area.OrderPlayed:
		s.log.Info("played", at...)
	case r.State == area.OrderCancelled:
		s.log.Info("cancelled", append(at, "err", r.Reason)...)
	case r.State.Ended():
		s.log.Warn("order not played", append(at, "err", cmpOr(r.Reason, string(r.State)))...)
	case r.State == area.OrderWaiting && !done.Begun && (r.Reason == area.EndCut || r.Reason == area.EndPreempted):
		s.log.Info("order given back before it began, waits again", append(at, "err", r.Reason)...)
	case r.State == area.OrderWaiting && r.Reason == area.EndDeviceError && by == "":
		s.log.Warn("no device of the area can sound, the order waits", at...)
	case r.State == area.OrderWaiting && r.Reason != "":
		s.log.Warn("order cut short, waits again", append(at, "err", r.Reason)...)
	}
}

// committed notes that a record is durable, or is not. It answers what the core
// has to hear; nil: the record was an earlier core's.
func (d *desk) committed(ev ofReign) Event {
	if ev.n != d.ends.n {
		return nil
	}
	d.written = max(d.written, ev.Seq)
	if ev.Err != nil {
		d.s.log.Error("record not durable, no more grants until one is", "area", d.name, "err", ev.Err)
	}
	return ev.Committed
}

func (d *desk) commit(a Commit) {
	d.asked = a.Seq
	box, seq, reign := d.box, a.Seq, d.ends.n
	done := func(err error) { box.put(ofReign{Committed{Seq: seq, Err: err}, reign}) }
	if d.nodes != nil {
		d.commitShared(a.Record, done)
		return
	}
	d.s.ledger.Commit(d.name, a.Record, done)
}

// show publishes the area's state, retained: before the answers that follow.
func (d *desk) show(b area.Busy) {
	d.watcher.shown(b)
	if b.Term != d.term {
		d.term = b.Term
		d.put(area.LeaderTopic(d.name), d.ourself(b).Encode(), true)
	}
	d.put(area.BusyTopic(d.name), b.Encode(), true)
	d.put(area.FlagTopic(d.name), []byte(b.Flag()), true)
	d.stale = true
	d.mu.Lock()
	d.busy, d.has = b, true
	d.mu.Unlock()
}

func (d *desk) ourself(b area.Busy) area.Leader {
	l := area.Leader{Term: b.Term, Host: d.s.cfg.Node, Addr: d.s.cfg.Addr, Web: d.s.cfg.Web, Mode: d.s.cfg.Mode}
	if until, settles := d.core.Settling(); settles {
		l.SettleMs = max(0, until.Sub(d.s.clock())).Milliseconds()
	}
	return l
}

func (d *desk) say(to area.DeviceID, a area.Answer) { d.gather(area.GrantTopic(to), a.Encode(), false) }

func (d *desk) holdOut(a HoldOut) {
	topic := area.AreaWorkTopic(d.name)
	if a.Device != "" {
		topic = area.WorkTopic(a.Device)
	}
	d.put(topic, a.Offer.Encode(), false)
}

// put gathers what is the area's.
func (d *desk) put(topic string, payload []byte, retain bool) {
	if !d.mute() {
		d.gather(topic, payload, retain)
	}
}

func (d *desk) gather(topic string, payload []byte, retain bool) {
	d.out = append(d.out, area.Message{Topic: topic, Payload: payload, QoS: 1, Retain: retain, From: area.FromArbiter})
}

// after has something done once what was gathered so far is published.
func (d *desk) after(do func()) { d.then = append(d.then, do) }

// flush publishes what was gathered, as one batch in its order, and tells the
// roster who holds and who waits.
func (d *desk) flush(ctx context.Context) {
	if len(d.out) > 0 {
		if err := d.s.bus.Publish(context.WithoutCancel(ctx), d.out...); err != nil {
			d.s.log.Warn("area not published", "area", d.name, "n", len(d.out), "err", err)
		}
		d.spread()
		clear(d.out)
		d.out = d.out[:0]
	}
	for _, do := range d.then {
		do()
	}
	d.then = d.then[:0]
	counts := d.ends.counts
	if d.core != nil {
		counts = counts.plus(d.core.Counts())
	}
	d.mu.Lock()
	d.counts = counts
	d.heldAt = d.s.clock()
	if d.holds = nil; d.core != nil {
		d.holds, d.alive = d.core.Holds(d.heldAt), d.core.Alive()
	}
	if d.mirror != nil {
		d.mirrors, d.leader = d.ends.mirrors.plus(d.mirror.counts), d.mirror.leader
	}
	d.mu.Unlock()
	if lacks := d.core != nil && d.core.lacking(); lacks != d.lacks {
		if d.lacks = lacks; lacks {
			d.s.log.Warn("strict area without a majority, it is silent", "area", d.name)
		} else {
			d.s.log.Info("strict area has a majority again", "area", d.name)
		}
	}
	if d.stale {
		d.stale = false
		d.tellRoster()
	}
	d.tellLead()
}

func (d *desk) tellRoster() {
	b, _ := d.shown()
	var holder area.DeviceID
	if b.State == area.Held && b.Holder != nil {
		holder = *b.Holder
	}
	d.s.roster.setStates(d.name, holder, b.Queue)
}

// close stops granting and waits until the last record is durable.
func (d *desk) close(reporter Reporter) {
	d.stepCore(Close{}, reporter)
	end := time.NewTimer(closing)
	defer end.Stop()
	for d.written < d.asked || d.mirror != nil && !d.mirror.kept.settled() {
		select {
		case <-d.box.wake:
		case <-end.C:
			d.s.log.Warn("last record still not durable at the end", "area", d.name)
			return
		}
		for _, ev := range d.box.take(nil) {
			switch ev.(type) {
			case ofReign, kept:
				d.step(ev, reporter)
			}
		}
	}
	d.flush(context.Background())
	d.giveUp()
}

// clear takes the retained topics of a removed area away.
func (d *desk) clear(ctx context.Context) {
	for _, topic := range []string{area.BusyTopic(d.name), area.FlagTopic(d.name), area.LeaderTopic(d.name)} {
		d.gather(topic, nil, true)
	}
	d.stale = false
	d.leaveNodes()
	d.flush(ctx)
	d.forgetLeader()
}

func (d *desk) shown() (area.Busy, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busy, d.has
}

func (d *desk) stats() (Counts, area.Busy) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts, d.busy
}
