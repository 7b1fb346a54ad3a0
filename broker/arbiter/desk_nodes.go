package arbiter

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// crossing is a desk's part in a hub of several nodes. It is the desk's goroutine's,
// but for deaf.
type crossing struct {
	own   bool // this node has the area
	term  uint64
	first uint64 // term by which its reign began
	until area.Instant
	post  outpost         // while it has not; its works are always this node's
	city  capital         // while it has
	alone alone           // while nobody is known to have
	local uint64          // term that is known to be on this node's disk
	kept  []area.DeviceID // same, of who has the area without a lease
	lead  []byte          // same, of the device that leads it

	deaf atomic.Bool // this node does not reach the broker that all hear, and does not want the area
}

// maxSpread bounds the payloads of one word to other nodes, in bytes; a single
// message may have more.
const maxSpread = 512 << 10

// follow has the ledger of areas tell who has this one.
func (d *desk) follow(cfg CoreConfig) error {
	r, err := parseRecord(d.ends.record)
	if err != nil {
		return err
	}
	d.nodes = &crossing{
		post:  outpost{area: d.name, self: d.s.cfg.Node, hub: cfg.Node, lease: cfg.filled().Lease, works: newErrands(r.Works)},
		city:  newCapital(d.name),
		local: r.Term,
	}
	for _, w := range r.Works {
		if w.End == area.OrderPlayed {
			d.nodes.post.played.note(w.report(d.name))
		}
	}
	d.nodes.post.led = d.s.led[d.name]
	d.nodes.lead = d.nodes.post.led
	d.refollow(cfg, r.Term)
	return nil
}

// refollow tells the ledger how long a reign is to outlive its last word, and the
// highest term that is known.
func (d *desk) refollow(cfg CoreConfig, term uint64) {
	if d.nodes == nil || d.nodes.deaf.Load() {
		return
	}
	box := d.box
	d.s.cfg.Nodes.Reigns.Follow(d.name, reignLife(cfg), term, func(s reign.State) { box.put(reigned{s}) })
}

// life is how long a reign over the area outlives the ledger's last word.
func (d *desk) life() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return reignLife(d.set)
}

// reignLife outlives the longest lease that an arbiter of these settings grants
// (§8.1).
func reignLife(cfg CoreConfig) time.Duration {
	cfg = cfg.filled()
	life := cfg.alive()
	if cfg.Finish {
		life = max(life, MostFinish+cfg.Guard)
	}
	return life + reign.Slack
}

// stepNodes moves an area of a hub of several nodes by one event.
func (d *desk) stepNodes(ev Event, reporter Reporter) {
	d.moveNodes(ev, reporter)
	d.attend(reporter)
	n := d.nodes
	served := n.own || n.post.live() || n.alone.stage == apart
	d.mu.Lock()
	was := d.served
	d.served, d.apart = served, n.alone.here()
	d.mu.Unlock()
	if served != was && !served {
		d.s.count.vacated.Add(1)
		d.s.log.Warn("area is silent, no node has it", "area", d.name, "node", n.post.self)
	}
}

func (d *desk) moveNodes(ev Event, reporter Reporter) {
	n := d.nodes
	if all, ok := ev.(overheard); ok {
		if ev = all.Event; !n.own {
			d.acts(slices.Clone(n.post.overhear(ev, d.s.speaks(), d.s.clock())), reporter)
			return
		}
	}
	switch ev := ev.(type) {
	case reigned:
		d.reigned(ev.State, reporter)
		return
	case reaching:
		d.reach(ev.ok, reporter)
		return
	case shownOtherwise:
		d.correct(ev)
		return
	case told:
		if n.own {
			d.asks(ev, reporter)
			return
		}
		if n.alone.here() {
			d.wasPlayed(ev.word, reporter)
			if ev.word.Owner && ev.word.Term >= n.post.term {
				n.alone.hears()
			}
			return
		}
	case nodesLive:
		n.city.live(ev.names)
		if n.own || n.alone.here() {
			return
		}
	case gaveUp:
		return
	case Configure:
		n.post.lease = ev.Config.filled().Lease
	case Submit:
		if r, over := n.post.works.ended(ev.Work.ID); over {
			d.act(Report{Report: r.report(d.name)}, reporter)
			return
		}
		n.post.works.add(ev)
		n.city.ours(ev.Work.ID)
	case Stored:
		n.city.stored(ev.Work)
		if n.own {
			n.post.works.remove(ev.Work)
		}
	}
	if n.own {
		d.stepOwn(ev, reporter)
		d.acts(n.city.again(d.s.clock()), reporter)
		return
	}
	if n.alone.here() {
		d.stepAlone(ev, reporter)
		return
	}
	d.stepPost(ev, reporter)
}

