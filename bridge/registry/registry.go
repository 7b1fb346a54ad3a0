package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// Config bounds a registry.
type Config struct {
	Node    string        // name of this hub process, shown with each sensor
	Timeout time.Duration // silence after which a sensor is offline; default and zero: 10 min; at least 1 s
	Sensors int           // most sensors, and players with readings, together; default and zero: 10,000
	Metrics int           // most readings of one device; default and zero: 256
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Minute
	}
	if c.Sensors == 0 {
		c.Sensors = 10_000
	}
	if c.Metrics == 0 {
		c.Metrics = 256
	}
	return c
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	if c.Timeout < time.Second {
		faults = append(faults, fmt.Errorf("timeout %v is under 1s", c.Timeout))
	}
	if c.Sensors < 1 || c.Metrics < 1 {
		faults = append(faults, errors.New("sensors and metrics are at least 1"))
	}
	return errors.Join(faults...)
}

// Roster is what the registry asks about areas and players. It must not block.
type Roster interface {
	// Seen is the area that a text means: by id, by name, or made now, within
	// the limit of seen areas.
	Seen(text string) (area.Name, error)
	Area(a area.Name) (area.Area, bool)
	Player(d area.DeviceID) (area.Device, bool)
}

// History keeps what was measured.
type History interface {
	Add(k history.Key, ts int64, value any) bool
	Keys() []history.Key
	Sums(k history.Key, from, to time.Time, step time.Duration) []history.Sum
}

// Assignment is what an operator said of a sensor; nil: nothing.
type Assignment struct {
	Area     *area.Name       `json:"area"`
	Location *area.LocationID `json:"location"`
	Name     *string          `json:"name"`
}

// Assignments keeps what operators said.
type Assignments interface {
	All() (map[area.DeviceID]Assignment, error)
	Put(d area.DeviceID, a Assignment) error
}

// Stats counts what a registry has and refused.
type Stats struct {
	Sensors        int    // at present, players with readings included
	Readings       int    // at present
	Accepted       uint64 // readings that were taken, stale ones included
	Bad            uint64 // of them: not what was promised
	Old            uint64 // retained copies of what is known already
	SensorsRefused uint64 // readings of sensors beyond the bound
	MetricsRefused uint64 // readings of metrics beyond the bound
	AreasRefused   uint64 // readings whose area could not be made; their sensor is unassigned
	Forgotten      uint64 // sensors that were taken away, belonged to others after all, or were silent for 30 days
	Written        uint64 // records of sensors that were written to disk
	Unwritten      uint64 // times that the disk did not take one; it is tried again

	Told       uint64 // devices of which other nodes were told, each time
	Heard      uint64 // devices of which other nodes have told
	Dropped    uint64 // envelopes of other nodes that found the queue full; they are asked for all
	Unread     uint64 // what other nodes have told and could not be read
	Unsent     uint64 // envelopes that the backplane did not take
	Asked      uint64 // times that another node was asked for all that it has heard
	Unanswered uint64 // times that it did not answer to the end
	Missing    uint64 // nodes whose part was missing in the courses of readings
}

type counters struct {
	accepted, bad, old, sensors, metrics, areas, forgotten, written, unwritten atomic.Uint64
}

// Registry holds sensors and readings. It is safe for concurrent use.
type Registry struct {
	cfg     Config
	roster  Roster
	history History
	assign  Assignments
	shelf   Shelf // nil: sensors end with the process
	now     func() time.Time
	log     *slog.Logger
	count   counters

	assigning sync.Mutex // held, before mu, from an assignment's way to the disk until it is in force, so that both agree

	queueing sync.Mutex // held, before mu, from a look at an entry until its record is queued: an older one never follows a newer

	mu       sync.Mutex // guards what follows
	devices  map[area.DeviceID]*entry
	gone     map[area.DeviceID]bool // forgotten, and perhaps on disk still
	readings int
	watchers map[int]func(area.DeviceID, bool)
	next     int
	last     int64 // see stamp
	exchange       // what the registries of other nodes are told
}

