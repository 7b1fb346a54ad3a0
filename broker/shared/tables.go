package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/store"
)

// Config says which tables there are.
type Config struct {
	// Node is the name of this node, 1 to 64 bytes; it may be empty where there is no
	// Common.
	Node string
	// Tables are the names of the tables, each 1 to 64 bytes.
	Tables []string
	// Now is the node's clock; nil: time.Now.
	Now func() time.Time
	Log *slog.Logger // nil: nothing is logged
}

// stampTable is the store's table of stamps.
const stampTable = "shared"

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if len(c.Node) > 64 {
		errs = append(errs, fmt.Errorf("shared: the node's name has %d bytes, at most 64", len(c.Node)))
	}
	for i, name := range c.Tables {
		if name == "" || len(name) > 64 || name == stampTable || slices.Contains(c.Tables[:i], name) {
			errs = append(errs, fmt.Errorf("shared: the table's name %q is taken, or has not 1 to 64 bytes", name))
		}
	}
	return errors.Join(errs...)
}

// Tables are the shared tables of a node. Make them with [New]. Their methods are
// safe for concurrent use.
type Tables struct {
	cfg    Config
	store  *store.Store
	common Common // nil: the node is alone
	log    *slog.Logger
	count  counters

	swaps sync.Mutex // of a node that is alone: one PutIf at a time

	pushes, tells, doubts chan struct{} // each holds one: there is work

	mu       sync.Mutex
	clock    clock
	tables   map[string]map[string]record
	watchers map[string][]func(key string, value []byte)
	owed     map[Name]struct{}
	news     []Name // what watchers are to be told, each once
	waiting  map[Name]struct{}
	doubt    map[Name]struct{} // what the disk has refused: what it holds has to be looked at
	synced   synced
}

// record is what is known of a record without looking at the disk.
type record struct {
	Stamp
	value  []byte // while it is on its way to the disk
	flying bool
}

// New opens the tables of a store. Common is nil for a node that is alone. It blocks
// for the disk.
func New(cfg Config, s *store.Store, common Common) (*Tables, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := &Tables{
		cfg: cfg, store: s, common: common, log: cfg.Log, clock: clock{now: cfg.Now},
		pushes: make(chan struct{}, 1), tells: make(chan struct{}, 1), doubts: make(chan struct{}, 1),
		tables: map[string]map[string]record{}, watchers: map[string][]func(string, []byte){},
		owed: map[Name]struct{}{}, waiting: map[Name]struct{}{}, doubt: map[Name]struct{}{},
	}
	if common == nil {
		return t, t.leave()
	}
	if cfg.Node == "" {
		return nil, errors.New("shared: the node has no name")
	}
	return t, t.open()
}

// Table is the table of that name. The names are the program's own: one that is not
// in the [Config] panics.
func (t *Tables) Table(name string) *Table {
	if !slices.Contains(t.cfg.Tables, name) {
		panic("shared: no table " + name)
	}
	return &Table{t: t, name: name, local: t.store.Table(name)}
}

// Run follows the common copy until ctx ends.
func (t *Tables) Run(ctx context.Context) error {
	if t.common == nil {
		<-ctx.Done()
		return nil
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { t.follow(ctx) })
	tasks.Go(func() { t.push(ctx) })
	tasks.Go(func() { t.tell(ctx) })
	tasks.Wait()
	err := t.keepSynced(context.WithoutCancel(ctx))
	t.count.connected.Store(false)
	return err
}

// Stats are counts since New, and what is the case now.
type Stats struct {
	Owed      int    // changes that the common copy does not have yet
	Pushed    uint64 // changes that it has got
	Applied   uint64 // changes of others that came
	Conflicts uint64 // changes made here that a newer one of another node has replaced
	Gaps      uint64 // times that the changes that came were not all
	Resyncs   uint64 // comparisons of the whole
	Losses    uint64 // times that the common copy could not be reached any more
	Refused   uint64 // changes of others that the disk did not take; they come again
	Forgotten uint64 // stamps of deleted records that are forgotten
	Connected bool   // the common copy is followed
	Alone     bool   // there is none
}

type counters struct {
	pushed, applied, conflicts, gaps, resyncs, losses, refused, forgotten atomic.Uint64
	connected                                                             atomic.Bool
}

// Stats answers the counts.
func (t *Tables) Stats() Stats {
	t.mu.Lock()
	owed := len(t.owed)
	t.mu.Unlock()
	c := &t.count
	return Stats{
		Owed: owed, Pushed: c.pushed.Load(), Applied: c.applied.Load(), Conflicts: c.conflicts.Load(), Gaps: c.gaps.Load(), Resyncs: c.resyncs.Load(),
		Losses: c.losses.Load(), Refused: c.refused.Load(), Forgotten: c.forgotten.Load(), Connected: c.connected.Load(), Alone: t.common == nil,
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // whoever waits will look anyway
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
