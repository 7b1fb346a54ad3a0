package firmware

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// mostBeside is how many downloads of others may wait here; one more is dropped,
// and counted in Stats.Unloaded: the clip comes when it is to be played.
const mostBeside = 16

// loads tells whether a work is a download: a clip is brought to the devices, and
// nothing sounds. Whoever takes it asks the hub, once for the area; the others
// have the clip of him.
func loads(b area.Body) bool { return b.Kind == area.KindDownload }

// accompany has the clip of a download brought that is held out to the area, once,
// whoever takes it.
func (a *Agent) accompany(o area.Offer) {
	if !loads(o.Body) || !a.able(o.Body) || a.cfg.Start.Safe || slices.Contains(a.heard, o.Work) {
		return
	}
	if a.heard = append(a.heard, o.Work); len(a.heard) > 2*mostBeside {
		a.heard = a.heard[1:]
	}
	if _, ok := a.Clips.(Sharer); ok && !offer(a.beside, o) {
		a.count.unloaded.Add(1)
	}
}

// loadBeside brings the clips of downloads that others do, until the agent ends.
func (a *Agent) loadBeside() {
	for {
		select {
		case o := <-a.beside:
			a.await(o)
		case <-a.renderer.Done():
			return
		}
	}
}

func (a *Agent) await(o area.Offer) {
	ctx, cancel := context.WithTimeout(a.renderer, fetchTime)
	defer cancel()
	if err := a.Clips.(Sharer).Await(ctx, a.Web, *o.Body.Clip); err != nil && a.renderer.Err() == nil {
		a.count.unloaded.Add(1)
		a.Log.Warn("clip not brought", "work", o.Work, "err", err)
	}
}

// load does the downloads of this device, until the agent ends. It has a goroutine
// of its own, so that no sound waits for it.
func (a *Agent) load() {
	for {
		select {
		case i := <-a.toLoad:
			a.tell(a.loaded(i))
		case <-a.renderer.Done():
			return
		}
	}
}

// loaded brings a clip here, and, where the order is for the area, waits until the
// others have it.
func (a *Agent) loaded(i *item) rendered {
	began := a.now()
	name := *i.body.Clip
	f, err := a.Clips.Fetch(i.ctx, a.Web, name)
	if err != nil {
		return rendered{item: i, err: err, reason: reasonOf(err)}
	}
	_ = f.Close() // it was only fetched
	has := []area.DeviceID{a.cfg.Device}
	var lacks []area.DeviceID
	if s, ok := a.Clips.(Sharer); ok && i.all {
		others, without := s.Spread(i.ctx, name)
		has, lacks = append(has, others...), without
	}
	a.Log.Info("clip brought", "work", i.work, "n", len(has), "dur", a.now().Sub(began).Round(time.Millisecond))
	a.enqueue(func() { a.report("event/"+area.KindDownload, broughtTo(i.work, name, has, lacks), false) })
	return rendered{item: i, loaded: true}
}

// brought is the event of a download that is done.
type brought struct {
	event
	Work  area.WorkID     `json:"work"`
	Clip  string          `json:"clip"`
	Has   []area.DeviceID `json:"has"`
	Lacks []area.DeviceID `json:"lacks"`
}

// broughtTo says which devices of the area have a clip: on is whether all have.
func broughtTo(w area.WorkID, clip string, has, lacks []area.DeviceID) []byte {
	e := brought{event: event{On: len(lacks) == 0, TS: time.Now().UnixMilli()}, Work: w, Clip: clip, Has: has, Lacks: lacks}
	if len(lacks) > 0 {
		e.Fault = "not at " + strings.Join(texts(lacks), ", ")
	} else {
		e.Lacks = []area.DeviceID{}
	}
	b, _ := json.Marshal(e) // it has no part that cannot be written
	return b
}

func texts(ids []area.DeviceID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}
