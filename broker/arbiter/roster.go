package arbiter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// AreaConfig is how one area works.
type AreaConfig struct {
	ID         area.Name
	Name       string // what people read; empty: the id
	Source     area.Source
	Locations  []Place
	Mode       string        // "available" (default) or "strict"
	Topology   string        // "auto" (default), "direct" or "local"
	Policy     string        // "stop" (default) or "finish"
	Lease      time.Duration // 1 s to 10 min; 0: 6 s
	Volume     int           // 0 to 100; -1: 70
	QuietHours []string
	// ClassicHold ends a classic hold of unknown length; 0: 120 s.
	ClassicHold time.Duration
	// DumbHold is how long a dumb device whose connection was lost still counts
	// as sounding; 0: 30 s.
	DumbHold time.Duration
	// EmergencyBarge is how long an emergency waits for a revoked holder that
	// does not answer, 500 ms or more; 0: until its lease has ended.
	EmergencyBarge time.Duration
	// PerNode has each of several hub nodes grant to its own devices while the ledger
	// of all is away: one voice is then kept per node.
	PerNode bool
}

// Place is a location in a configuration.
type Place struct {
	ID   area.LocationID
	Name string // empty: the id
}

// Defaults of an area (DESIGN.md §3.1, COORDINATION.md §3.6).
const (
	defaultLease       = 6 * time.Second
	defaultVolume      = 70
	defaultClassicHold = 120 * time.Second
	defaultDumbHold    = 30 * time.Second
)

// withDefaults fills what the configuration leaves open.
func (c AreaConfig) withDefaults() AreaConfig {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	orText := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	orText(&c.Name, string(c.ID))
	orText(&c.Mode, "available")
	orText(&c.Topology, area.TopologyAuto)
	orText(&c.Policy, "stop")
	or(&c.Lease, defaultLease)
	or(&c.ClassicHold, defaultClassicHold)
	or(&c.DumbHold, defaultDumbHold)
	if c.Volume < 0 {
		c.Volume = defaultVolume
	}
	return c
}

// RosterConfig is what the roster starts with.
type RosterConfig struct {
	Node    string       // name of this hub process, shown with each player
	Areas   []AreaConfig // areas of the configuration file
	MaxSeen int          // areas that devices may bring into being; 0: 1,000; negative: none
}

// Roster knows the areas, their locations, and which player is live on which
// connection. It is safe for concurrent use; no method blocks on anything but
// its own short lock.
type Roster struct {
	node    string
	maxSeen int
	now     func() time.Time
	keeper  *keeper // nil: nothing is kept

	mu        sync.Mutex
	areas     map[area.Name]*areaEntry
	places    map[area.LocationID]area.Name // which area a location is in
	players   map[area.DeviceID]*player
	seen      int
	watchers  map[int]func()
	nextWatch int
	joined    func(Presence) // told of each change of a player's presence or place
}

type areaEntry struct {
	AreaConfig
	locations []*location // in the order of their ids
	topology  string      // what auto comes to; empty: direct
	lead      *area.Lead
	peers     *area.Peering
}

type location struct {
	id     area.LocationID
	name   string
	device area.DeviceID // live device that is mounted there; empty: none
}

// Presence says that a player came, moved or went. The arbiter of the area acts
// on it.
type Presence struct {
	Device   area.DeviceID
	Area     area.Name
	Location area.LocationID // empty: none
	Live     bool
	Via      area.Via
	Link     string
	MID      string // machine id; empty: not known
	Silent   bool   // it has nothing to sound by
	Over     string // link from which this one took the name; empty: none
	New      bool   // live now, and was not on this link
}