// New makes a registry of what was assigned and, where shelf is not nil, of the
// sensors that are kept there. Its errors are that of [Config.Validate], that of
// the assignments and that of the shelf.
func New(cfg Config, roster Roster, hist History, assign Assignments, shelf Shelf, now func() time.Time, log *slog.Logger) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r := &Registry{
		cfg: cfg.withDefaults(), roster: roster, history: hist, assign: assign, shelf: shelf, now: now, log: log,
		devices: map[area.DeviceID]*entry{}, gone: map[area.DeviceID]bool{}, watchers: map[int]func(area.DeviceID, bool){},
	}
	all, err := assign.All()
	if err != nil {
		return nil, fmt.Errorf("read assignments: %w", err)
	}
	for d, a := range all {
		e := r.newEntry()
		e.assigned = a
		r.devices[d] = e
	}
	if shelf != nil {
		if err := r.bringBack(); err != nil {
			return nil, fmt.Errorf("read sensors: %w", err)
		}
	}
	return r, nil
}

// Watch calls changed after each change of a device; urgent tells a change of
// the sensor itself, a new metric among them, from one of its readings and
// last_seen alone. changed must
// only enqueue. After cancel has returned it is not called again by a later
// change.
func (r *Registry) Watch(changed func(d area.DeviceID, urgent bool)) (cancel func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.next
	r.next++
	r.watchers[n] = changed
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, n)
	}
}

// tell calls the watchers; the caller must not hold the lock.
func (r *Registry) tell(d area.DeviceID, urgent bool) {
	r.mu.Lock()
	watchers := make([]func(area.DeviceID, bool), 0, len(r.watchers))
	for _, w := range r.watchers {
		watchers = append(watchers, w)
	}
	r.mu.Unlock()
	for _, w := range watchers {
		w(d, urgent)
	}
}

// Put takes one value that came on a topic, live or as a retained copy, and
// answers the reading that came of it; false where it was refused or is no
// news, as a value that was measured, by the sensor's own clock, before the one
// that is there. That goes into the history alone.
func (r *Registry) Put(v mapping.Value, topic string, replay bool) (area.Reading, bool) {
	at, in := r.now(), r.seen(v.Area, topic)
	own := v.TS != 0 && v.TS <= at.Add(clockSlack).UnixMilli() // a clock that is ahead is no clock
	if !own {
		v.TS = at.UnixMilli()
	}
	key := history.Key{Device: v.Device, Metric: v.Metric, Channel: v.Channel}
	reading, urgent, ok := r.keep(key, v, own, in, topic, replay, at)
	if reading.Quality == area.Good {
		r.history.Add(key, reading.TS, reading.Value)
	}
	if !ok {
		return area.Reading{}, false
	}
	reading.Area = r.areaOf(v.Device, reading.Area)
	r.tell(v.Device, urgent)
	return reading, true
}

// clockSlack is how far ahead of ours a sensor's clock may be.
const clockSlack = time.Minute

// seen is the area that a text means; unassigned where it means none, or one
// that cannot be made.
func (r *Registry) seen(text, topic string) area.Name {
	if text == "" {
		return area.Unassigned
	}
	name, err := r.roster.Seen(text)
	if err != nil {
		r.count.areas.Add(1)
		r.log.Debug("area of a reading refused", "topic", topic, "err", err)
		return area.Unassigned
	}
	return name
}

// entryOf is the entry of a device, made where there is room; the caller holds
// the lock.
func (r *Registry) entryOf(d area.DeviceID) (e *entry, isNew bool) {
	if e = r.devices[d]; e != nil {
		return e, false
	}
	if len(r.devices) >= r.cfg.Sensors {
		r.count.sensors.Add(1)
		return nil, false
	}
	return r.newEntry(), true
}

// newEntry is one of which nobody has said anything.
func (r *Registry) newEntry() *entry { return &entry{area: area.Unassigned, since: r.now()} }

