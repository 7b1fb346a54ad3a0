package firmware

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// listen subscribes what concerns the device, wherever it is.
func (a *Agent) listen() (func(), error) {
	d := a.cfg.Device
	unsubscribe, err := a.subscribe(map[string]func(area.Message){
		area.GrantTopic(d): a.answered,
		area.WorkTopic(d):  a.offered,
		area.Root + "/device/" + string(d) + "/cmd/+": a.commanded,
	})
	if err != nil {
		return nil, err
	}
	a.Uplink.Leave(a.will)
	unwatch := a.Uplink.Watch(a.linkChanged)
	return func() { unwatch(); unsubscribe() }, nil
}

// listenIn subscribes what concerns everybody in an area. What still waits in
// the inbox when the device has left the area is not heard.
func (a *Agent) listenIn(in area.Name) (cancel func(), err error) {
	while := func(heard func(area.Message)) func(area.Message) {
		return func(m area.Message) {
			if a.area == in {
				heard(m)
			}
		}
	}
	return a.subscribe(map[string]func(area.Message){
		area.AreaWorkTopic(in): while(a.offered),
		area.BusyTopic(in):     while(a.areaBusy),
		area.LeaderTopic(in):   while(a.led),
		area.PollTopic(in):     while(a.polled),
	})
}

func (a *Agent) subscribe(filters map[string]func(area.Message)) (cancel func(), err error) {
	var cancels []func()
	cancel = func() {
		for _, c := range cancels {
			c()
		}
	}
	for filter, heard := range filters {
		c, err := a.Uplink.Subscribe(filter, func(m area.Message) { a.enqueue(func() { heard(m) }) })
		if err != nil {
			cancel()
			return nil, err
		}
		cancels = append(cancels, c)
	}
	return cancel, nil
}

// enqueue has the owner do f; where there is no room f is forgotten.
func (a *Agent) enqueue(f func()) {
	select {
	case a.inbox <- f:
	default:
		a.count.dropped.Add(1)
	}
}

// linkChanged keeps the newest state of the connection for the owner.
func (a *Agent) linkChanged(up bool, conn uint64, hub string) {
	a.shared.mu.Lock()
	a.shared.link = link{up: up, conn: conn, hub: hub}
	a.shared.mu.Unlock()
	select {
	case a.links <- struct{}{}:
	default:
	}
}

// linked takes in that the connection stands or is gone. The status comes before
// the hello: it is what makes the device known.
func (a *Agent) linked() {
	a.shared.mu.Lock()
	now := a.shared.link
	a.shared.mu.Unlock()
	before := a.link
	a.link = now
	a.findWeb()
	a.read(a.now()) // the health, since it may have changed with it
	if before.up && (!now.up || now.conn != before.conn) {
		a.step(turn.Down{})
	}
	if now.up && (!before.up || now.conn != before.conn) {
		a.busy = nil
		a.status = area.Status{}
		a.show()
		a.reportStates()
		a.meet()
		a.step(turn.Up{})
	}
}

// publish sends without waiting. What cannot be sent is said again, or is of no
// use any more.
func (a *Agent) publish(m area.Message) {
	if err := a.Uplink.Publish(context.Background(), m); err != nil {
		a.Log.Debug("not sent", "topic", m.Topic, "err", err)
	}
}

// answered hears the arbiter. Retained answers are somebody's mistake, and old.
func (a *Agent) answered(m area.Message) {
	if m.Replay {
		return
	}
	ans, err := area.ParseAnswer(m.Payload)
	if err != nil {
		a.Log.Warn("answer not understood", "topic", m.Topic, "err", err)
		return
	}
	if ans.Op == area.OpRefused && (ans.Reason == area.ReasonLocationConflict || ans.Reason == area.ReasonUnknownArea) {
		a.warnOnce(ans.Reason, "the hub does not have this device where it says it is", "area", a.cfg.AreaText, "location", a.cfg.Location, "err", ans.Reason)
	}
	if a.elsewhere(ans) {
		return
	}
	a.step(turn.Heard{Answer: ans})
}

// areaBusy takes in the public state of the area: its lease sets how often the
// device speaks.
func (a *Agent) areaBusy(m area.Message) {
	b, err := area.ParseBusy(m.Payload)
	if err != nil || b.Area != a.area {
		a.Log.Warn("busy not understood", "topic", m.Topic, "err", err)
		return
	}
	if a.busy != nil && !b.Newer(*a.busy) {
		return
	}
	a.busy = &b
	l := turn.Lease{Term: b.Term}
	if b.Lease() >= shortestLease {
		l.Lease = b.Lease()
	}
	a.step(l)
}

// polled votes for the arbiter that asks, if the device stands by no other.
func (a *Agent) polled(m area.Message) {
	p, err := area.ParsePoll(m.Payload)
	if err != nil || p.Area != a.area || m.Replay {
		a.Log.Warn("poll not understood", "topic", m.Topic, "err", err)
		return
	}
	if v, ok := a.ballot.Poll(p, a.now()); ok {
		a.publish(area.Message{Topic: area.VoteTopic(a.area, a.cfg.Device), Payload: v.Encode(), QoS: 1})
	}
}

// shortestLease is the least that an area can have; less would have the device
// talk all the time.
const shortestLease = time.Second
