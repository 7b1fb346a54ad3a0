package arbiter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// Members knows who may lead an area; package peers has one.
type Members interface {
	Member(in area.Name, d area.DeviceID) (area.Member, bool)
}

// Adopter is a [Reporter] that also takes orders in that came to the leader of
// an area while the hub could not be reached. Adopt must not block; done is
// called once, when the order is durable as the report says it is or is known
// not to be, and must only enqueue.
type Adopter interface {
	Adopt(o area.Order, r area.Report, done func(error))
}

// reigns is what is left of the cores that the area had.
type reigns struct {
	n      uint64 // the core under way
	record []byte // what the next one starts with
	counts Counts

	mirrors MirrorCounts // of mirrors that are gone
}

// ofReign is the answer to a commit of the core that had this number.
type ofReign struct {
	Committed
	n uint64
}

// trunkLink is how the roster calls the connection of the devices that are
// connected to a leader.
func trunkLink(leader area.DeviceID) string { return "trunk/" + string(leader) }

func isTrunkLink(link string) bool { return strings.HasPrefix(link, "trunk/") }

// makeMirror makes the mirror of an area where one of its devices may lead.
func (d *desk) makeMirror(cfg CoreConfig, led []byte) (err error) {
	if d.s.cfg.Leaders == nil {
		return nil
	}
	first := uint64(max(0, d.s.now().UnixMilli())) // above all that an earlier start of the hub has shown
	if d.nodes != nil {
		first = max(first, d.nodes.post.rev) // and another node, whose clock may be ahead
	}
	d.mirror, err = newMirror(mirrorConfig{area: d.name, node: cfg.Node, lease: cfg.Lease, strict: cfg.Strict, rev: first}, led, d.s.clock())
	if err != nil {
		return err
	}
	d.local.Store(d.s.roster.Topology(d.name) == area.TopologyLocal)
	d.mirror.local = d.local.Load()
	d.sent = map[area.DeviceID]bool{}
	return nil
}

// stepMirror moves the mirror by one event, and by those that follow from it.
func (d *desk) stepMirror(ev Event, reporter Reporter) {
	d.queue = append(d.queue, ev)
	for len(d.queue) > 0 {
		ev := d.queue[0]
		d.queue = d.queue[1:]
		mine := uint64(0)
		if d.core != nil {
			mine = d.core.Term()
		}
		d.mirror.wall = d.s.now().UnixMilli()
		for _, a := range d.mirror.step(ev, mine, d.s.clock()) {
			d.reflect(a, reporter)
		}
	}
	if d.core != nil && d.core.Next() <= d.s.clock() {
		d.stepCore(Tick{}, reporter)
	}
}

// reflect does what the mirror asks for.
func (d *desk) reflect(a Action, reporter Reporter) {
	switch a := a.(type) {
	case toCore:
		d.stepCore(a.ev, reporter)
	case yield:
		d.yield()
	case takeOver:
		d.takeOver(a.floor)
	case down:
		a.msg.Life = d.s.cfg.Life
		d.put(area.TrunkDownTopic(a.to), a.msg.Encode(), false)
	case keep:
		d.keepLeader(a)
	case led:
		d.term = 0 // whoever comes next is shown anew
		d.put(area.LeaderTopic(d.name), a.leader.Encode(), true)
	case mirrored:
		d.showMirrored(a.busy)
	case relay:
		d.relay(a)
	case departed:
		d.ofLeader(ledDevices{Leader: a.leader, Gone: a.device, Reason: a.reason})
	case serving:
		d.ofLeader(ledDevices{Leader: a.leader, Serves: a.devices})
	case severed:
		d.ofLeader(ledDevices{Leader: a.leader, Lost: true})
	case adopt:
		d.adopt(a, reporter)
	case recorded:
		d.recorded(a)
	case played:
		d.watcher.note(proof.Record{Is: proof.Told, Device: a.device, Work: a.work})
	case tell:
		d.tell(a)
	case Say: // of the leader's, which notes itself what is to be noted
		d.say(a.Device, a.Answer)
	default:
		d.act(a, reporter)
	}
}

