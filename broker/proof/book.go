package proof

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config of a [Book].
type Config struct {
	Dir  string // one directory per area below it
	Node string // of the hub, in its records
	// Copies has what other nodes have recorded, of at most 64 of them, one directory
	// per node and area, each within the same bounds as the record of an area here;
	// empty: nothing is copied.
	Copies string
	// Queue bounds the records that wait to be written, over all areas. What finds
	// it full is counted, and recorded as missing. 0: 4,096.
	Queue int
	// FileBytes is how long a file of the record gets, 64 KiB or more, and Files how
	// many of an area are kept, the newest, 2 or more. 0: 256 KiB, and 256.
	FileBytes int64
	Files     int
	// CommonBytes is how much of an area's record the nodes have in common of each of
	// them ([Book.Mirror]): whole files, the newest, and that one in any case. FileBytes
	// or more; 0: 2 MiB.
	CommonBytes int64
}

const syncEvery = 5 * time.Second

// Book writes the records of all areas. Make it with [Open]; Run writes. Its
// methods are safe for concurrent use.
type Book struct {
	cfg   Config
	clock func() int64
	log   *slog.Logger
	queue chan entry
	count struct {
		written, dropped, failed, overlaps, intruders, conflicts, barges, splits, perNode atomic.Uint64
		copied, copyFailed, forks                                                         atomic.Uint64
		mirrored, mirrorFailed, mirrorForks, regained                                     atomic.Uint64
	}
	life   string // of this start, for who copies
	pastes chan pasted
	grew   chan struct{} // holds one: there is more for [Book.Mirror]
	done   chan struct{} // closed when Run has returned

	areas  map[area.Name]*volume // Run's own
	audits map[area.Name]*Audit  // same; of areas too that only other nodes have recorded
	copies map[place]*files      // same

	mu     sync.Mutex
	recent []int64               // when findings of the last 24 h were
	heads  map[area.Name]version // how far each record goes
	newest uint64                // of them
	begun  bool                  // all that were there are among them
	peers  map[string]*peer      // the other nodes
	got    map[place]head        // how far each copy goes
}

type entry struct {
	area area.Name
	r    Record
}

// volume is the record of one area.
type volume struct {
	files   *files
	missing uint64 // records that could not be written
	sick    bool   // the last one could not, and that was logged
}

// Open makes a book. now is the wall's clock: what it says at the start is counted
// on evenly.
func Open(cfg Config, now func() time.Time, log *slog.Logger) (*Book, error) {
	if cfg.Dir == "" || now == nil || log == nil {
		return nil, errors.New("proof: a part is missing")
	}
	if cfg.Queue == 0 {
		cfg.Queue = 4096
	}
	if cfg.FileBytes == 0 {
		cfg.FileBytes = segmentSize
	}
	if cfg.Files == 0 {
		cfg.Files = segmentsKept
	}
	if cfg.CommonBytes == 0 {
		cfg.CommonBytes = max(commonSize, cfg.FileBytes)
	}
	if cfg.FileBytes < 64<<10 || cfg.Files < 2 || cfg.CommonBytes < cfg.FileBytes {
		return nil, fmt.Errorf("proof: %d files of %d bytes are less than 2 of 65536, or %d in common less than a file", cfg.Files, cfg.FileBytes, cfg.CommonBytes)
	}
	for _, dir := range []string{cfg.Dir, cfg.Copies} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
	}
	began := now()
	clock := func() int64 { return began.UnixMilli() + now().Sub(began).Milliseconds() } // Sub is by the monotonic clock
	return &Book{
		cfg: cfg, clock: clock, log: log, queue: make(chan entry, cfg.Queue), areas: map[area.Name]*volume{}, audits: map[area.Name]*Audit{}, life: rand.Text(), pastes: make(chan pasted),
		grew: make(chan struct{}, 1), done: make(chan struct{}),
		copies: map[place]*files{}, heads: map[area.Name]version{}, peers: map[string]*peer{}, got: map[place]head{},
	}, nil
}

// Note takes one record of an area, with the time of this moment. It does not
// block.
func (b *Book) Note(a area.Name, r Record) {
	r.T = b.clock()
	select {
	case b.queue <- entry{a, r}:
	default:
		b.count.dropped.Add(1)
	}
}

// Merge takes one record that the leader of an area has noted itself, so long
// ago: see [Audit] for records out of order. What a leader may not say (that it
// began to write, or could not) is left out. It does not block.
func (b *Book) Merge(a area.Name, r Record, ago time.Duration) {
	switch r.Is {
	case Granted, Freed, Sounded, Intruder, Left, Conflict, Barge:
	default:
		return
	}
	r.T, r.N, r.Count, r.Prev = b.clock()-max(0, ago.Milliseconds()), 0, 0, ""
	select {
	case b.queue <- entry{a, r}:
	default:
		b.count.dropped.Add(1)
	}
}

