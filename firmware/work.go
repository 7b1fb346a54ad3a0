package firmware

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// taking is a work that the device takes, or is about to.
type taking struct {
	offer area.Offer
	due   area.Instant // when it is taken
	all   bool         // it is held out to the whole area
	said  bool         // it was taken; the hub has not answered yet
}

// item is a work that is the device's to do.
type item struct {
	work  area.WorkID
	att   int
	prio  area.Priority
	body  area.Body
	done  bool         // it was played already, says the journal; or its clip was brought
	all   bool         // it was held out to the whole area
	sound []byte       // nil: not rendered yet
	until area.Instant // given up if it has to wait for longer; 0: never
	over  area.Instant // of a work: nobody may play it any more; 0: never
	aside area.Instant // set aside, and wanted again then; 0: it is not

	ctx    context.Context // of what is done for its sound
	cancel context.CancelFunc
}

// rendered is the sound of a work, or why there is none.
type rendered struct {
	item   *item
	sound  []byte
	err    error
	reason string // of err, as an order's end has it; empty: device_error
	loaded bool   // there is none: a download is done
}

// offered hears a work being held out.
func (a *Agent) offered(m area.Message) {
	if m.Replay || a.leaving {
		return
	}
	o, err := area.ParseOffer(m.Payload)
	if err != nil {
		a.Log.Warn("offer not understood", "topic", m.Topic, "err", err)
		return
	}
	a.count.offers.Add(1)
	if m.Topic == area.AreaWorkTopic(a.area) {
		a.accompany(o)
	}
	switch {
	case a.has(o):
	case a.cfg.Start.Safe:
		a.count.unfit.Add(1)
		a.warnOnce("safe", "works are not taken in safe mode", "work", o.Work)
	case !a.able(o.Body):
		a.count.unfit.Add(1)
		a.warnOnce("unfit "+o.Body.Kind, "a work has neither text nor clip that can be played here", "work", o.Work)
	case m.Topic == area.AreaWorkTopic(a.area) && a.output() == noOutput && !loads(o.Body): // it is held out again, also when a neighbour has room
		a.count.unfit.Add(1)
		a.warnOnce("silent", "works of the area are left to others, nothing to sound by works", "work", o.Work)
	case a.full(o.Prio):
		a.count.full.Add(1)
	default:
		t := &taking{offer: o, due: a.now(), all: m.Topic == area.AreaWorkTopic(a.area)}
		if t.all { // others are asked too
			t.due = t.due.Add(perWaiting*time.Duration(len(a.queue)+len(a.offers)) + rand.N(takeJitter))
			if a.shared.muted.Load() && o.Prio < area.Emergency {
				t.due = t.due.Add(mutedWait)
			}
			if o.Work == a.declined {
				t.due = t.due.Add(declinedWait)
			}
		}
		a.offers[o.Work] = t
		a.takeDue(a.now())
	}
}

// has tells whether the work is here already. A queued one that is offered in a
// newer attempt is no longer ours: it is taken like any other.
func (a *Agent) has(o area.Offer) bool {
	if a.offers[o.Work] != nil || a.current != nil && a.current.work == o.Work {
		return true
	}
	i := slices.IndexFunc(a.queue, func(i *item) bool { return i.work == o.Work })
	if i < 0 {
		return false
	}
	if o.Att <= a.queue[i].att && a.queue[i].aside == 0 {
		return true
	}
	a.forget(a.queue[i])
	return false
}

// full tells whether there is no room for one more work.
func (a *Agent) full(p area.Priority) bool {
	room := a.cfg.Queue + 1 // and one that plays
	if p >= area.Emergency {
		room *= 2
	}
	return len(a.queue)-a.asides()+len(a.offers) >= min(room, mostTaken)
}

// takeDue takes the offers whose time has come.
func (a *Agent) takeDue(now area.Instant) {
	for _, o := range a.offers {
		if !o.said && now >= o.due {
			o.said = true
			a.count.takes.Add(1)
			a.step(turn.Take{Work: o.offer.Work, Att: o.offer.Att})
		}
	}
}

// assigned puts a work into the queue, and has its sound made.
func (a *Agent) assigned(act turn.Assigned) {
	o := a.offers[act.Work]
	delete(a.offers, act.Work)
	if at := slices.IndexFunc(a.queue, func(i *item) bool { return i.work == act.Work && i.att == act.Att }); o == nil && at >= 0 {
		a.queue[at].aside = 0
		return // it still is
	}
	if o == nil { // we are leaving
		a.count.declined.Add(1)
		a.step(turn.Decline{Work: act.Work, Att: act.Att})
		return
	}
	i := &item{work: act.Work, att: act.Att, prio: act.Prio, body: o.offer.Body, done: a.Memory.Played(act.Work), all: o.all}
	if o.offer.TTL > 0 {
		i.over = a.now().Add(o.offer.TTL)
	}
	a.queue = append(a.queue, i)
	a.Log.Info("assigned", "work", i.work, "n", i.att)
	if i.done {
		return
	}
	if a.output() == noOutput && !loads(i.body) {
		a.decline(i, "")
		return
	}
	a.prepare(i, o.offer.TTL)
}