func (d *desk) stepPost(ev Event, reporter Reporter) {
	d.acts(slices.Clone(d.nodes.post.step(ev, d.s.clock())), reporter)
	if _, ok := ev.(told); ok {
		d.rememberHolds()
		d.rememberLed()
	}
}

func (d *desk) acts(list []Action, reporter Reporter) {
	for _, a := range list {
		switch a := a.(type) {
		case toOwner:
			d.wire(d.nodes.post.owner, a.word)
		case toNode:
			d.wire(a.node, a.word)
		case spoken:
			d.speak(a.list)
		case mirrored:
			d.showMirrored(a.busy)
		default:
			d.act(a, reporter)
		}
	}
}

// wire sends a word about this area.
func (d *desk) wire(node string, w word) {
	n := d.nodes
	w.Area, w.Owner, w.Term = d.name, n.own, n.post.term
	if n.own {
		w.Term = d.reignTerm()
		if d.core != nil {
			w.Holds = d.core.Holds(d.s.clock())
		}
	}
	d.s.wire(node, w)
}

// reigned takes in the ledger's word on who has the area.
func (d *desk) reigned(s reign.State, reporter Reporter) {
	n := d.nodes
	n.alone.ledger(s, n.own, d.life(), d.s.clock())
	switch {
	case s.Begun:
		if n.own || n.alone.here() {
			d.lose()
		}
		d.begin(s, reporter)
	case s.Mine && n.own:
		n.until = s.Until
		d.stepCore(Reign{Until: s.Until}, reporter)
	case s.Mine, n.alone.here():
	default:
		if n.own {
			d.lose()
		}
		d.remember(s)
		d.stepPost(reigned{s}, reporter)
	}
}

// begin begins a reign: with the arbiter's record of before, the devices that are
// live, and the works that were accepted here.
func (d *desk) begin(s reign.State, reporter Reporter) {
	n := d.nodes
	n.own, n.term, n.first, n.until, n.city = true, s.Term, s.Term, s.Until, newCapital(d.name)
	d.setReign(s.Term)
	if len(s.Core) > 0 {
		d.ends.record = s.Core
	}
	d.mu.Lock()
	cfg := d.set
	d.mu.Unlock()
	cfg.Floor, cfg.ColdStart = max(cfg.Floor, s.Term-1, n.post.term), false
	cfg.Others = cfg.Others || n.alone.ever // each node may have granted
	n.alone.ever = false
	if err := d.makeArbiter(cfg, d.ledOf(s)); err != nil {
		d.s.count.lost.Add(1)
		d.s.log.Error("area cannot be arbitrated", "area", d.name, "err", err)
		return
	}
	d.bound()
	d.begun()
	for _, one := range n.post.works.order {
		one.to = ""
	}
	d.takeOn(reporter)
}

// takeOn has an arbiter that begins know what is left: the holds, the devices that are
// live, and the works that were accepted here.
func (d *desk) takeOn(reporter Reporter) {
	n := d.nodes
	d.stepOwn(Begin{}, reporter)
	if holds := n.post.holds.all(d.s.clock()); len(holds) > 0 {
		d.stepOwn(Inherit{Holds: holds}, reporter)
	}
	for _, device := range n.post.holds.ended() {
		d.stepOwn(Set{Device: device}, reporter)
	}
	n.post.holds, n.kept = postHolds{}, nil
	for _, r := range n.post.played {
		d.stepOwn(Ended{Report: r}, reporter)
	}
	n.post.played = nil
	for _, p := range d.s.roster.live(d.name) {
		if !n.own && nodeOfLink(p.Link) != "" {
			continue // another node's
		}
		d.stepOwn(DeviceUp{Device: p.Device, Location: p.Location, Dumb: p.Via == area.ViaDumb, MID: p.MID, Silent: p.Silent}, reporter)
	}
	for _, one := range slices.Clone(n.post.works.order) {
		if one.over || !n.own && one.to != "" {
			continue // the latter is in another node's hands
		}
		d.stepOwn(one.ev, reporter)
		if one.cancel != "" {
			d.stepOwn(Cancel{Work: one.ev.Work.ID, Reason: one.cancel}, reporter)
		}
	}
}

