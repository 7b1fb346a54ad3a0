package seen

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Who is a user or a device.
type Who struct {
	Kind   Kind
	Tenant string // empty: the default one
	Name   string
}

// Kind says what somebody is.
type Kind string

// The kinds.
const (
	User   Kind = "user"
	Device Kind = "device"
)

// key is where it is kept.
func (w Who) key() string { return string(w.Kind) + "/" + w.Tenant + "/" + w.Name }

// parseKey is the inverse of key.
func parseKey(key string) (w Who, err error) {
	list := strings.SplitN(key, "/", 3)
	if len(list) != 3 || list[2] == "" || list[0] != string(User) && list[0] != string(Device) {
		return w, fmt.Errorf("%.80q is nobody's key", key)
	}
	return Who{Kind: Kind(list[0]), Tenant: list[1], Name: list[2]}, nil
}

// Sighting is that somebody was there.
type Sighting struct {
	Who
	At   time.Time
	Node string
}

// Table is where sightings are kept: what of a table of the store, or of one that all nodes
// have, the book needs.
type Table interface {
	Load(each func(key string, value []byte) error) error
	PutAsync(key string, value []byte, done func(error))
	DeleteAsync(key string, done func(error))
}

// Config sets a book up.
type Config struct {
	Node string            // this hub process
	Here func() []Sighting // who is, or was, at this node, as far as it is known; the newest counts. Nil: nobody but who is told of
	Keep time.Duration     // how long a sighting is kept; 0: 30 days
	Most int               // users and devices that are known; 0: 100,000
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	if c.Node == "" {
		faults = append(faults, errors.New("seen: node is empty"))
	}
	if c.Keep < 0 || c.Most < 0 {
		faults = append(faults, errors.New("seen: a bound is negative"))
	}
	return errors.Join(faults...)
}

// Book knows when users and devices were last there. Make it with [New]; it is safe for
// concurrent use.
type Book struct {
	cfg   Config
	table Table
	now   func() time.Time
	log   *slog.Logger
	count struct{ written, refused, forgotten, failed, malformed atomic.Uint64 }

	mu  sync.Mutex // guards what follows
	all map[Who]*entry
}

// entry is what is known of one.
type entry struct {
	at      time.Time
	node    string
	kept    time.Time // what of it is in the table
	written time.Time // when that was put there by us
	ours    bool      // this node has seen it since kept
}

// record is a sighting as the table has it.
type record struct {
	At   area.Time `json:"at"`
	Node string    `json:"node"`
}

// New makes the book of what a table has.
func New(cfg Config, t Table, now func() time.Time, log *slog.Logger) (*Book, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Keep == 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	if cfg.Most == 0 {
		cfg.Most = 100_000
	}
	b := &Book{cfg: cfg, table: t, now: now, log: log, all: map[Who]*entry{}}
	err := t.Load(func(key string, value []byte) error {
		b.Changed(key, value)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("last seen: %w", err)
	}
	return b, nil
}

// Changed takes in what another node has seen, or (value nil) forgotten.
func (b *Book) Changed(key string, value []byte) {
	w, err := parseKey(key)
	var r record
	if err == nil && value != nil {
		err = json.Unmarshal(value, &r)
	}
	if err != nil {
		b.count.malformed.Add(1)
		b.log.Warn("sighting cannot be read", "rule", key, "err", err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.all[w]
	switch {
	case value == nil:
		if e != nil && !e.ours {
			delete(b.all, w)
		}
	case e == nil:
		if e = b.entry(w); e != nil {
			e.at, e.node, e.kept = r.At.Time, r.Node, r.At.Time
		}
	case r.At.After(e.at):
		e.at, e.node, e.kept, e.ours = r.At.Time, r.Node, r.At.Time, false
	}
}

// entry is what is known of one, nil where no more fit. The lock is held.
func (b *Book) entry(w Who) *entry {
	e := b.all[w]
	if e == nil && len(b.all) >= b.cfg.Most {
		b.count.refused.Add(1)
		return nil
	}
	if e == nil {
		e = &entry{}
		b.all[w] = e
	}
	return e
}

// Saw notes that somebody is there, at this node. It does not block.
func (b *Book) Saw(w Who) { b.saw(w, b.now()) }

func (b *Book) saw(w Who, at time.Time) {
	if w.Name == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entry(w); e != nil && at.After(e.at) {
		e.at, e.node, e.ours = at, b.cfg.Node, true
	}
}

// Forget forgets somebody everywhere, until he is seen again.
func (b *Book) Forget(w Who) {
	b.mu.Lock()
	_, known := b.all[w]
	delete(b.all, w)
	b.mu.Unlock()
	if known {
		b.erase(w)
	}
}

// Of answers when somebody was last there, and where; false where that is not known, or
// too long ago.
func (b *Book) Of(w Who) (Sighting, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.all[w]
	if e == nil || b.old(e, 0) {
		return Sighting{}, false
	}
	return Sighting{w, e.at, e.node}, true
}

// List is everybody, by kind, tenant and name.
func (b *Book) List() []Sighting {
	b.mu.Lock()
	list := make([]Sighting, 0, len(b.all))
	for w, e := range b.all {
		if !b.old(e, 0) {
			list = append(list, Sighting{w, e.at, e.node})
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y Sighting) int { return cmp.Compare(x.key(), y.key()) })
	return list
}

// old tells whether a sighting has been kept for long enough, and so much longer.
func (b *Book) old(e *entry, more time.Duration) bool {
	return b.now().Sub(e.at) > b.cfg.Keep+more
}

// Stats counts. Known is now, the others only grow.
type Stats struct {
	Known     int    // users and devices
	Written   uint64 // records
	Refused   uint64 // sightings of somebody who did not fit
	Forgotten uint64 // who was not seen for too long
	Failed    uint64 // records that the store did not take
	Malformed uint64 // records that could not be read
}

// Stats is a snapshot of the counters.
func (b *Book) Stats() Stats {
	b.mu.Lock()
	known := len(b.all)
	b.mu.Unlock()
	return Stats{Known: known, Written: b.count.written.Load(), Refused: b.count.refused.Load(), Forgotten: b.count.forgotten.Load(),
		Failed: b.count.failed.Load(), Malformed: b.count.malformed.Load()}
}
