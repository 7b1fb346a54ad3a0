package arbiter

import "github.com/tacet-hub/tacet/broker/area"

// asks takes in what another node says to the one that has the area.
func (d *desk) asks(ev told, reporter Reporter) {
	w := ev.word
	switch {
	case w.Owner:
		d.wasPlayed(w, reporter)
		d.s.log.Debug("another node says that it has our area", "area", d.name, "node", ev.from)
	case w.Join != nil:
		d.joined(ev.from, w, reporter)
	case w.Raw != nil:
		d.rawFrom(w.Raw, reporter)
	case w.Say != nil:
		d.saidFrom(ev.from, w.Say, reporter)
	}
}

// wasPlayed takes in the late word of an owner before us that a work was played.
func (d *desk) wasPlayed(w word, reporter Reporter) {
	if t := w.Say; w.Owner && t != nil && t.Op == area.TrunkReport && t.Report.State == area.OrderPlayed {
		d.stepOwn(Ended{Report: t.Report.Report(d.name)}, reporter)
	}
}

// joined answers an outpost, with the state where it shows another. One that has heard
// of a later reign would not hear of ours: it has to become the later one.
func (d *desk) joined(from string, w word, reporter Reporter) {
	j := w.Join
	if b, _ := d.shown(); j.Term > max(d.reignTerm(), b.Term) {
		d.stepOwn(HeardTerm{Term: j.Term}, reporter)
	}
	if w.Term >= d.nodes.first { // what was said to an earlier reign is said again
		if holds := d.nodes.city.inherits(from, w); len(holds) > 0 {
			d.stepOwn(Inherit{Holds: holds}, reporter)
		}
	}
	for _, r := range j.Played {
		d.stepOwn(Ended{Report: r.Report(d.name)}, reporter)
	}
	lead := d.lead()
	answer := word{Joined: true, Lead: &lead, Mirror: &d.nodes.post.led}
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
			_, member := d.s.cfg.Members.Member(d.name, m.Device) // the other node may not have heard of a change
			d.stepOwn(up{device: m.Device, member: member, msg: msg}, reporter)
		}
	default:
		if d.mirror != nil {
			d.stepOwn(command{area.Message{Topic: m.Topic, Payload: m.Payload}}, reporter)
		}
	}
}

// saidFrom takes in a word of an outpost. A work that was handed to an earlier reign may
// have had its end since, which the node that has it would not say again: it hands on
// anew what has none.
func (d *desk) saidFrom(from string, t *area.Trunk, reporter Reporter) {
	if t.Op == area.TrunkSubmit {
		if t.Term < d.nodes.first {
			return
		}
		d.acts([]Action{d.nodes.city.submitted(from, t)}, reporter)
		if end := d.nodes.city.ended(t.Handed.Work, d.s.clock()); end != nil {
			d.acts([]Action{end}, reporter)
			return
		}
	}
	if t.Op == area.TrunkStored {
		d.nodes.city.stored(t.Work)
	}
	if ev := eventOf(t, d.name, d.s.clock(), d.s.now()); ev != nil {
		d.stepOwn(ev, reporter)
	}
}