func (d *desk) makeArbiter(cfg CoreConfig, led []byte) (err error) {
	if err = d.makeMirror(cfg, led); err != nil {
		return err
	}
	d.ends.n++
	d.asked, d.written = 0, 0
	if d.mirror != nil && d.mirror.leader != "" {
		return nil
	}
	if d.core, err = NewCore(cfg, d.ends.record); err != nil {
		return err
	}
	d.elect()
	return nil
}

// overdue tells whether the reign is over by the clock, whether or not that was told.
// Then a leader is not answered: in a strict area each answer is the hub's vote, which
// is the next owner's to give (§8.10). He says all that he says again.
func (d *desk) overdue() bool {
	n := d.nodes
	return n != nil && n.own && d.s.clock() >= n.until
}

// bound tells a core until when this node has the area.
func (d *desk) bound() {
	if d.nodes != nil && d.core != nil {
		d.core.Step(Reign{Until: d.nodes.until}, d.s.clock())
	}
}

// lose ends a reign at once. What sounds without a lease the next owner has to know, and
// what was played.
func (d *desk) lose() {
	n := d.nodes
	now := d.s.clock()
	n.post.lead = d.lead()
	n.post.lead.Live, n.post.lead.Alone = false, nil
	n.own, n.city, n.post.holds = false, newCapital(d.name), postHolds{}
	n.term = d.reignTerm()
	d.setReign(0)
	if d.core != nil {
		n.post.holds.ofOurs(d.core.Holds(now), now)
		n.post.played = d.core.havePlayed()
		d.ends.counts = d.ends.counts.plus(d.core.Counts())
	}
	if d.mirror != nil {
		d.ends.mirrors = d.ends.mirrors.plus(d.mirror.counts)
		d.copyLed()
	}
	d.core, d.mirror, d.queue = nil, nil, nil
	d.ends.n++
	d.asked, d.written, d.term = 0, 0, 0
	d.watcher.shown(area.Busy{State: area.Settling})
	n.post.owner, n.post.life, n.post.heard, n.post.term = "", "", 0, max(n.post.term, n.term)
	n.post.works.anew()
	if b, has := d.shown(); has {
		n.post.shown, n.post.rev = b, b.Rev
	}
	d.returned()
}

// giveUp ends the reign in order, once the last record is durable, so that another
// node need not wait for it to run out.
func (d *desk) giveUp() {
	n := d.nodes
	if n == nil || !n.own {
		return
	}
	box := d.box
	d.s.cfg.Nodes.Reigns.GiveUp(d.name, func(err error) { box.put(gaveUp{err}) })
	end := time.NewTimer(closing)
	defer end.Stop()
	for {
		select {
		case <-box.wake:
		case <-end.C:
			d.s.log.Warn("area not given up in time", "area", d.name)
			return
		}
		for _, ev := range box.take(nil) {
			if _, ok := ev.(gaveUp); ok {
				return
			}
		}
	}
}

// leaveNodes leaves a removed area to the other nodes.
func (d *desk) leaveNodes() {
	if d.nodes != nil {
		d.nodes.own = false
		d.setReign(0)
		d.s.cfg.Nodes.Reigns.Drop(d.name)
	}
}

func (d *desk) setReign(term uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reign = term
	if term == 0 {
		d.leader = ""
	}
}

// silent tells whether no node is known that has the area.
func (d *desk) silent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes != nil && !d.served
}

// own tells whether this node has the area.
func (d *desk) own() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes == nil || d.reign != 0
}