// NewRoster makes a roster of the configured areas. It refuses two areas of one
// id or one name and one location id in two areas, all faults at once.
func NewRoster(cfg RosterConfig, now func() time.Time) (*Roster, error) {
	r := &Roster{
		node: cfg.Node, maxSeen: cfg.MaxSeen, now: now,
		areas: map[area.Name]*areaEntry{}, places: map[area.LocationID]area.Name{},
		players: map[area.DeviceID]*player{}, watchers: map[int]func(){}, joined: func(Presence) {},
	}
	if r.maxSeen == 0 {
		r.maxSeen = 1000
	}
	for _, a := range cfg.Areas {
		if a.Source == "" {
			a.Source = area.SourceConfig
		}
		if err := r.Create(a); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Create adds an area. Its error is an [area.Error]: exists for an id or a name
// that is taken, location_conflict for a location of another area, invalid.
func (r *Roster) Create(c AreaConfig) error {
	if _, err := area.ParseName(string(c.ID)); err != nil {
		return err
	}
	if c.ID == area.Unassigned {
		return area.InvalidField("id", "%q is the hub's own", c.ID)
	}
	c = c.withDefaults()
	if c.Lease < time.Second || c.Lease > 10*time.Minute {
		return area.InvalidField("lease", "%s is not 1s to 10m", c.Lease)
	}
	r.mu.Lock()
	err := r.create(c)
	r.mu.Unlock()
	if err == nil {
		r.changed()
		r.keep(c.ID)
	}
	return err
}

func (r *Roster) create(c AreaConfig) error {
	if _, ok := r.areas[c.ID]; ok {
		return area.Errorf(area.CodeExists, "area %s is there already", c.ID)
	}
	for id, a := range r.areas {
		if a.Name == c.Name {
			return area.Errorf(area.CodeExists, "area %s has the name %q already", id, c.Name)
		}
	}
	for _, p := range c.Locations {
		if _, err := area.ParseLocationID(string(p.ID)); err != nil {
			return err
		}
		if in, ok := r.places[p.ID]; ok {
			return area.Errorf(area.CodeLocationConflict, "location %s is in area %s already", p.ID, in)
		}
	}
	e := &areaEntry{AreaConfig: c}
	r.areas[c.ID] = e
	for _, p := range c.Locations {
		r.addLocation(e, p)
	}
	return nil
}

// addLocation puts a place into an area; the caller holds the lock and has
// made sure that no area has it.
func (r *Roster) addLocation(e *areaEntry, p Place) *location {
	l := &location{id: p.ID, name: p.Name}
	if l.name == "" {
		l.name = string(p.ID)
	}
	at, _ := slices.BinarySearchFunc(e.locations, l.id, func(x *location, id area.LocationID) int {
		return compareIDs(string(x.id), string(id))
	})
	e.locations = slices.Insert(e.locations, at, l)
	r.places[p.ID] = e.ID
	return l
}

// Configure takes the areas of a configuration file that was read again: new
// ones are made, known ones get their name, settings and further locations. An
// area or a location that is no longer in the file stays: it is still there for
// who uses it, until the next start. All faults come at once, as [area.Error]s;
// what is right is done all the same.
func (r *Roster) Configure(list []AreaConfig) error {
	var faults []error
	for _, c := range list {
		c.Source = area.SourceConfig
		if err := r.reconfigure(c); err != nil {
			faults = append(faults, err)
		}
	}
	r.changed()
	return errors.Join(faults...)
}

func (r *Roster) reconfigure(c AreaConfig) error {
	if _, known := r.Settings(c.ID); !known {
		return r.Create(c)
	}
	if c = c.withDefaults(); c.Lease < time.Second || c.Lease > 10*time.Minute {
		return area.InvalidField("lease", "%s is not 1s to 10m", c.Lease)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.areas[c.ID]
	if err := r.fits(c); err != nil {
		return err
	}
	e.AreaConfig = c
	for _, p := range c.Locations {
		r.placeAgain(e, p)
	}
	return nil
}

// placeAgain adds a location, or gives the one that is there its name; the
// caller holds the lock.
func (r *Roster) placeAgain(e *areaEntry, p Place) {
	for _, l := range e.locations {
		if l.id == p.ID {
			l.name = cmpOr(p.Name, string(p.ID))
			return
		}
	}
	r.addLocation(e, p)
}

// Remove deletes an area that the API made or a device named. Its error is an
// [area.Error]: not_found, configured, or conflict while players live in it.
func (r *Roster) Remove(name area.Name) error {
	defer r.keep(name)
	r.mu.Lock()
	defer r.changed()
	defer r.mu.Unlock()
	e, ok := r.areas[name]
	switch {
	case !ok:
		return area.Errorf(area.CodeNotFound, "no area %s", name)
	case e.Source == area.SourceConfig:
		return area.Errorf(area.CodeConfigured, "area %s is defined by the configuration file", name)
	}
	if id, live := r.liveIn(name); live {
		return area.Errorf(area.CodeConflict, "device %s is connected in area %s", id, name)
	}
	r.remove(e)
	return nil
}

// Settings is how an area works.
func (r *Roster) Settings(name area.Name) (AreaConfig, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.areas[name]; ok {
		return e.AreaConfig, true
	}
	return AreaConfig{}, false
}

// Names lists the areas in the order of their ids.
func (r *Roster) Names() []area.Name {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.areas))
}

// Areas lists every area in the order of their ids, without busy, queue and
// seq, which are not the roster's.
func (r *Roster) Areas() []area.Area {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]area.Area, 0, len(r.areas))
	for _, id := range slices.Sorted(maps.Keys(r.areas)) {
		list = append(list, r.show(r.areas[id]))
	}
	return list
}

// Area is one area, as [Roster.Areas] lists it.
func (r *Roster) Area(name area.Name) (area.Area, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.areas[name]; ok {
		return r.show(e), true
	}
	return area.Area{}, false
}

func (r *Roster) show(e *areaEntry) area.Area {
	a := area.Area{
		ID: e.ID, Name: e.Name, Source: e.Source, Mode: e.Mode, Topology: e.resolved(),
		LeaseMs: e.Lease.Milliseconds(), Policy: e.Policy, Volume: e.Volume,
		QuietHours: append([]string{}, e.QuietHours...), Locations: []area.Location{}, Members: []area.DeviceID{}, Queue: []area.Queued{},
	}
	for _, l := range e.locations {
		shown := area.Location{ID: l.id, Name: l.name}
		if l.device != "" {
			d := l.device
			shown.Device = &d
		}
		a.Locations = append(a.Locations, shown)
	}
	for id, p := range r.players {
		if p.area == e.ID {
			a.Members = append(a.Members, id)
		}
	}
	slices.SortFunc(a.Members, func(x, y area.DeviceID) int { return compareIDs(string(x), string(y)) })
	r.showLead(e, &a)
	return a
}

// Watch calls changed after every change, soon and not once for each; it must
// only signal. After cancel has returned it is not called again.
func (r *Roster) Watch(changed func()) (cancel func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nextWatch
	r.nextWatch++
	r.watchers[n] = changed
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, n)
	}
}

// changed tells the watchers; the caller must not hold the lock.
func (r *Roster) changed() {
	r.mu.Lock()
	tell := slices.Collect(maps.Values(r.watchers))
	r.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// compareIDs orders ids as people count: "2" before "10", gate-2 before
// gate-10.
func compareIDs(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := trimZeros(a[:na]), trimZeros(b[:nb])
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if c := compareText(x, y); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) (n int) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func trimZeros(s string) string {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return s
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// String names the roster in a log.
func (r *Roster) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%d areas, %d players", len(r.areas), len(r.players))
}
