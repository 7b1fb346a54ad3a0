package bridge

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// ViewConfig says how a view works. Zero values mean the defaults.
type ViewConfig struct {
	Settle time.Duration // how long a device's new readings are gathered for one DeviceChanged, twice that among thousands; default 1 s (each is a Reading at once)
	Orders int           // most changes of orders that wait; default 4,096
}

func (c ViewConfig) withDefaults() ViewConfig {
	if c.Settle == 0 {
		c.Settle = time.Second
	}
	if c.Orders == 0 {
		c.Orders = 4096
	}
	return c
}

// Validate reports what is wrong with c.
func (c ViewConfig) Validate() error {
	if c.Settle < 0 || c.Orders < 0 {
		return errors.New("view: a bound is negative")
	}
	return nil
}

// Roster knows areas and players. Its methods must not block.
type Roster interface {
	Areas() []area.Area     // without busy, queue and seq
	Players() []area.Device // without readings and seq
	Player(d area.DeviceID) (area.Device, bool)
	Watch(changed func()) (cancel func()) // changed only signals
}

// Orders knows what waits in an area. Its methods must not block.
type Orders interface {
	Queue(a area.Name) []area.Queued
	Watch(enqueue func(area.Order)) (cancel func())
}

// Sensors knows sensors and the readings of all devices. Its methods must not
// block.
type Sensors interface {
	Devices() []area.Device
	Device(d area.DeviceID) (area.Device, bool)
	ReadingsOf(d area.DeviceID) []area.Reading
	Watch(changed func(d area.DeviceID, urgent bool)) (cancel func())
}

// ViewParts are what a view stands on.
type ViewParts struct {
	Bus     area.Bus // for the retained busy of each area
	Hub     Hub
	Roster  Roster
	Orders  Orders
	Sensors Sensors
}

// ViewStats counts what a view did.
type ViewStats struct {
	AreaDeltas    uint64
	DeviceDeltas  uint64
	Orders        uint64 // changes of orders that were sent
	OrdersDropped uint64 // changes of orders that found the mailbox full
	OrdersSampled uint64 // changes of orders that streams did not get, for a newer one
}

// View owns the public objects. Its reading methods are safe for concurrent
// use, and what they return is the caller's but must not be changed below the
// top level.
type View struct {
	ViewParts
	cfg   ViewConfig
	log   *slog.Logger
	mail  *mailbox
	joins chan func()
	ready chan struct{} // closed when Run has begun
	ended chan struct{} // closed when Run is over

	areaDeltas, deviceDeltas, orders atomic.Uint64

	streams   atomic.Int32  // of orders, open now
	ordersOut atomic.Uint64 // changes that they did not get

	mu      sync.RWMutex // guards what follows; Run alone writes
	areas   map[area.Name]area.Area
	devices map[area.DeviceID]area.Device
	held    map[area.Name]bool

	state owned // Run's

	watchers watchers
}

// NewView makes an empty view; it fills when Run begins.
func NewView(cfg ViewConfig, parts ViewParts, log *slog.Logger) (*View, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if parts.Bus == nil || parts.Hub == nil || parts.Roster == nil || parts.Orders == nil || parts.Sensors == nil {
		return nil, errors.New("view: a part is missing")
	}
	cfg = cfg.withDefaults()
	return &View{
		ViewParts: parts, cfg: cfg, log: log, mail: newMailbox(cfg.Orders), joins: make(chan func()), ready: make(chan struct{}), ended: make(chan struct{}),
		areas: map[area.Name]area.Area{}, devices: map[area.DeviceID]area.Device{}, held: map[area.Name]bool{},
		state: newOwned(),
	}, nil
}

// Ready is closed when Run has made the first objects and misses no change.
func (v *View) Ready() <-chan struct{} { return v.ready }

// GroupOf is the group of an area's watchers.
func (v *View) GroupOf(name area.Name) string { return string(area.AreaGroup(name)) }

// GroupAll is the group of the watchers of every area.
func (v *View) GroupAll() string { return All }

// Areas is every area in the order of their ids. It is never nil.
func (v *View) Areas() []area.Area {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := make([]area.Area, 0, len(v.areas))
	for _, a := range v.areas {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b area.Area) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Area is one area.
func (v *View) Area(name area.Name) (area.Area, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	a, ok := v.areas[name]
	return a, ok
}

// DeviceFilter picks devices; an empty field matches all.
type DeviceFilter struct {
	Area     area.Name
	Kind     string // player or sensor
	Presence area.Presence
}

func (f DeviceFilter) matches(d area.Device) bool {
	return (f.Area == "" || f.Area == d.Area) && (f.Kind == "" || f.Kind == d.Kind) && (f.Presence == "" || f.Presence == d.Presence)
}

// Devices is the players and sensors that f picks, in the order of their ids.
// It is never nil.
func (v *View) Devices(f DeviceFilter) []area.Device {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := make([]area.Device, 0, len(v.devices))
	for _, d := range v.devices {
		if f.matches(d) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b area.Device) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Device is one player or sensor.
func (v *View) Device(d area.DeviceID) (area.Device, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	found, ok := v.devices[d]
	return found, ok
}

// Join calls join with the group of the area's watchers, where no delta can
// come between the snapshot that it answers and the joining: what is sent to
// the group from then on is exactly what follows the snapshot. It answers false,
// without a call, for an area that there is not. It waits for Run to begin;
// join must neither block nor call the view's joins.
func (v *View) Join(name area.Name, join func(group string)) (a area.Area, ok bool) {
	v.between(func() {
		if a, ok = v.Area(name); ok {
			join(v.GroupOf(name))
		}
	})
	return a, ok
}

// JoinAll is [View.Join] for every area, now and later, and for unassigned
// devices.
func (v *View) JoinAll(join func(group string)) (all []area.Area) {
	v.between(func() {
		all = v.Areas()
		join(v.GroupAll())
	})
	return all
}

// between runs f where no delta is being made: on Run's goroutine, or on the
// caller's when Run is over.
func (v *View) between(f func()) {
	done := make(chan struct{})
	select {
	case v.joins <- func() { defer close(done); f() }:
		<-done
	case <-v.ended:
		f()
	}
}

// CatchUp returns when what the roster and the sensors have signalled so far is
// in the objects: who has just changed something finds it so. It waits for Run
// to begin; once Run is over it does nothing.
func (v *View) CatchUp() {
	done := make(chan struct{})
	select {
	case v.joins <- func() { defer close(done); v.read(v.mail.take()) }:
		<-done
	case <-v.ended:
	}
}

// Speaking is how many areas are held now.
func (v *View) Speaking() (n int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.held)
}

// Online is how many players and sensors are there now.
func (v *View) Online() (n int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, d := range v.devices {
		if d.Presence == area.Online {
			n++
		}
	}
	return n
}

// Stats counts.
func (v *View) Stats() ViewStats {
	return ViewStats{
		AreaDeltas: v.areaDeltas.Load(), DeviceDeltas: v.deviceDeltas.Load(), Orders: v.orders.Load(), OrdersDropped: v.mail.dropped.Load(),
		OrdersSampled: v.ordersOut.Load(),
	}
}
