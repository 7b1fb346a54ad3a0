package registry

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/broker/area"
)

// Kinds of the backplane: of what registries tell and ask each other, and of what they
// ask each other of their histories.
const (
	kindSensors = backplane.KindUser + 60
	kindCourse  = backplane.KindUser + 61
)

// sensorsTopic is what all registries listen to.
const sensorsTopic = "sensors"

// How nodes tell each other of sensors: what has changed at once, and then what has
// changed meanwhile, the later the more that was.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = time.Second
	pauseEach  = time.Millisecond // for each device
	bodyBytes  = 256 << 10        // of parts in one envelope, but for a single one
	mostWords  = 1024             // envelopes of others that wait
	cutAfter   = 20 * time.Second // without the others nobody knows how their sensors are
)

// exchange is what joins a registry with those of other nodes.
type exchange struct {
	mux    *backplane.Mux // nil: there are no others
	shown  func(area.Reading)
	words  chan words
	wake   chan struct{} // there is something to tell
	stir   chan struct{} // nodes or up have changed
	nodes  atomic.Pointer[[]backplane.Node]
	up     atomic.Bool
	behind laggards
	untold map[area.DeviceID]bool // whether an operator has removed it; the registry's lock guards it, and buried
	buried map[area.DeviceID]int64
	talk   struct{ told, heard, dropped, unread, unsent, asked, unanswered, missing atomic.Uint64 }
}

// words is what a node has told.
type words struct {
	from string
	body []byte
}

// news is what other nodes are not told yet of a device.
type news struct {
	whole bool
	keys  map[history.Key]struct{}
}

// Join has the registry be one with those of the other nodes of a mux: what each hears
// all show. It has to be called before either runs. shown is called for each reading of
// another node that is news, and must only enqueue.
func (r *Registry) Join(mux *backplane.Mux, shown func(area.Reading)) {
	r.mux, r.shown = mux, shown
	r.untold, r.buried, r.behind.list = map[area.DeviceID]bool{}, map[area.DeviceID]int64{}, map[string]struct{}{}
	r.words = make(chan words, mostWords)
	r.wake, r.stir, r.behind.wake = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	mux.OnHear(kindSensors, func(e backplane.Envelope) { r.enqueue(words{e.Origin, e.Body}) })
	mux.OnMissed(func(origin string, partition int, _ uint64) {
		if partition == backplane.Partition(sensorsTopic) {
			r.behind.add(origin)
		}
	})
	mux.OnNodes(func(list []backplane.Node) {
		r.nodes.Store(&list)
		signal(r.stir)
	})
	mux.OnConnected(func(up bool) {
		r.up.Store(up)
		signal(r.stir)
	})
	mux.OnAsk(kindSensors, func(_ context.Context, _ string, after []byte) ([]byte, error) { return r.page(string(after)) })
	mux.OnAsk(kindCourse, r.courses)
	mux.Want(sensorsTopic, true)
}

// Absent has a node that has no registry say so. It is called before the mux runs.
func Absent(mux *backplane.Mux) {
	for kind, nothing := range map[byte]string{kindSensors: "[]", kindCourse: "{}"} {
		mux.OnAsk(kind, func(context.Context, string, []byte) ([]byte, error) { return []byte(nothing), nil })
	}
}

// enqueue keeps what a node has told until it is taken in. Over mostWords the newest is
// dropped and counted, and that node asked for everything.
func (r *Registry) enqueue(w words) {
	select {
	case r.words <- w:
	default:
		r.talk.dropped.Add(1)
		r.behind.add(w.from)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // whoever waits will look anyway
	}
}

// said notes that there is more to tell of a device than a reading, by this node; the
// caller holds the lock.
func (r *Registry) said(d area.DeviceID, e *entry) {
	e.home, e.at = r.cfg.Node, r.stamp()
	e.news.whole = true
	r.untell(d)
}

// measured notes a reading that this node has heard; the caller holds the lock.
func (r *Registry) measured(k history.Key, e *entry) {
	if r.mux == nil || e.news.whole {
		return
	}
	if e.news.keys == nil {
		e.news.keys = map[history.Key]struct{}{}
	}
	e.news.keys[k] = struct{}{}
	r.untell(k.Device)
}

// untell has the other nodes told of a device, what has to be told of it before
// included; the caller holds the lock.
func (r *Registry) untell(d area.DeviceID) {
	if r.mux == nil {
		return
	}
	if _, waits := r.untold[d]; !waits {
		r.untold[d] = false
	}
	signal(r.wake)
}

