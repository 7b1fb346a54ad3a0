package host

import (
	"encoding/json"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// What goes up. Everything here runs on the line's goroutine.

// heardLeader hears our own arbiter say by which term it arbitrates: who follows
// us may come.
func (l *line) heardLeader(m area.Message) {
	var shown area.Leader
	if err := json.Unmarshal(m.Payload, &shown); err != nil || shown.Term == 0 {
		return
	}
	if shown.Term != l.shown.Term {
		l.works.reigned(shown.Term)
		l.Ready(l.addr, l.webAt, shown.Term)
	}
	l.shown, l.at = shown, l.Clock()
}

func (l *line) heardBusy(m area.Message) {
	b, err := area.ParseBusy(m.Payload)
	if err != nil {
		return
	}
	l.busy = &b
	l.tell(area.Trunk{Op: area.TrunkBusy, Busy: &b})
}

// heardAnswer is the arbiter's word to one device.
func (l *line) heardAnswer(m area.Message) {
	d := area.ParseTopic(m.Topic).Device
	if m.Replay || !l.remote[d] {
		return
	}
	if a, err := area.ParseAnswer(m.Payload); err == nil {
		l.tell(area.Trunk{Op: area.TrunkSay, Device: d, Answer: &a})
	}
}

// heardOffer is a work that is held out to one device, or to all.
func (l *line) heardOffer(m area.Message) {
	d := area.ParseTopic(m.Topic).Device
	if m.Replay || d != "" && !l.remote[d] {
		return
	}
	if o, err := area.ParseOffer(m.Payload); err == nil {
		l.tell(area.Trunk{Op: area.TrunkOffer, Device: d, Offer: &o})
	}
}

// heardStatus is a device that is connected here.
func (l *line) heardStatus(m area.Message) {
	if m.Replay || len(m.Payload) == 0 {
		return
	}
	l.here(m)
	s, ok := l.tellStatus(m)
	if d := area.ParseTopic(m.Topic).Device; ok && s.Online && !slices.Contains(l.served, d) && len(l.came) < mostCame {
		l.came[d] = s
	}
}

func (l *line) tellStatus(m area.Message) (area.Status, bool) {
	s, err := area.ParseStatus(m.Payload)
	if err == nil {
		l.tell(area.Trunk{Op: area.TrunkStatus, Device: area.ParseTopic(m.Topic).Device, Status: &s})
	}
	return s, err == nil
}

// mostCame bounds the devices that the hub was told of and nobody has seen served yet.
// Of one more it hears by what the leader says each second when it goes at once.
const mostCame = 1000

// presence tells the hub who has come since it was told last, by what they said of
// themselves, and who has gone, and why: not each end of a connection publishes a
// will. Who went over to the hub is the hub's to know.
func (l *line) presence(now []area.DeviceID) {
	for _, d := range l.served {
		if slices.Contains(now, d) || l.remote[d] {
			continue
		}
		var why string
		if p, ok := l.roster.Player(d); ok && p.Reason != nil {
			why = *p.Reason
		}
		l.tell(area.Trunk{Op: area.TrunkGone, Device: d, Reason: why})
	}
	for d, s := range l.came {
		why, gone := l.roster.Ended(d, s.Boot, s.Conn)
		if gone && !l.remote[d] && !slices.Contains(l.served, d) { // it came and went while nobody looked
			l.tell(area.Trunk{Op: area.TrunkGone, Device: d, Reason: why})
		}
		if gone || slices.Contains(now, d) {
			delete(l.came, d)
		}
	}
	come := func(d area.DeviceID) bool { return slices.Contains(now, d) && !slices.Contains(l.served, d) }
	if slices.ContainsFunc(now, come) {
		for _, m := range l.broker.Retained(area.StatusTopic("+"), 0) {
			if come(area.ParseTopic(m.Topic).Device) {
				l.tellStatus(m)
			}
		}
	}
	l.served = now
}

// heardPoll is our own arbiter asking for votes: a member may be at the hub.
func (l *line) heardPoll(m area.Message) {
	if p, err := area.ParsePoll(m.Payload); err == nil && !m.Replay {
		l.tell(area.Trunk{Op: area.TrunkPoll, Poll: &p})
	}
}

// here notes that a device speaks to us itself, and not through the hub any more.
func (l *line) here(m area.Message) {
	if m.Conn != 0 && !m.Will {
		delete(l.remote, area.ParseTopic(m.Topic).Device)
	}
}

// heardClaim looks for dones of works that nobody here knows: the hub may.
func (l *line) heardClaim(m area.Message) {
	if m.Replay {
		return
	}
	l.here(m)
	c, err := area.ParseClaim(m.Payload)
	if err != nil || c.Op != area.OpDone || c.Work == "" || l.hubs(c.Work) {
		return
	}
	if l.ours(c.Work) {
		return
	}
	if d := area.ParseTopic(m.Topic).Device; c.Result == area.Played { // the device is told that it need not say it again
		l.owePlayed(area.Report{Work: c.Work, Area: l.area, State: area.OrderPlayed, Device: d, Att: c.Att})
	}
	l.tell(area.Trunk{Op: area.TrunkDone, Device: area.ParseTopic(m.Topic).Device, Claim: &c})
}

// heardTele is a reading, an event or a log line.
func (l *line) heardTele(m area.Message) {
	if !m.Replay {
		l.tell(area.Trunk{Op: area.TrunkTele, Topic: m.Topic, Payload: m.Payload})
	}
}
