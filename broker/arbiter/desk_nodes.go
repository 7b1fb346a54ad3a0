package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// crossing is a desk's part in a hub of several nodes. It is the desk's goroutine's,
// but for follows.
type crossing struct {
	own   bool // this node has the area
	term  uint64
	until area.Instant
	post  outpost // while it has not; its works are always this node's
	city  capital // while it has
	local uint64  // term that is known to be on this node's disk
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
		post:  outpost{area: d.name, self: d.s.cfg.Node, hub: cfg.Node, lease: cfg.filled().Lease, works: newErrands()},
		city:  newCapital(d.name),
		local: r.Term,
	}
	d.refollow(cfg, r.Term)
	return nil
}

// refollow tells the ledger how long a reign is to outlive its last word, and the
// highest term that is known.
func (d *desk) refollow(cfg CoreConfig, term uint64) {
	if d.nodes == nil {
		return
	}
	box := d.box
	d.s.cfg.Nodes.Reigns.Follow(d.name, reignLife(cfg), term, func(s reign.State) { box.put(reigned{s}) })
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
	n := d.nodes
	switch ev := ev.(type) {
	case reigned:
		d.reigned(ev.State, reporter)
		return
	case told:
		if n.own {
			d.asks(ev, reporter)
			return
		}
	case nodesLive:
		n.city.live(ev.names)
		if n.own {
			return
		}
	case gaveUp:
		return
	case Configure:
		n.post.lease = ev.Config.filled().Lease
	case Submit:
		n.post.works.add(ev)
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
	d.stepPost(ev, reporter)
}

func (d *desk) stepPost(ev Event, reporter Reporter) {
	d.acts(slices.Clone(d.nodes.post.step(ev, d.s.clock())), reporter)
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
	}
	d.s.wire(node, w)
}

