package arbiter

import (
	"bytes"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// remember writes down on this node's own disk how far the terms have come, when
// another node has the area. Its record is in the ledger; ours is old.
func (d *desk) remember(s reign.State) {
	n := d.nodes
	if s.Owner == "" || s.Term <= n.local {
		return
	}
	n.local = s.Term
	d.rememberHere()
}

// rememberHolds writes them down too, where others than before have the area without
// a lease: the ledger may forget it before this node is asked.
func (d *desk) rememberHolds() {
	n := d.nodes
	var names []area.DeviceID
	for _, h := range n.post.holds.known {
		names = append(names, h.Device)
	}
	if slices.Equal(names, n.kept) || n.local == 0 {
		return
	}
	n.kept = names
	d.rememberHere()
}

func (d *desk) rememberHere() {
	d.mu.Lock()
	cfg := d.set.filled()
	d.mu.Unlock()
	r := record{Term: d.nodes.local, AliveMs: cfg.alive().Milliseconds()}
	for _, h := range d.nodes.post.holds.all(d.s.clock()) {
		r.Holds = append(r.Holds, recordOf(h))
	}
	r.Works = d.nodes.post.played.records()
	d.ends.record = r.encode()
	d.commitHere(d.ends.record, nil)
}

// commitShared writes the record to the ledger of all nodes, if the area is still
// this one's, and a copy of it to its own disk. The first of a term counts when both
// have it: after the loss of the ledger no term may come again.
func (d *desk) commitShared(rec []byte, done func(error)) {
	n := d.nodes
	term := d.reignTerm()
	d.ends.record = rec
	if !n.own { // the ledger has nothing of what a node grants by itself
		n.local = max(n.local, term)
		d.commitHere(rec, done)
		return
	}
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
	if d.copyLed() {
		d.wire("", word{Mirror: &d.nodes.post.led})
	}
}

// copyLed takes a copy of what the mirror knows of the area's leader, for when the
// ledger forgets it: a hub that does not know its leader might grant where the votes
// that it has given him still count (§8.10). It answers whether it is another one than
// before.
func (d *desk) copyLed() (changed bool) {
	d.nodes.post.led = d.mirror.gist()
	return d.rememberLed()
}

// rememberLed writes the newest copy to this node's own disk.
func (d *desk) rememberLed() (changed bool) {
	n, s, name := d.nodes, d.s, d.name
	if bytes.Equal(n.post.led, n.lead) || s.cfg.Leaders == nil {
		return false
	}
	n.lead = n.post.led
	done := func(err error) {
		if err != nil {
			s.log.Error("copy of a leader's record is not durable", "area", name, "err", err)
		}
	}
	if len(n.lead) == 0 {
		s.cfg.Leaders.DeleteAsync(string(name), done)
	} else {
		s.cfg.Leaders.PutAsync(string(name), n.lead, done)
	}
	return true
}

// ledOf is what a reign that begins has to know of the area's leader: what the ledger
// has, or our copy, where that is of a later term than all that the ledger knows.
func (d *desk) ledOf(s reign.State) []byte {
	own, err := parseLed(d.nodes.post.led)
	if err != nil || own.Leader == "" {
		return s.Led
	}
	led, errLed := parseLed(s.Led)
	core, errCore := parseRecord(s.Core)
	if errLed != nil || errCore != nil || own.Term <= max(led.Term, core.Term) {
		return s.Led
	}
	d.s.log.Warn("ledger has forgotten who leads an area, this node has not", "area", d.name, "device", own.Leader, "lease", own.Term)
	d.s.cfg.Nodes.Reigns.Commit(d.name, reign.Commit{Led: d.nodes.post.led}, func(error) {})
	return d.nodes.post.led
}
