package estate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Store is a node's own, as a broker uses it: see broker.Store, whose contract this is.
type Store interface {
	Attach(read func(table, key string) (record []byte, keep bool), durable func(pos uint64), lost func(from, to uint64))
	Load(table string, each func(key string, record []byte) error) error
	Join(size int) (pos uint64, trouble error)
	Leave(pos uint64)
	Touch(pos uint64, table, key string) uint64
	TouchLater(table, key string)
	Trouble() error
}

// Config says what a [Mirror] copies.
type Config struct {
	Node   string   // name of this node
	Tables []string // that are copied; what is touched of others goes to the store alone
	Bulk   string   // that of them whose records Bytes bounds
	Bytes  int64    // most bytes of its records in the common copy; 0: 64 MiB
	Log    *slog.Logger
}

// Validate reports all that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.Node == "" {
		errs = append(errs, errors.New("estate: the node has no name"))
	}
	if c.Bytes < 0 {
		errs = append(errs, errors.New("estate: the bound is negative"))
	}
	return errors.Join(errs...)
}

// Stats counts since the start, but for what says "now".
type Stats struct {
	Written uint64 // changes of records in the common copy
	Alone   uint64 // positions that were told with the disk alone, since the common copy did not answer
	Over    uint64 // records that were over the bound and are not in the common copy
	Losses  uint64 // times that the common copy was lost, or did not answer
	Anew    uint64 // times that it was compared from the beginning
	Bytes   int64  // of bounded records in the common copy, now
	Owed    int    // records that it lacks, now
	InStep  bool   // what is acknowledged is there, now
}

// Mirror is a [Store] with a second copy of some tables at what the nodes have in common.
// Its methods are safe for concurrent use. The owner's calls may come from two
// goroutines, one at a time.
type Mirror struct {
	Store
	cfg    Config
	log    *slog.Logger
	common Common
	mark   string // of this start
	copied map[string]bool
	wake   chan struct{}
	count  struct{ written, alone, over, losses, anew atomic.Uint64 }

	claims func(map[string]Claim)

	telling sync.Mutex // held while the owner is told
	read    func(table, key string) ([]byte, bool)
	durable func(pos uint64)

	mu      sync.Mutex
	dirty   map[Name]struct{} // touched, and not yet in the common copy
	pruned  int               // when dirty is as long it is looked through
	urgent  bool              // somebody waits
	touches uint64
	safe    uint64 // touches that are in the common copy
	waiting []held
	inStep  bool
	known   map[Name]int64 // records in the common copy, with their sizes where they are bounded
	bytes   int64
}

// held is a position that is safe on disk, and with so many touches in both.
type held struct{ pos, touches uint64 }

// New makes a mirror of a store that has not been attached. mark is another one with
// each start. Nothing is copied before [Mirror.Run].
func New(cfg Config, mark string, s Store, c Common) (*Mirror, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = 64 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mirror{
		Store: s, cfg: cfg, log: cfg.Log, common: c, mark: mark, copied: map[string]bool{}, wake: make(chan struct{}, 1),
		dirty: map[Name]struct{}{}, known: map[Name]int64{}, pruned: mostDirty, claims: func(map[string]Claim) {},
	}
	for _, t := range cfg.Tables {
		m.copied[t] = true
	}
	return m, nil
}

// OnClaims has f told which sessions of this node others have taken over, before Run. It
// may block for a while, and not call the mirror.
func (m *Mirror) OnClaims(f func(map[string]Claim)) { m.claims = f }

// Stats is a snapshot of the counters.
func (m *Mirror) Stats() Stats {
	c := &m.count
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Written: c.written.Load(), Alone: c.alone.Load(), Over: c.over.Load(), Losses: c.losses.Load(), Anew: c.anew.Load(),
		Bytes: m.bytes, Owed: len(m.dirty), InStep: m.inStep,
	}
}

// Attach implements broker.Store.
func (m *Mirror) Attach(read func(table, key string) ([]byte, bool), durable func(pos uint64), lost func(from, to uint64)) {
	m.read = read
	m.durable = func(pos uint64) { m.tell(func() { durable(pos) }) }
	m.Store.Attach(read, m.onDisk, func(from, to uint64) { m.tell(func() { lost(from, to) }) })
}

func (m *Mirror) tell(what func()) {
	m.telling.Lock()
	defer m.telling.Unlock()
	what()
}

// Touch implements broker.Store.
func (m *Mirror) Touch(pos uint64, table, key string) uint64 {
	m.touch(table, key, true)
	return m.Store.Touch(pos, table, key)
}

// TouchLater implements broker.Store.
func (m *Mirror) TouchLater(table, key string) {
	m.touch(table, key, false)
	m.Store.TouchLater(table, key)
}

func (m *Mirror) touch(table, key string, awaited bool) {
	if !m.copied[table] || key == "" {
		return
	}
	m.mu.Lock()
	m.dirty[Name{table, key}] = struct{}{}
	m.touches++
	first := awaited && !m.urgent || len(m.dirty) == 1
	m.urgent = m.urgent || awaited
	m.mu.Unlock()
	if first {
		m.nudge()
	}
}

func (m *Mirror) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// onDisk is told by the store that a position is safe there. All that belongs to it has
// been touched.
func (m *Mirror) onDisk(pos uint64) {
	m.mu.Lock()
	wait := m.inStep && m.safe < m.touches
	if wait {
		m.waiting = append(m.waiting, held{pos, m.touches})
		m.urgent = true
	} else if !m.inStep {
		m.count.alone.Add(1)
	}
	m.mu.Unlock()
	if wait {
		m.nudge()
		return
	}
	m.durable(pos)
}

// Claims, as a broker takes sessions over.

// Claim claims the session of a client of another node for this one, where nobody has, or
// the node that is named instead. It answers whose it is.
func (m *Mirror) Claim(ctx context.Context, node, client string, at int64, instead string) (Claim, error) {
	return m.common.Claim(ctx, node, client, Claim{By: m.cfg.Node, At: at}, instead)
}

// Settle marks claims of this node as done, once all that was touched before is in its
// own copy; until then it blocks.
func (m *Mirror) Settle(ctx context.Context, node string, claims map[string]Claim) error {
	if err := m.sync(ctx); err != nil {
		return err
	}
	for client, c := range claims {
		c.Done = true
		claims[client] = c
	}
	return m.common.Settle(ctx, node, claims)
}

// Disclaim deletes claims on sessions of this node, which have ended here.
func (m *Mirror) Disclaim(ctx context.Context, clients []string) error {
	return m.common.Disclaim(ctx, m.cfg.Node, clients)
}

// Version is another one when what a node would leave has changed; empty: it has left
// nothing.
func (m *Mirror) Version(ctx context.Context, node string) (string, error) {
	return m.common.Version(ctx, node)
}

// Read calls each with what a node has left.
func (m *Mirror) Read(ctx context.Context, node string, each func(Record)) error {
	return m.common.Read(ctx, node, each)
}

// Nodes are those that have left, or would leave, something.
func (m *Mirror) Nodes(ctx context.Context) ([]string, error) { return m.common.Nodes(ctx) }

// Drop deletes what a node has left, when all of it is taken over.
func (m *Mirror) Drop(ctx context.Context, node string) error { return m.common.Drop(ctx, node) }
