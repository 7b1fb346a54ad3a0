package host

import (
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// again is after how long what was not answered is said again.
const sayAgain = time.Second

// mostAgo is the most that is said of how long ago something was: the clock of a
// device may have been wrong by years.
const mostAgo = 30 * 24 * time.Hour

// outbox is what the hub has yet to be told, in the order in which it came about.
// It is safe for concurrent use; nothing in it blocks.
type outbox struct {
	clock func() area.Instant
	kept  *drawer       // nil: nothing is
	wake  chan struct{} // something new waits

	mu      sync.Mutex
	n       uint64 // of the newest
	list    []*owed
	records int
	lost    uint64
	done    []func() // to be called: what was answered
}

// owed is one message, said until it is answered.
type owed struct {
	key  string // a newer one of the same key takes its place; empty: none does
	t    area.Trunk
	at   area.Instant // when it came about
	sent area.Instant // 0: never
	got  func()       // called by settle; nil: nobody wants to know
	kept bool         // on disk
}

func newOutbox(clock func() area.Instant) *outbox {
	return &outbox{clock: clock, wake: make(chan struct{}, 1)}
}

// put adds a message, which came about ago, in place of those of its key and of
// the keys it makes out of date.
func (o *outbox) put(key string, t area.Trunk, ago time.Duration, got func(), outdated ...string) {
	o.mu.Lock()
	o.drop(append(outdated, key)...)
	if t.Op == area.TrunkRecord {
		o.bound()
	}
	o.add(&owed{key: key, t: t, at: o.clock().Add(-ago), got: got})
	o.mu.Unlock()
	o.poke()
}

// putKept is put of what is on disk nowhere else, and is to outlive the process: it
// happened at this time, ms since 1970.
func (o *outbox) putKept(key string, t area.Trunk, at int64) {
	o.mu.Lock()
	o.drop(key)
	if t.Op == area.TrunkRecord {
		o.bound()
	}
	m := &owed{key: key, t: t, at: o.clock(), kept: o.kept != nil}
	o.add(m)
	if m.kept {
		o.kept.put(m.t.N, drawn{Key: key, At: at, Trunk: m.t})
	}
	o.mu.Unlock()
	o.poke()
}

// add numbers a message. The caller holds the lock.
func (o *outbox) add(m *owed) {
	o.n++
	m.t.N = o.n
	if o.kept != nil {
		o.kept.reserve(o.n)
	}
	o.list = append(o.list, m)
}

// restore goes on with what an earlier start has kept; now is ms since 1970.
func (o *outbox) restore(d *drawer, list []drawn, now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept, o.n = d, d.top
	for _, one := range list {
		if one.Trunk.Op == area.TrunkRecord {
			o.records++
		}
		ago := time.Duration(max(0, now-one.At)) * time.Millisecond
		o.list = append(o.list, &owed{key: one.Key, t: one.Trunk, at: o.clock().Add(-ago), kept: true})
	}
	d.reserve(o.n)
}

// forgetKept forgets a message that is on disk. The caller holds the lock.
func (o *outbox) forgetKept(m *owed) {
	if m.kept {
		o.kept.drop(m.t.N)
	}
}

// drop takes messages out by key. The caller holds the lock.
func (o *outbox) drop(keys ...string) {
	kept := o.list[:0]
	for _, m := range o.list {
		out := false
		for _, k := range keys {
			out = out || k != "" && k == m.key
		}
		if !out {
			kept = append(kept, m)
		} else {
			o.forgetKept(m)
		}
	}
	clear(o.list[len(kept):])
	o.list = kept
}

// bound makes room for a record: the oldest goes. The caller holds the lock.
func (o *outbox) bound() {
	if o.records < mostRecords {
		o.records++
		return
	}
	for i, m := range o.list {
		if m.t.Op == area.TrunkRecord {
			o.forgetKept(m)
			o.list = append(o.list[:i], o.list[i+1:]...)
			o.lost++
			return
		}
	}
}

// forget takes a message out that is of no use any more.
func (o *outbox) forget(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(key)
}

// got takes the hub's word that it has a message.
func (o *outbox) got(n uint64) {
	o.mu.Lock()
	for i, m := range o.list {
		if m.t.N == n {
			if m.t.Op == area.TrunkRecord {
				o.records--
			}
			if m.got != nil {
				o.done = append(o.done, m.got)
			}
			o.forgetKept(m)
			o.list = append(o.list[:i], o.list[i+1:]...)
			break
		}
	}
	o.mu.Unlock()
	o.poke() // there is room in the window
}

// settle calls what wanted to know of the answers; it may wait for the disk.
func (o *outbox) settle() {
	o.mu.Lock()
	done := o.done
	o.done = nil
	o.mu.Unlock()
	for _, f := range done {
		f()
	}
}

// again has everything said again, on a new connection.
func (o *outbox) again() {
	o.mu.Lock()
	for _, m := range o.list {
		m.sent = 0
	}
	o.mu.Unlock()
	o.poke()
}

// withdraw forgets what only a leader says, whose reign is over.
func (o *outbox) withdraw() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = slices.DeleteFunc(o.list, func(m *owed) bool { return m.t.Op == area.TrunkOrder })
}

// send says what is due, the oldest first, at most a window of it, until say
// fails; what only a leader says whom the hub follows, where led.
func (o *outbox) send(led bool, say func(area.Trunk) error) {
	for _, t := range o.due(led) {
		if say(t) != nil {
			return
		}
	}
}

func (o *outbox) due(led bool) (list []area.Trunk) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, room := o.clock(), window
	for _, m := range o.list {
		if m.t.Op == area.TrunkOrder && !led {
			continue
		}
		if room--; room < 0 {
			break
		}
		if m.sent != 0 && now.Sub(m.sent) < sayAgain {
			continue
		}
		m.sent = now
		t, ago := m.t, min(max(0, now.Sub(m.at)), mostAgo).Milliseconds()
		if t.Report != nil {
			r := *t.Report
			r.AgoMs, t.Report = ago, &r
		} else {
			t.AgoMs = ago
		}
		list = append(list, t)
	}
	return list
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list)
}

func (o *outbox) forgotten() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost
}

func (o *outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