// yield ends the core in favour of the area's leader.
func (d *desk) yield() {
	y := d.core.Yield(d.s.clock())
	d.ends.counts = d.ends.counts.plus(d.core.Counts())
	d.ends.n, d.ends.record = d.ends.n+1, y.Record
	d.core, d.asked, d.written = nil, 0, 0
	d.watcher.shown(area.Busy{State: area.Settling}) // what it had granted goes on in the leader's own record
	s, name := d.s, d.name
	done := func(err error) {
		if err != nil {
			s.log.Error("record of the own reign is not durable", "area", name, "err", err)
		}
	}
	if d.nodes != nil {
		d.commitShared(y.Record, done)
	} else {
		s.ledger.Commit(name, y.Record, done)
	}
	d.queue = append(d.queue, yielded{y})
}

// takeOver makes a core, in place of a leader.
func (d *desk) takeOver(floor uint64) {
	d.mu.Lock()
	cfg := d.set
	d.mu.Unlock()
	cfg.ColdStart, cfg.Floor, cfg.Others = false, floor, true
	core, err := NewCore(cfg, d.ends.record)
	if err != nil { // it was read before, or written by ourselves
		d.s.count.lost.Add(1)
		d.s.log.Error("area cannot be arbitrated", "area", d.name, "err", err)
		return
	}
	d.core, d.ends.n = core, d.ends.n+1
	d.begun()
	d.asked, d.written = 0, 0
	d.elect()
	d.bound()
}

// elect tells a new core who votes where its area is strict.
func (d *desk) elect() {
	if d.s.cfg.Voters != nil {
		d.core.Step(d.electorate(), d.s.clock())
	}
}

func (d *desk) electorate() Electorate {
	list, known := d.s.cfg.Voters(d.name)
	return Electorate{Voters: list, Unknown: !known}
}

func (d *desk) keepLeader(a keep) {
	box, table := d.box, d.s.cfg.Leaders
	done := func(err error) { box.put(kept{seq: a.seq, err: err}) }
	if d.nodes != nil {
		d.keepShared(a.record, done)
		return
	}
	if a.record == nil {
		table.DeleteAsync(string(d.name), done)
		return
	}
	table.PutAsync(string(d.name), a.record, done)
}

// forgetLeader forgets what is kept of the leader of an area that was removed.
func (d *desk) forgetLeader() {
	if d.s.cfg.Leaders != nil {
		d.s.cfg.Leaders.DeleteAsync(string(d.name), func(error) {})
	}
}

// showMirrored publishes a state of the leader's.
func (d *desk) showMirrored(b area.Busy) {
	d.put(area.BusyTopic(d.name), b.Encode(), true)
	d.put(area.FlagTopic(d.name), []byte(b.Flag()), true)
	d.stale = true
	d.mu.Lock()
	d.busy, d.has = b, true
	d.mu.Unlock()
}

// relay publishes what a device of the leader's said, and sends down what the
// hub retains for one that was not there before.
func (d *desk) relay(a relay) {
	m := area.Message{Topic: a.topic, Payload: a.payload, QoS: 1, Retain: a.retain, From: area.FromBridge + ":" + string(a.leader)}
	t := area.ParseTopic(a.topic)
	if t.Kind == area.KindStatus && d.s.cfg.Retained != nil && (!d.s.roster.Heard(t.Device, trunkLink(a.leader)) || !d.sent[t.Device]) {
		d.sent[t.Device] = true
		for _, c := range d.s.cfg.Retained(area.CommandTopic(t.Device, "+"), mostCommands) {
			d.queue = append(d.queue, command{c})
		}
	}
	d.out = append(d.out, m)
}

// mostCommands bounds what is retained for one device and sent down.
const mostCommands = 16

func (d *desk) adopt(a adopt, reporter Reporter) {
	box, from := d.box, a.receipt
	to, able := reporter.(Adopter)
	if !able {
		return
	}
	work := a.order.ID
	to.Adopt(a.order, a.report, func(err error) { box.put(adopted{from, work, err}) })
}

func (d *desk) recorded(a recorded) {
	var r proof.Record
	to, able := d.s.cfg.Witness.(Merger)
	if !able || json.Unmarshal(a.line, &r) != nil {
		return
	}
	to.Merge(d.name, r, a.ago)
}

// tell logs what became of the lead of an area.
func (d *desk) tell(a tell) {
	at := []any{"area", d.name, "device", a.leader, "lease", a.term}
	switch a.what {
	case newsLed:
		d.s.log.Info("area is led by one of its devices", at...)
	case newsSilent:
		d.s.log.Warn("leader of an area is silent", at...)
	case newsBack:
		d.s.log.Info("leader of an area speaks again", at...)
	case newsGave:
		d.s.log.Info("leader of an area has resigned", at...)
	case newsTaken:
		d.s.log.Info("area is arbitrated by the hub again", at...)
	case newsSplit:
		d.after(func() { d.parts(a) }) // the hub's own term is known then
	case newsWhole:
		d.s.log.Info("area is no longer split", at...)
		d.watcher.note(proof.Record{Is: proof.Whole, Device: a.leader, Term: a.term})
	case newsRefused:
		d.s.log.Debug("lead of an area is refused", at...)
	}
}