// refused forgets a take; where it was the present wish, free follows.
func (a *Agent) refused(act turn.Refused) {
	delete(a.offers, act.Work)
	if act.Reason != area.ReasonUnknownWork || !a.setAside(act.Work) {
		a.takenBack(act.Work)
	}
	a.Log.Debug("refused", "work", act.Work, "err", act.Reason)
}

// decline gives an assigned work back, for a reason of an order's end; empty:
// device_error.
func (a *Agent) decline(i *item, reason string) {
	a.count.declined.Add(1)
	a.declined = i.work
	a.forget(i)
	if i.work != "" {
		a.step(turn.Decline{Work: i.work, Att: i.att, Reason: reason})
	}
}

func (a *Agent) forget(i *item) {
	i.giveUp()
	a.queue = slices.DeleteFunc(a.queue, func(q *item) bool { return q == i })
}

// render makes sounds until the agent ends; two goroutines do.
func (a *Agent) render() {
	for {
		select {
		case j := <-a.toMake:
			s, err := a.soundOf(j)
			a.tell(rendered{item: j.item, sound: s, err: err})
		case <-a.renderer.Done():
			return
		}
	}
}

// soundOf makes the sound of a work.
func (a *Agent) soundOf(j job) ([]byte, error) {
	defer j.close()
	var clip io.ReadSeeker
	if j.clip != nil {
		clip = j.clip
	}
	s, err := a.Renderer.Render(a.renderer, j.item.body, clip)
	if err == nil && (len(s) < 2 || a.cfg.length(len(s)) > longest) {
		err = errors.New("no sound, or too much of it")
	}
	return s, err
}

// soundMade takes the sound of a work, or gives the work back.
func (a *Agent) soundMade(r rendered) {
	if !slices.Contains(a.queue, r.item) {
		return
	}
	if r.err != nil {
		a.fault(r.part(), r.err)
		a.Log.Error("sound not made", "work", r.item.work, "err", r.err)
		a.decline(r.item, r.reason)
		return
	}
	a.fault(partClip, nil)
	if r.loaded {
		r.item.done = true
		a.count.loaded.Add(1)
		return
	}
	a.fault(partRender, nil)
	r.item.sound = r.sound
}

// next wishes for the first work of the queue whose sound is there, when there
// is no other wish; an emergency whose sound is still being made holds up the
// others. It tells whether it did.
func (a *Agent) next() bool {
	if a.leaving || a.play != nil || a.current != nil || a.turn.Phase() != turn.Idle || len(a.queue) == 0 {
		return false
	}
	first := a.first()
	if first == nil {
		return false
	}
	a.current = first
	a.step(turn.Wish{Work: first.work, Att: first.att, Prio: first.prio, Dur: a.cfg.length(len(first.sound))})
	if first.done {
		a.step(turn.Withdraw{Result: area.Played})
	}
	return true
}

// first is the most urgent work of the queue that can be played; nil: none.
func (a *Agent) first() (first *item) {
	for _, i := range a.queue {
		if i.made() && i.aside == 0 && (first == nil || i.prio.Class() > first.prio.Class()) {
			first = i
		}
	}
	held := slices.ContainsFunc(a.queue, func(i *item) bool {
		return !i.made() && i.aside == 0 && !loads(i.body) && i.prio.Class() >= area.Emergency
	})
	if held && first != nil && first.prio.Class() < area.Emergency {
		return nil
	}
	return first
}

// free ends the present wish: the hub knows what became of it.
func (a *Agent) free(act turn.Free) {
	if act.Result == area.Played && a.current != nil && loads(a.current.body) {
		a.Log.Debug("the hub knows that it was brought", "work", act.Work)
	} else if act.Result == area.Played {
		a.Log.Info("played", "work", act.Work)
	} else if a.current != nil && a.current.aside != 0 {
		a.Log.Info("set aside, whoever has the area does not know the order", "work", a.current.work)
	} else {
		a.Log.Info("not played to the end", "work", act.Work, "err", string(act.Result))
	}
	if a.current == nil {
		return
	}
	if a.current.aside != 0 {
		a.current = nil
		return
	}
	switch repeated := a.current.done; {
	case repeated && loads(a.current.body): // it was counted when it was done
	case repeated:
		a.count.repeated.Add(1)
	case act.Result == area.Played:
		a.count.played.Add(1)
	case act.Result == area.Failed:
		a.count.failed.Add(1)
	case act.Result == area.Preempted:
		a.count.preempted.Add(1)
	default:
		a.count.stopped.Add(1)
	}
	a.forget(a.current)
	a.current = nil
}
