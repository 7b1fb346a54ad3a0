package absence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
)

// Left is what a lost connection has left.
type Left struct {
	Conn string `json:"conn"` // its id
	// At is when its client was heard last, or may have been.
	At time.Time `json:"at"`
	// Groups are those that it was in, and where it stood; nil: where the group stood
	// at At.
	Groups map[string]*signalr.Position `json:"groups"`
}

// Table is where it is kept: what of a table that all nodes have the book needs.
type Table interface {
	Load(each func(key string, value []byte) error) error
	Get(key string) (value []byte, ok bool, err error)
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	// PutIf changes a record if it is as old says (nil: not there), and answers what it
	// has found instead: degraded.
	PutIf(ctx context.Context, key string, old, value []byte) (found []byte, done bool, err error)
}

// Config sets a book up. Zero values mean the defaults.
type Config struct {
	Node   string        // this hub process, as the ids of its connections end
	Keep   time.Duration // default 24 h
	Each   int           // lost connections of one owner; default 8
	Groups int           // of one of them; default 256
	Owners int           // default 20,000
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	if c.Keep < 0 || c.Each < 0 || c.Groups < 0 || c.Owners < 0 {
		return errors.New("absence: a bound is negative")
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Keep == 0 {
		c.Keep = 24 * time.Hour
	}
	for p, v := range map[*int]int{&c.Each: 8, &c.Groups: 256, &c.Owners: 20_000} {
		if *p == 0 {
			*p = v
		}
	}
	return c
}

// Book has what is left. Make it with [New]; it is safe for concurrent use.
type Book struct {
	cfg    Config
	table  Table
	now    func() time.Time
	log    *slog.Logger
	owners atomic.Int64 // about
	count  struct{ kept, taken, refused, forgotten, failed atomic.Uint64 }
}

// New makes the book of what a table has.
func New(cfg Config, t Table, now func() time.Time, log *slog.Logger) (*Book, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Book{cfg: cfg.withDefaults(), table: t, now: now, log: log}
	_, err := b.all()
	return b, err
}

// Keep keeps what a connection of an owner has left, unless that was taken. Of one that is
// known already the newest word counts. It blocks until that is durable, or ctx ends.
func (b *Book) Keep(ctx context.Context, who string, l Left) {
	if names := slices.Sorted(maps.Keys(l.Groups)); len(names) > b.cfg.Groups {
		b.count.refused.Add(1)
		l.Groups = maps.Clone(l.Groups)
		for _, name := range names[b.cfg.Groups:] {
			delete(l.Groups, name)
		}
	}
	kept := false
	err := b.change(ctx, who, func(r *record) bool {
		if kept = !r.has(l.Conn) && !r.newer(l); !kept {
			return false
		}
		r.Left = append(slices.DeleteFunc(r.Left, func(o Left) bool { return o.Conn == l.Conn }), l)
		if over := len(r.Left) - b.cfg.Each; over > 0 {
			b.count.refused.Add(uint64(over))
			r.Left = r.Left[over:]
		}
		return true
	}, func() bool { return b.own(l.Conn) })
	switch {
	case err != nil:
		b.failed(who, err)
	case kept:
		b.count.kept.Add(1)
	}
}

// Take takes what one connection of an owner has left: the oldest that fits, or else the
// first of more, which nobody has kept yet, that was not taken. It answers false where
// there is nothing, or another one was faster. It blocks as Keep does.
func (b *Book) Take(ctx context.Context, who string, fits func(Left) bool, more ...Left) (l Left, ok bool) {
	if !b.waits(who) && len(more) == 0 {
		return l, false
	}
	err := b.change(ctx, who, func(r *record) bool {
		l, ok = r.first(fits, more, b.now().Add(-b.cfg.Keep))
		if ok {
			r.take(l.Conn, b.now())
		}
		return ok
	}, func() bool { return b.own(l.Conn) })
	if err != nil {
		b.failed(who, err)
		return Left{}, false
	}
	if ok {
		b.count.taken.Add(1)
	}
	return l, ok
}

// Drop forgets what a connection has left that was taken for lost, and has ended now in
// good order.
func (b *Book) Drop(ctx context.Context, who, conn string) {
	if !b.waits(who) {
		return
	}
	err := b.change(ctx, who, func(r *record) bool {
		n := len(r.Left)
		r.Left = slices.DeleteFunc(r.Left, func(l Left) bool { return l.Conn == conn })
		return len(r.Left) < n
	}, func() bool { return b.own(conn) })
	if err != nil {
		b.failed(who, err)
	}
}

// own tells whether a connection was this node's.
func (b *Book) own(conn string) bool { return strings.HasSuffix(conn, "."+b.cfg.Node) }

// waits tells whether something of an owner is there.
func (b *Book) waits(who string) bool {
	value, ok, err := b.table.Get(who)
	if err != nil || !ok {
		return false
	}
	r, err := parse(value)
	return err == nil && len(r.Left) > 0
}

// tries bounds how often a change begins anew because another node was faster.
const tries = 16

var errBusy = errors.New("absence: too many change it at once")

// change changes the record of an owner: f does, and answers whether it has. Where the
// common copy is away it is done here alone, if alone says so.
func (b *Book) change(ctx context.Context, who string, f func(*record) bool, alone func() bool) error {
	old, ok, err := b.table.Get(who)
	if err != nil {
		return err
	}
	if !ok {
		old = nil
	}
	for range tries {
		r, err := parse(old)
		if err != nil {
			return err
		}
		if !f(&r) {
			return nil
		}
		if old == nil && int(b.owners.Load()) >= b.cfg.Owners {
			b.count.refused.Add(1)
			return nil
		}
		value := r.encode()
		found, done, err := b.table.PutIf(ctx, who, old, value)
		if area.CodeOf(err) == area.CodeDegraded && alone() {
			done, err = true, b.putAlone(ctx, who, value)
		}
		switch {
		case err != nil:
			return err
		case done:
			b.counted(old, value)
			return nil
		}
		old = found
	}
	return errBusy
}

func (b *Book) putAlone(ctx context.Context, who string, value []byte) error {
	if value == nil {
		return b.table.Delete(ctx, who)
	}
	return b.table.Put(ctx, who, value)
}

func (b *Book) counted(old, value []byte) {
	switch {
	case old == nil && value != nil:
		b.owners.Add(1)
	case old != nil && value == nil:
		b.owners.Add(-1)
	}
}

func (b *Book) failed(who string, err error) {
	b.count.failed.Add(1)
	b.log.Warn("what a lost connection has left cannot be kept, or taken", "rule", who, "err", err)
}

// Stats counts. Owners is about now, the others only grow.
type Stats struct {
	Owners    int    // of whom something is known
	Kept      uint64 // things that lost connections have left
	Taken     uint64 // of them
	Refused   uint64 // that did not fit, or not wholly
	Forgotten uint64 // that were too old
	Failed    uint64 // changes that the table did not take
}

// Stats is a snapshot of the counters.
func (b *Book) Stats() Stats {
	return Stats{Owners: int(b.owners.Load()), Kept: b.count.kept.Load(), Taken: b.count.taken.Load(), Refused: b.count.refused.Load(),
		Forgotten: b.count.forgotten.Load(), Failed: b.count.failed.Load()}
}

// Run forgets what is too old until ctx ends; it returns nil.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			b.tidy(ctx)
		}
	}
}

// all lists the owners, and counts them.
func (b *Book) all() (owners []string, err error) {
	err = b.table.Load(func(key string, _ []byte) error {
		owners = append(owners, key)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("absences: %w", err)
	}
	b.owners.Store(int64(len(owners)))
	return owners, nil
}

// tidy forgets what is too old. Every node does: the first is enough.
func (b *Book) tidy(ctx context.Context) {
	owners, err := b.all()
	if err != nil {
		b.failed("", err)
		return
	}
	for _, who := range owners {
		n := 0
		err := b.change(ctx, who, func(r *record) bool {
			var old bool
			n, old = r.forget(b.now(), b.cfg.Keep)
			return old
		}, func() bool { return false })
		switch {
		case err == nil:
			b.count.forgotten.Add(uint64(n))
		case area.CodeOf(err) == area.CodeDegraded, ctx.Err() != nil:
			return // the next time
		default:
			b.failed(who, err)
		}
	}
}