// parts declares a split: in the log, and in the record.
func (d *desk) parts(a tell) {
	var own uint64
	if d.core != nil {
		own = d.core.Term()
	}
	d.s.log.Error("area is split: the hub arbitrates, and its silent leader may", "area", d.name, "device", a.leader, "lease", a.term, "n", own)
	d.watcher.note(proof.Record{Is: proof.Split, Device: a.leader, Term: a.term, Own: own})
}

// listenTrunks subscribes to what is said on trunks, and to what the hub has for
// devices that are connected to a leader.
func (s *Service) listenTrunks() map[string]func(area.Message) {
	if s.cfg.Leaders == nil {
		return nil
	}
	return map[string]func(area.Message){
		area.TrunkUpTopic("+"):      s.heardTrunk,
		area.CommandTopic("+", "+"): s.heardCommand,
		area.PeersTopic("+"):        s.heardCommand,
	}
}

// heardTrunk hands a message of a trunk to the desk of its area.
func (s *Service) heardTrunk(m area.Message) {
	t := area.ParseTopic(m.Topic)
	if t.Kind != area.KindTrunkUp || m.Replay || m.Will {
		return
	}
	msg, err := area.ParseTrunk(m.Payload)
	if err != nil {
		s.malformed(m, err)
		return
	}
	if _, known := s.roster.Settings(msg.Area); !known || !s.mayTell(msg) {
		s.malformed(m, area.Errorf(area.CodeForbidden, "it is about what is not in area %s", msg.Area))
		return
	}
	_, member := s.cfg.Members.Member(msg.Area, t.Device)
	if d := s.found(msg.Area); d != nil {
		d.box.hear(s.overBroker(up{device: t.Device, member: member, msg: msg}))
	}
}

// mayTell tells whether a message is about a device of its area.
func (s *Service) mayTell(t area.Trunk) bool {
	switch t.Op {
	case area.TrunkSay, area.TrunkOffer:
		if t.Device == "" {
			return true
		}
		p, ok := s.roster.Player(t.Device)
		return ok && p.Area == t.Area
	case area.TrunkStatus:
		in, err := s.roster.Find(t.Status.Area)
		return err == nil && in == t.Area
	case area.TrunkTele:
		about := area.ParseTopic(t.Topic)
		p, ok := s.roster.Player(about.Device)
		return slices.Contains([]area.Kind{area.KindTele, area.KindEvent, area.KindLog}, about.Kind) && ok && p.Area == t.Area
	case area.TrunkReport, area.TrunkOrder:
		return t.Order == nil || t.Order.ID == t.Report.Work && t.Order.Area == t.Area
	}
	return true
}

// heardCommand sends a message for a device down to the leader that it is
// connected to.
func (s *Service) heardCommand(m area.Message) {
	t := area.ParseTopic(m.Topic)
	if m.Replay || t.Device == "" {
		return
	}
	p, ok := s.roster.Player(t.Device)
	if !ok || !isTrunkLink(s.roster.linkOf(t.Device)) {
		return
	}
	if d := s.found(p.Area); d != nil {
		d.box.hear(s.overBroker(command{m}))
	}
}

// Merger is a [Witness] that also takes in what another one has noted, so long
// ago.
type Merger interface {
	Merge(a area.Name, r proof.Record, ago time.Duration)
}

func (s *Service) loadLeaders() error {
	if s.cfg.Leaders == nil {
		return nil
	}
	err := s.cfg.Leaders.Load(func(key string, value []byte) error {
		s.led[area.Name(key)] = value
		return nil
	})
	if err != nil {
		return fmt.Errorf("arbiter: leaders: %w", err)
	}
	return nil
}

func (d *desk) mirrorStats() (MirrorCounts, area.DeviceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mirrors, d.leader
}

func (c MirrorCounts) plus(o MirrorCounts) MirrorCounts {
	return MirrorCounts{
		Leads: c.Leads + o.Leads, Refused: c.Refused + o.Refused, Silent: c.Silent + o.Silent, Splits: c.Splits + o.Splits,
		Handed: c.Handed + o.Handed, Merged: c.Merged + o.Merged,
	}
}
