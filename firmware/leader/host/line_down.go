package host

import (
	"context"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
)

// What comes down. Everything here runs on the line's goroutine.

// remoteLink names the way to a device of the hub, for the roster.
func remoteLink(d area.DeviceID) string { return "trunk/" + string(d) }

func (l *line) heard(t area.Trunk) {
	l.connected()
	if t.Area != l.area || !l.up {
		return
	}
	if t.Life != l.hub { // it has been started anew, and knows nothing of us
		l.hub, l.told = t.Life, lead{}
		l.accepted.Store(false)
	}
	switch t.Op {
	case area.TrunkLed:
		l.led(t)
		return
	case area.TrunkRefused:
		l.refused(t)
		return
	}
	if !l.accepted.Load() {
		return // of an earlier reign, or not meant for who leads
	}
	switch t.Op {
	case area.TrunkHeard:
		l.comes(t, area.ViaMQTT, false)
		l.arbiter.Say(l.area, t.Device, remoteLink(t.Device), *t.Claim, t.Hold)
	case area.TrunkSet:
		l.comes(t, area.ViaDumb, false)
		l.arbiter.Set(l.area, t.Device, t.On, t.Will)
	case area.TrunkVote:
		l.arbiter.Vote(l.area, t.Device, *t.Vote)
	case area.TrunkUp:
		l.comes(t, t.Via, true)
	case area.TrunkDown:
		delete(l.remote, t.Device)
		l.roster.Lost(remoteLink(t.Device), area.PresentGoodbye)
	case area.TrunkSubmit:
		l.submitted(t)
	case area.TrunkCancel:
		l.cancel(t)
	case area.TrunkStopPlay:
		l.arbiter.StopPlay(l.area)
	case area.TrunkStored:
		l.stored(t.Work)
	case area.TrunkCommand:
		l.command(t)
	}
}

// led hears that the hub accepts us, and what it leaves behind.
func (l *line) led(t area.Trunk) {
	if t.Term > l.shown.Term {
		return // an answer to somebody else
	}
	if len(l.said) > 0 { // answers come in their order; the hub may have left some out, so this one is as old at most
		l.arbiter.Seconded(l.area, l.said[0], millis(t.SinceMs))
		l.said = l.said[1:]
	}
	if t.SettleMs > 0 || len(t.Holds) > 0 {
		l.arbiter.Inherit(l.area, t.Holds, millis(t.SettleMs))
	}
	if l.accepted.CompareAndSwap(false, true) {
		l.Log.Info("the hub knows this device as the leader", "area", l.area, "device", l.cfg.Device)
		l.whole()
	}
}

// comes notes a device of the hub. One that is connected here stays ours: what the
// hub says of it is old.
func (l *line) comes(t area.Trunk, via area.Via, told bool) {
	p, known := l.roster.Player(t.Device)
	if known && p.Presence == area.Online && (!l.remote[t.Device] || !told) {
		return
	}
	at := t.Location
	if !told && p.Presence != area.Offline && p.Location != nil {
		at = *p.Location
	}
	l.remote[t.Device] = true
	_, _, err := l.roster.Register(arbiter.Player{Device: t.Device, Area: string(l.area), Location: string(at), Via: via, Link: remoteLink(t.Device), Told: true})
	if err != nil {
		l.Log.Warn("registration refused", "device", t.Device, "area", l.area, "location", at, "err", err)
	}
}

// submitted takes a work of the hub: it is ours once it is on disk. One that is
// known is ours already.
func (l *line) submitted(t area.Trunk) {
	id := t.Handed.Work
	one, known := l.works.get(id)
	if ours := l.ours(id); ours || known {
		if ours || one.saved {
			l.tell(area.Trunk{Op: area.TrunkSubmitted, N: t.N, Work: id})
		}
		return
	}
	if l.own.knows(id) == toldAway {
		l.out.forget("away/" + string(id))
		l.own.gone(id) // it is the hub's by now, and ours as one of the hub's
	}
	if !l.works.take(handed{Area: l.area, Work: *t.Handed, N: t.N, At: l.Now().UnixMilli()}) {
		l.Log.Warn("work of the hub not taken, too many have no end", "work", id, "n", mostHub)
	}
}

// taken hands the arbiter the works that are on disk by now.
func (l *line) taken() {
	for _, one := range l.works.taken() {
		if err := l.arbiter.Hand(l.area, one.now(l.Now())); err != nil {
			l.Log.Error("work of the hub cannot be taken", "work", one.Work.Work, "err", err)
			continue
		}
		l.tell(area.Trunk{Op: area.TrunkSubmitted, N: one.N, Work: one.Work.Work})
	}
}

// stored hears that the hub has the end of a work: where it goes on here nobody is to
// play it any more.
func (l *line) stored(id area.WorkID) {
	l.works.forget(id)
	l.out.forget("end/" + string(id))
	end := area.Report{Work: id, Area: l.area, State: area.OrderPlayed}
	if o, err := l.orders.Get(id); err == nil && !o.State.Ended() {
		end.State = area.OrderCancelled
		if o.NotBefore != nil { // the arbiter may not have it yet
			l.orders.Report(end)
		}
	}
	l.arbiter.Ended(end)
	l.arbiter.Stored(l.area, id)
}

func (l *line) cancel(t area.Trunk) {
	if o, err := l.orders.Get(t.Work); err == nil && o.NotBefore != nil && l.Now().Before(o.NotBefore.Time) {
		l.orders.Report(area.Report{Work: t.Work, Area: l.area, State: area.OrderCancelled, Reason: t.Reason})
		return
	}
	if err := l.arbiter.Cancel(context.Background(), t.Work, t.Reason); err != nil { // without blocking
		l.Log.Debug("nothing to take back", "work", t.Work, "err", err)
	}
}

// command hands on what the hub has for a device that is connected here: what an
// operator asks of it, and the roster document.
func (l *line) command(t area.Trunk) {
	if k := area.ParseTopic(t.Topic).Kind; k != area.KindCommand && k != area.KindPeers {
		return
	}
	m := area.Message{Topic: t.Topic, Payload: t.Payload, QoS: 1, From: fromTrunk}
	if err := l.broker.Publish(context.Background(), m); err != nil {
		l.Log.Warn("command not handed on", "topic", t.Topic, "err", err)
	}
}
