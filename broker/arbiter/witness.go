package arbiter

import (
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// Witness keeps the record of who had the area and what sounded; package proof has
// one. Note must not block.
type Witness interface {
	Note(a area.Name, r proof.Record)
}

// watcher tells the witness what a desk sees. It looks on: nothing that the core
// does depends on it.
type watcher struct {
	to        Witness // nil: nobody keeps a record
	name      area.Name
	holder    proof.Record // its grant; no token: nobody holds the area
	intruders map[area.DeviceID]bool
	sounded   proof.Record // the newest report, which is repeated until it is answered
	conflict  proof.Record // same
	clocks    map[area.DeviceID]clock
}

// clock is how far the desk's clock was ahead of that of a start of a device, in ms,
// by the quickest of its messages.
type clock struct {
	boot  uint64
	ahead int64
}

// mostClocks bounds what is known of clocks; with more all are forgotten, and a
// report is as good as the message that brought it.
const mostClocks = 1024

// late is by how much a message of a device took longer than its quickest, in ms.
func (w *watcher) late(d area.DeviceID, boot uint64, at int64, now area.Instant) int64 {
	ahead := now.Sub(0).Milliseconds() - at
	if c, ok := w.clocks[d]; ok && c.boot == boot && c.ahead <= ahead {
		return ahead - c.ahead
	}
	if w.clocks == nil || len(w.clocks) >= mostClocks {
		w.clocks = map[area.DeviceID]clock{}
	}
	w.clocks[d] = clock{boot, ahead}
	return 0
}

// heard tells of a device's own report, and compares clocks at each want: a report
// may come by a connection that was dead for a while.
func (w *watcher) heard(ev Heard, now area.Instant) {
	c := ev.Claim
	if w.to != nil && c.At != 0 {
		w.late(ev.Device, c.Boot, c.At, now)
	}
	if w.to == nil || c.Op != area.OpDone || c.Sound == nil || c.Token == 0 {
		return
	}
	r := proof.Record{Is: proof.Sounded, Device: ev.Device, Token: c.Token, Work: c.Work, Boot: c.Boot,
		At: c.Sound.AtMs, Late: w.late(ev.Device, c.Boot, c.Sound.AtMs, now), First: c.Sound.FirstMs, Last: c.Sound.LastMs, Result: c.Result}
	if w.sounded.Device == r.Device && w.sounded.Token == r.Token {
		return
	}
	w.sounded = r
	w.to.Note(w.name, r)
}

// shown tells of what has changed in the public state. It comes before the grant is
// sent.
func (w *watcher) shown(b area.Busy) {
	if w.to == nil {
		return
	}
	now := proof.Record{Is: proof.Granted}
	if b.State == area.Held && b.Holder != nil && b.Token != nil {
		now.Device, now.Token = *b.Holder, *b.Token
		if b.Work != nil {
			now.Work = *b.Work
		}
	}
	if now.Token != w.holder.Token || now.Device != w.holder.Device {
		if w.holder.Device != "" {
			w.to.Note(w.name, proof.Record{Is: proof.Freed, Device: w.holder.Device, Token: w.holder.Token, Work: w.holder.Work})
		}
		if now.Device != "" {
			w.to.Note(w.name, now)
		}
		w.holder = now
	}
	w.intrude(b.Intruders)
}

// barged tells of a grant beside a device that may sound still.
func (w *watcher) barged(a Barged) {
	w.note(proof.Record{Is: proof.Barge, Device: a.Device, Over: a.Over, Token: a.Token, Work: a.Work})
}

func (w *watcher) note(r proof.Record) {
	if w.to != nil {
		w.to.Note(w.name, r)
	}
}

func (w *watcher) intrude(list []area.DeviceID) {
	is := make(map[area.DeviceID]bool, len(list))
	for _, d := range list {
		is[d] = true
		if !w.intruders[d] {
			w.to.Note(w.name, proof.Record{Is: proof.Intruder, Device: d})
		}
	}
	for d := range w.intruders {
		if !is[d] {
			w.to.Note(w.name, proof.Record{Is: proof.Left, Device: d})
		}
	}
	w.intruders = is
}

// said tells of a device that plays without a right: it is revoked as stale.
func (w *watcher) said(a Say) {
	if w.to == nil || a.Answer.Op != area.OpRevoke || a.Answer.Reason != area.ReasonStale {
		return
	}
	r := proof.Record{Is: proof.Conflict, Device: a.Device, Token: a.Answer.Token}
	if w.conflict != r {
		w.conflict = r
		w.to.Note(w.name, r)
	}
}