// stamp numbers what this node hears: the microseconds of its clock, but always more.
// The caller holds the lock.
func (r *Registry) stamp() int64 {
	r.last = max(r.last+1, r.now().UnixMicro())
	return r.last
}

// keep is Put's half under the lock.
func (r *Registry) keep(k history.Key, v mapping.Value, own bool, in area.Name, topic string, replay bool, at time.Time) (area.Reading, bool, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, isNew := r.entryOf(k.Device)
	if e == nil {
		return area.Reading{}, false, false
	}
	is := held{Reading: area.Reading{Topic: topic}, own: own, node: r.cfg.Node, heard: r.stamp()}
	reading, outcome := e.put(k, v, is, replay, r.cfg.Metrics)
	switch outcome {
	case refused:
		r.count.metrics.Add(1)
		return area.Reading{}, false, false
	case old:
		r.count.old.Add(1)
		return area.Reading{}, false, false
	case earlier:
		r.count.accepted.Add(1)
		return reading, false, false
	case added:
		r.readings++
	}
	r.devices[k.Device] = e
	r.count.accepted.Add(1)
	if v.Bad {
		r.count.bad.Add(1)
	}
	was := e.place()
	if v.Area != "" {
		e.area = in
	}
	cameBack := !replay && r.heardLive(e, at)
	reading.Area = e.place()
	isOther := isNew || outcome == added || was != e.place()
	e.changed = e.changed || isOther
	e.moved = e.moved || !replay
	if isOther || cameBack {
		r.said(k.Device, e)
	} else {
		r.measured(k, e)
	}
	return reading, isOther || cameBack, true
}

// areaOf is the area of a device: a player's is the roster's word.
func (r *Registry) areaOf(d area.DeviceID, own area.Name) area.Name {
	if p, ok := r.roster.Player(d); ok {
		return p.Area
	}
	return own
}

// Run tells the watchers of sensors that fall silent, tells and hears other nodes, and
// writes to disk what has changed, until ctx ends; it then writes what is left and
// returns nil.
func (r *Registry) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { r.converse(ctx) })
	tasks.Go(func() { r.catchUp(ctx) })
	tick := time.NewTicker(max(r.cfg.Timeout/50, 100*time.Millisecond))
	defer tick.Stop()
	soon, late := time.NewTicker(writeSoon), time.NewTicker(writeLate)
	defer soon.Stop()
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			r.write(context.WithoutCancel(ctx), (*entry).unwritten)
			return nil
		case <-soon.C:
			at := r.now()
			r.unbury()
			r.write(ctx, func(e *entry) bool { return e.changed && at.Sub(e.kept) >= writeApart })
		case <-late.C:
			r.forgetSilent()
			r.write(ctx, (*entry).unwritten)
		case <-tick.C:
			for _, d := range r.fallSilent() {
				r.tell(d, true)
			}
		}
	}
}

func (r *Registry) fallSilent() (gone []area.DeviceID) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for d, e := range r.devices {
		if e.silent(now, r.cfg.Timeout) {
			gone = append(gone, d)
		}
	}
	return gone
}

// Stats counts.
func (r *Registry) Stats() Stats {
	r.mu.Lock()
	s := Stats{Sensors: len(r.devices), Readings: r.readings}
	r.mu.Unlock()
	s.Accepted, s.Bad, s.Old = r.count.accepted.Load(), r.count.bad.Load(), r.count.old.Load()
	s.SensorsRefused, s.MetricsRefused, s.AreasRefused = r.count.sensors.Load(), r.count.metrics.Load(), r.count.areas.Load()
	t := &r.talk
	s.Told, s.Heard, s.Dropped, s.Unread, s.Unsent = t.told.Load(), t.heard.Load(), t.dropped.Load(), t.unread.Load(), t.unsent.Load()
	s.Asked, s.Unanswered, s.Missing = t.asked.Load(), t.unanswered.Load(), t.missing.Load()
	s.Forgotten, s.Written, s.Unwritten = r.count.forgotten.Load(), r.count.written.Load(), r.count.unwritten.Load()
	return s
}
