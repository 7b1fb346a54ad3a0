package arbiter

import (
	"github.com/tacet-hub/tacet/broker/area"
)

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

// speak publishes what the owner's arbiter says. What a device of a leader says of
// itself the broker has from the owner's.
func (d *desk) speak(list []posted) {
	if d.mute() {
		return // he has said it to all
	}
	for _, m := range list {
		if m.From != "" {
			d.s.heardStatus(area.Message{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, From: m.From})
			continue
		}
		d.out = append(d.out, area.Message{Topic: m.Topic, Payload: d.seenHere(m), QoS: m.QoS, Retain: m.Retain, From: area.FromNode + ":" + d.nodes.post.owner})
	}
}

// spread sends what was just published to the other nodes, as one word where it fits:
// a state and the grant that it tells of stay together (§8.19). What devices of a leader
// say goes from broker to broker; of that only who they are is said here.
func (d *desk) spread() {
	if d.nodes == nil || !d.nodes.own {
		return
	}
	var list []posted
	size := 0
	for _, m := range d.out {
		kind := area.ParseTopic(m.Topic).Kind
		if kind == area.KindFlag || m.From != area.FromArbiter && kind != area.KindStatus { // the flag follows from the state
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