// reigned takes in the ledger's word on who has the area.
func (d *desk) reigned(s reign.State, reporter Reporter) {
	n := d.nodes
	switch {
	case s.Begun:
		if n.own {
			d.lose()
		}
		d.begin(s, reporter)
	case s.Mine && n.own:
		n.until = s.Until
		d.stepCore(Reign{Until: s.Until}, reporter)
	case s.Mine:
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
	n.own, n.term, n.until, n.city = true, s.Term, s.Until, newCapital(d.name)
	d.setOwn(true)
	if len(s.Core) > 0 {
		d.ends.record = s.Core
	}
	d.mu.Lock()
	cfg := d.set
	d.mu.Unlock()
	cfg.Floor, cfg.ColdStart = max(cfg.Floor, s.Term-1), false
	if err := d.makeArbiter(cfg, s.Led); err != nil {
		d.s.count.lost.Add(1)
		d.s.log.Error("area cannot be arbitrated", "area", d.name, "err", err)
		return
	}
	d.bound()
	d.stepOwn(Begin{}, reporter)
	for _, p := range d.s.roster.live(d.name) {
		d.stepOwn(DeviceUp{Device: p.Device, Location: p.Location, Dumb: p.Via == area.ViaDumb}, reporter)
	}
	for _, one := range slices.Clone(n.post.works.order) {
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

// bound tells a core until when this node has the area.
func (d *desk) bound() {
	if d.nodes != nil && d.core != nil {
		d.core.Step(Reign{Until: d.nodes.until}, d.s.clock())
	}
}

// lose ends a reign at once. What sounds without a lease the next owner has to know.
func (d *desk) lose() {
	n := d.nodes
	now := d.s.clock()
	n.own, n.city, n.post.left = false, newCapital(d.name), nil
	d.setOwn(false)
	if d.core != nil {
		n.post.left = timed(d.core.Holds(now), now)
		d.ends.counts = d.ends.counts.plus(d.core.Counts())
	}
	if d.mirror != nil {
		d.ends.mirrors = d.ends.mirrors.plus(d.mirror.counts)
	}
	d.core, d.mirror, d.queue = nil, nil, nil
	d.ends.n++
	d.asked, d.written, d.term = 0, 0, 0
	d.watcher.shown(area.Busy{State: area.Settling})
	n.post.owner, n.post.life, n.post.heard, n.post.term = "", "", 0, n.term
	n.post.works.anew()
	if b, has := d.shown(); has {
		n.post.shown, n.post.rev = b, b.Rev
	}
}

// remember writes down on this node's own disk how far the terms have come, when
// another node has the area. Its record is in the ledger; ours is old.
func (d *desk) remember(s reign.State) {
	n := d.nodes
	if s.Owner == "" || s.Term <= n.local {
		return
	}
	n.local = s.Term
	d.mu.Lock()
	cfg := d.set.filled()
	d.mu.Unlock()
	d.ends.record = record{Term: s.Term, AliveMs: cfg.alive().Milliseconds()}.encode()
	d.commitHere(d.ends.record, nil)
}

// commitShared writes the record to the ledger of all nodes, if the area is still
// this one's, and a copy of it to its own disk. The first of a term counts when both
// have it: after the loss of the ledger no term may come again.
func (d *desk) commitShared(rec []byte, done func(error)) {
	n := d.nodes
	term := d.reignTerm()
	d.ends.record = rec
	if term > n.local {
		n.local = term
		reigns, name := d.s.cfg.Nodes.Reigns, d.name
		d.commitHere(rec, func(err error) {
			if err != nil {
				done(err)
				return
			}
			reigns.Commit(name, reign.Commit{Core: rec, Term: term}, done)
		})
		return
	}
	d.commitHere(rec, nil)
	d.s.cfg.Nodes.Reigns.Commit(d.name, reign.Commit{Core: rec, Term: term}, done)
}

// commitHere writes a record to this node's own disk.
func (d *desk) commitHere(rec []byte, done func(error)) {
	s, name := d.s, d.name
	s.ledger.Commit(name, rec, func(err error) {
		if err != nil {
			s.log.Error("copy of a record is not durable", "area", name, "err", err)
		}
		if done != nil {
			done(err)
		}
	})
}

// reignTerm is the highest term of the reign: the ledger has it too, and no word of
// a later one has a lower.
func (d *desk) reignTerm() uint64 {
	if d.core != nil {
		d.nodes.term = max(d.nodes.term, d.core.Term())
	}
	return d.nodes.term
}

// keepShared writes what is known of the area's leader to the ledger of all nodes.
func (d *desk) keepShared(rec []byte, done func(error)) {
	if rec == nil {
		rec = []byte{}
	}
	d.s.cfg.Nodes.Reigns.Commit(d.name, reign.Commit{Led: rec}, done)
}

// asks takes in what another node says to the one that has the area.
func (d *desk) asks(ev told, reporter Reporter) {
	w := ev.word
	switch {
	case w.Owner:
		d.s.log.Debug("another node says that it has our area", "area", d.name, "node", ev.from)
	case w.Join != nil:
		d.joined(ev.from, w.Join, reporter)
	case w.Raw != nil:
		d.rawFrom(w.Raw, reporter)
	case w.Say != nil:
		d.saidFrom(ev.from, w.Say, reporter)
	}
}

// joined answers an outpost, with the state where it shows another.
func (d *desk) joined(from string, j *join, reporter Reporter) {
	if len(j.Holds) > 0 {
		d.stepOwn(Inherit{Holds: j.Holds}, reporter)
	}
	answer := word{Joined: true}
	if b, has := d.shown(); has && (b.Term != j.Term || b.Rev != j.Rev) {
		if d.core != nil {
			answer.Out = append(answer.Out, posted{Topic: area.LeaderTopic(d.name), Payload: d.ourself(b).Encode(), QoS: 1, Retain: true})
		} else if d.mirror != nil {
			answer.Out = append(answer.Out, posted{Topic: area.LeaderTopic(d.name), Payload: d.mirror.addr.Encode(), QoS: 1, Retain: true})
		}
		answer.Out = append(answer.Out, posted{Topic: area.BusyTopic(d.name), Payload: b.Encode(), QoS: 1, Retain: true})
	}
	d.wire(from, answer)
}

// rawFrom takes in a message of an outpost's broker.
func (d *desk) rawFrom(m *rawMessage, reporter Reporter) {
	t := area.ParseTopic(m.Topic)
	switch t.Kind {
	case area.KindVote:
		if v, err := area.ParseVote(m.Payload); err == nil {
			d.stepOwn(Voted{Device: t.Device, Vote: v}, reporter)
		}
	case area.KindTrunkUp:
		if msg, err := area.ParseTrunk(m.Payload); err == nil && d.mirror != nil {
			d.stepOwn(up{device: m.Device, member: m.Member, msg: msg}, reporter)
		}
	default:
		if d.mirror != nil {
			d.stepOwn(command{area.Message{Topic: m.Topic, Payload: m.Payload}}, reporter)
		}
	}
}

func (d *desk) saidFrom(from string, t *area.Trunk, reporter Reporter) {
	if t.Op == area.TrunkSubmit {
		d.acts([]Action{d.nodes.city.submitted(from, t)}, reporter)
	}
	if t.Op == area.TrunkStored {
		d.nodes.city.stored(t.Work)
	}
	if ev := eventOf(t, d.name, d.s.clock(), d.s.now()); ev != nil {
		d.stepOwn(ev, reporter)
	}
}

// report hands what became of a work to the node that accepted it.
func (d *desk) report(r area.Report, reporter Reporter) {
	if n := d.nodes; n != nil {
		if a := n.city.report(r, d.s.clock()); n.own && a != nil {
			d.acts([]Action{a}, reporter)
			return
		}
		n.post.works.note(r)
	}
	reporter.Report(r)
}

// speak publishes what the owner's arbiter says.
func (d *desk) speak(list []posted) {
	for _, m := range list {
		from := m.From
		if from == "" {
			from = area.FromNode + ":" + d.nodes.post.owner
		}
		d.out = append(d.out, area.Message{Topic: m.Topic, Payload: d.seenHere(m), QoS: m.QoS, Retain: m.Retain, From: from})
	}
}

// spread sends what was just published to the other nodes, as one word where it fits:
// a state and the grant that it tells of stay together (§8.19).
func (d *desk) spread() {
	if d.nodes == nil || !d.nodes.own {
		return
	}
	var list []posted
	size := 0
	for _, m := range d.out {
		if area.ParseTopic(m.Topic).Kind == area.KindFlag { // it follows from the state
			continue
		}
		if size += len(m.Payload); size > maxSpread && len(list) > 0 {
			d.wire("", word{Out: list})
			list, size = nil, len(m.Payload)
		}
		p := posted{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain}
		if m.From != area.FromArbiter {
			p.From = m.From
		}
		list = append(list, p)
	}
	if len(list) > 0 {
		d.wire("", word{Out: list})
	}
}

// cut has the node that a deaf device is connected to close its connection.
func (d *desk) cut(device area.DeviceID) {
	if d.nodes == nil {
		return
	}
	if node := nodeOfLink(d.s.roster.linkOf(device)); node != "" {
		d.wire(node, word{Cut: device})
	}
}

// ofLeader notes which devices of a leader are live, once what was gathered is
// published: here, and at the other nodes.
func (d *desk) ofLeader(l ledDevices) {
	if l.Lost {
		d.s.roster.led(l)
	} else {
		d.after(func() { d.s.roster.led(l) })
	}
	if d.nodes != nil {
		d.after(func() { d.wire("", word{Led: &l}) })
	}
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
		d.setOwn(false)
		d.s.cfg.Nodes.Reigns.Drop(d.name)
	}
}

// next is when a Tick is due for the sake of other nodes.
func (n *crossing) next() area.Instant {
	if n.own {
		return n.city.next()
	}
	return n.post.next()
}

func (d *desk) setOwn(own bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owned = own
	if !own {
		d.leader = ""
	}
}

// own tells whether this node has the area.
func (d *desk) own() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes == nil || d.owned
}