// heardLive notes a live message of a device at this node, and tells whether it ends
// a silence, or the device has come from another node; the caller holds the lock.
func (r *Registry) heardLive(e *entry, at time.Time) bool {
	e.heardAt(r.cfg.Node, at.UnixMilli())
	moved := e.home != r.cfg.Node
	return e.live(at) || moved
}

// converse tells the other nodes and hears them, until ctx ends.
func (r *Registry) converse(ctx context.Context) {
	if r.mux == nil {
		return
	}
	pause, cut := time.NewTimer(0), time.NewTimer(cutAfter)
	defer pause.Stop()
	defer cut.Stop()
	var wake chan struct{} // nil while it pauses
	c := company{alive: map[string]uint64{}}
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-r.words:
			_, _ = r.take(w.from, w.body, true) // counted and logged
		case <-r.stir:
			r.meet(&c, cut)
		case <-cut.C:
			for node := range c.alive {
				r.orphan(node)
			}
		case <-pause.C:
			wake = r.wake
		case <-wake:
			wake = nil
			pause.Reset(min(mostPause, leastPause+time.Duration(r.tellOthers())*pauseEach))
		}
	}
}

// company is the other nodes as they were last looked at.
type company struct {
	up    bool
	alive map[string]uint64 // and since which life
}

// meet looks who is alive, and whether others can be reached: who is new, or is back, is
// asked for everything; of who is gone nobody knows how its sensors are, and of all
// others when they are away for a while.
func (r *Registry) meet(c *company, cut *time.Timer) {
	now := map[string]uint64{}
	if list := r.nodes.Load(); list != nil {
		for _, n := range *list {
			if n.Name != r.mux.Plane().Self() {
				now[n.Name] = n.Life
			}
		}
	}
	for node, life := range c.alive {
		if now[node] != life {
			r.behind.drop(node)
			r.orphan(node)
		}
	}
	up := r.up.Load()
	for node, life := range now {
		if c.alive[node] != life || up && !c.up {
			r.behind.add(node)
		}
	}
	switch {
	case up:
		cut.Stop()
		signal(r.wake) // there may be something to tell
	case c.up:
		cut.Reset(cutAfter)
	}
	c.up, c.alive = up, now
}

// orphan notes that a node is gone, or cannot be reached.
func (r *Registry) orphan(node string) {
	var changed []area.DeviceID
	at := r.now()
	r.mu.Lock()
	for d, e := range r.devices {
		if e.orphan(node, at) {
			changed = append(changed, d)
		}
	}
	r.mu.Unlock()
	for _, d := range changed {
		r.tell(d, true)
	}
}

// tellOthers tells the other nodes what they do not know yet, and answers of how many
// devices. While they cannot be reached that waits.
func (r *Registry) tellOthers() int {
	if !r.up.Load() {
		return 0
	}
	list := r.untoldParts()
	for _, body := range bodies(list) {
		if err := r.mux.Publish(sensorsTopic, backplane.Envelope{Kind: kindSensors, Target: sensorsTopic, Body: body}); err != nil {
			r.talk.unsent.Add(1) // they are told of the gap, and ask
			r.log.Debug("sensors not told to other nodes", "n", len(list), "err", err)
		}
	}
	r.talk.told.Add(uint64(len(list)))
	return len(list)
}

func (r *Registry) untoldParts() (list []part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for d, removed := range r.untold {
		e := r.devices[d]
		there := e != nil && e.home != ""
		if removed || !there {
			list = append(list, part{Device: d, Gone: true, Removed: removed, record: record{By: r.cfg.Node, AsOf: r.buried[d]}})
		}
		if !there || !e.news.whole && len(e.news.keys) == 0 {
			continue
		}
		p, own := e.measurements(d, r.cfg.Node), true
		if e.news.whole {
			p, own = e.part(d, r.cfg.Node, r.stamp())
		}
		if own {
			list = append(list, p)
		}
		e.news = news{}
	}
	clear(r.untold)
	return list
}

// bodies are envelopes of parts: JSON arrays.
func bodies(list []part) (out [][]byte) {
	var some []json.RawMessage
	size := 0
	flush := func() {
		if body, err := json.Marshal(some); err == nil && len(some) > 0 {
			out = append(out, body)
		}
		some, size = nil, 0
	}
	for _, p := range list {
		one, err := json.Marshal(p)
		if err != nil {
			continue // plain fields, and values that were JSON
		}
		if size+len(one) > bodyBytes {
			flush()
		}
		some, size = append(some, one), size+len(one)
	}
	flush()
	return out
}