// Run writes until ctx ends, then what still waits, and closes the files. It
// returns nil: what cannot be written is counted, recorded when it can be again,
// and logged. It runs once.
func (b *Book) Run(ctx context.Context) error {
	defer close(b.done)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	b.begin()
	var dropped uint64
	for {
		select {
		case e := <-b.queue:
			b.write(e)
		case in := <-b.pastes:
			in.done <- b.arrive(in)
		case <-tick.C:
			b.sync()
			b.forget()
		case <-ctx.Done():
			b.finish()
			return nil
		}
		if n := b.count.dropped.Load(); n > dropped {
			b.lost(n - dropped)
			dropped = n
		}
	}
}

// begin goes on with the records that there are, so that each says when the hub was
// there again.
func (b *Book) begin() {
	if b.cfg.Copies != "" {
		if err := b.loadCopies(); err != nil {
			b.log.Error("records cannot be read", "err", err)
		}
	}
	list, err := os.ReadDir(b.cfg.Dir)
	if err != nil {
		b.log.Error("records cannot be read", "err", err)
	}
	for _, e := range list {
		a, err := area.ParseName(e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		if _, err := b.volume(a); err != nil {
			b.count.failed.Add(1)
			b.log.Error("record of an area cannot be kept", "area", a, "err", err)
		}
	}
	b.mu.Lock()
	b.begun = true
	b.mu.Unlock()
	b.wakeMirror()
}

// lost has every area's record say that some are missing: whose they were is not
// known.
func (b *Book) lost(n uint64) {
	for _, v := range b.areas {
		v.missing += n
	}
}

func (b *Book) write(e entry) {
	v, err := b.volume(e.area)
	if err != nil {
		b.count.failed.Add(1)
		b.log.Error("record of an area cannot be kept", "area", e.area, "err", err)
		return
	}
	if v.missing > 0 {
		if b.put(e.area, v, Record{T: e.r.T, Is: Missing, Count: v.missing}) {
			v.missing = 0
		}
	}
	if !b.put(e.area, v, e.r) {
		v.missing++
	}
}

func (b *Book) put(a area.Name, v *volume, r Record) bool {
	if err := v.files.append(r); err != nil {
		b.count.failed.Add(1)
		if !v.sick {
			b.log.Error("record of an area cannot be written", "area", a, "err", err)
		}
		v.sick = true
		return false
	}
	v.sick = false
	b.count.written.Add(1)
	b.grown(a, v.files)
	switch r.Is {
	case Barge:
		b.count.barges.Add(1)
	case Split:
		b.count.splits.Add(1)
	case PerNode:
		b.count.perNode.Add(1)
	}
	if audit := b.audits[a]; audit != nil {
		b.judge(a, audit.from("", 0, false).Take(r))
	}
	return true
}

// grown notes how far the record of an area goes.
func (b *Book) grown(a area.Name, f *files) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest++
	b.heads[a] = version{head{f.n, f.chain.String()}, b.newest}
	b.wakeMirror()
}

func (b *Book) wakeMirror() {
	select {
	case b.grew <- struct{}{}:
	default:
	}
}

// volume is the record of an area, begun or gone on with; what it says of the last
// 24 hours is read.
func (b *Book) volume(a area.Name) (*volume, error) {
	if v := b.areas[a]; v != nil {
		return v, nil
	}
	dir := filepath.Join(b.cfg.Dir, string(a))
	files, err := openFiles(dir)
	if err != nil {
		return nil, err
	}
	files.most, files.keep = b.cfg.FileBytes, b.cfg.Files
	if err := b.follow(a); err != nil {
		return nil, err
	}
	v := &volume{files: files}
	b.areas[a] = v
	b.put(a, v, Record{T: b.clock(), Is: Started, Node: b.cfg.Node})
	return v, nil
}

func (b *Book) sync() {
	for a, v := range b.areas {
		if err := v.files.sync(); err != nil {
			b.count.failed.Add(1)
			b.log.Error("record of an area cannot be written", "area", a, "err", err)
		}
	}
	for p, f := range b.copies {
		if err := f.sync(); err != nil {
			b.count.copyFailed.Add(1)
			b.log.Error("record of an area cannot be written", "area", p.area, "node", p.node, "err", err)
		}
	}
}

func (b *Book) finish() {
	for {
		select {
		case e := <-b.queue:
			b.write(e)
			continue
		default:
		}
		break
	}
	b.closeCopies()
	for a, v := range b.areas {
		b.put(a, v, Record{T: b.clock(), Is: Ended, Node: b.cfg.Node})
		if err := v.files.close(); err != nil {
			b.log.Error("record of an area cannot be written", "area", a, "err", err)
		}
	}
}
