package arbiter

import (
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// perNode tells whether this node may go on with the area by itself. One that a device
// leads is left to that, and a strict one sounds by its majority alone.
func (d *desk) perNode() bool {
	a, ok := d.s.roster.Settings(d.name)
	return ok && a.PerNode && a.Mode != area.ModeStrict && d.nodes.post.lead.Mode != area.LeaderLocal && len(d.nodes.post.led) == 0
}

// perNodeNow tells whether this node goes on with the area by itself.
func (d *desk) perNodeNow() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.apart
}

// attend parts from the other nodes, and joins them again, when that is due.
func (d *desk) attend(reporter Reporter) {
	n := d.nodes
	may := (n.alone.dark != 0 || n.alone.here()) && d.perNode()
	switch n.alone.next(may, d.core != nil && d.core.lends(), n.post.heard, d.life(), d.s.clock()) {
	case parts:
		d.part(reporter)
	case ends:
		d.s.log.Info("area is granted per node no longer", "area", d.name, "node", n.post.self)
		d.stepCore(Reign{Until: d.s.clock()}, reporter)
		d.attend(reporter) // nothing may be granted
	case returns:
		d.rejoin(reporter)
	}
}

// part begins to grant to this node's own devices.
func (d *desk) part(reporter Reporter) {
	n := d.nodes
	d.mu.Lock()
	cfg := d.set
	d.mu.Unlock()
	cfg.Node, cfg.Others, cfg.ColdStart = n.post.self, true, false // another arbiter than all nodes together: who comes from those is waited for
	cfg.Floor = max(cfg.Floor, n.term, n.post.term, n.post.shown.Term)
	core, err := NewCore(cfg, d.ends.record)
	if err != nil {
		n.alone.refuse()
		d.s.count.lost.Add(1)
		d.s.log.Error("area cannot be arbitrated", "area", d.name, "err", err)
		return
	}
	d.s.count.parted.Add(1)
	d.s.log.Warn("area is granted per node, its ledger is away", "area", d.name, "node", n.post.self, "dur", d.s.clock().Sub(n.alone.dark))
	d.core, d.ends.n, d.asked, d.written = core, d.ends.n+1, 0, 0
	core.Step(Reign{Until: area.Never}, d.s.clock())
	d.begun()
	d.takeOn(reporter)
	d.rise()
}

// rise notes a term of ours that is not known yet: to the ledger, whose next reign is
// to be above it, and in the record.
func (d *desk) rise() {
	n := d.nodes
	if n.alone.stage != apart || d.core == nil || d.core.Term() <= n.alone.term {
		return
	}
	n.alone.term = d.core.Term()
	d.mu.Lock()
	cfg := d.set
	d.mu.Unlock()
	d.refollow(cfg, n.alone.term)
	d.watcher.note(proof.Record{Is: proof.PerNode, Node: n.post.self, Own: n.alone.term})
}

// rejoin makes the area the other nodes' as well, once nothing that was granted here
// is left.
func (d *desk) rejoin(reporter Reporter) {
	d.lose()
	last := d.nodes.alone.last
	d.remember(last)
	d.stepPost(reigned{last}, reporter)
}

// returned notes that this node is one of the others again, where it was not.
func (d *desk) returned() {
	a := &d.nodes.alone
	if !a.here() && a.term == 0 {
		return
	}
	a.stage, a.term = together, 0
	d.watcher.note(proof.Record{Is: proof.Joined, Node: d.nodes.post.self})
}

// nextNodes is when a Tick is due for the sake of other nodes.
func (d *desk) nextNodes() area.Instant {
	n := d.nodes
	switch {
	case n.own:
		return n.city.next()
	case n.alone.here():
		return area.Never // the core's
	}
	next := n.post.next()
	if by := n.alone.by(n.post.heard, d.life()); by < next && d.perNode() {
		next = by
	}
	return next
}

// stepAlone moves an area that this node goes on with by itself. What another node
// was handed may be in its hands, and waits.
func (d *desk) stepAlone(ev Event, reporter Reporter) {
	n := d.nodes
	switch e := ev.(type) {
	case Submit:
		if n.post.works.elsewhere(e.Work.ID) {
			return
		}
	case Cancel:
		if n.post.works.elsewhere(e.Work) {
			n.post.works.by[e.Work].cancel = e.Reason
			return
		}
	case Configure:
		e.Config.Others = true
		ev = e
	case Stored:
		n.post.works.remove(e.Work)
	case DeviceUp:
		if nodeOfLink(d.s.roster.linkOf(e.Device)) != "" {
			ev = DeviceDown{Device: e.Device}
		}
	}
	d.stepCore(ev, reporter)
	d.rise()
}
