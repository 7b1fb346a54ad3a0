package arbiter

import (
	"encoding/json"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// tellLead has the area show who arbitrates it, at every node.
func (d *desk) tellLead() {
	l := d.lead()
	if l.Term == 0 {
		return
	}
	d.s.roster.ShowLead(d.name, l)
	if d.nodes != nil && d.nodes.own && !d.told.Same(l) {
		d.told = l
		d.wire("", word{Lead: &l})
	}
}

func (d *desk) lead() area.Lead {
	n := d.nodes
	if n != nil && !n.own && !n.alone.here() {
		return n.post.leads()
	}
	l := area.Lead{Mode: d.s.cfg.Mode, Host: d.s.cfg.Node, Addr: d.s.cfg.Addr, Web: d.s.cfg.Web, Live: true, Since: d.since}
	if d.core != nil {
		l.Term = d.core.Term()
	}
	if n != nil && n.alone.here() {
		l.Alone = d.since
	}
	if d.mirror == nil {
		return l
	}
	if m := d.mirror; m.leader != "" {
		l = area.Lead{Mode: area.LeaderLocal, Host: string(m.leader), Addr: m.addr.Addr, Web: m.addr.Web, Term: m.term, Live: m.live(), Owes: m.owes}
		if m.life != "" {
			l.Since = d.ago(m.since)
		}
	}
	l.Split = d.mirror.split.shown()
	return l
}

// begun notes that the core begins.
func (d *desk) begun() {
	at := area.At(d.s.now())
	d.since = &at
}

// ago is a moment of the clock by that of the wall, in whole seconds: the one may
// have been set since.
func (d *desk) ago(at area.Instant) *area.Time {
	t := area.At(d.s.now().Add(-d.s.clock().Sub(at)).Round(time.Second))
	return &t
}

// shown is a split as the area shows it; nil: none.
func (p *parted) shown() *area.Split {
	if p == nil {
		return nil
	}
	s := &area.Split{At: area.At(time.UnixMilli(p.AtMs)), Leader: p.Leader, Term: p.Term, Own: p.Own}
	if p.OverMs != 0 {
		over := area.At(time.UnixMilli(p.OverMs))
		s.Over = &over
	}
	return s
}

// seenHere is the payload of a message as this node's devices need it: where a hub
// has the area, its listeners are those of the node that they are connected to.
func (d *desk) seenHere(m posted) []byte {
	if area.ParseTopic(m.Topic).Kind != area.KindLeader {
		return m.Payload
	}
	var l area.Leader
	if err := json.Unmarshal(m.Payload, &l); err != nil || l.Mode != area.LeaderHub {
		return m.Payload
	}
	l.Addr, l.Web = d.s.cfg.Addr, d.s.cfg.Web
	return l.Encode()
}
