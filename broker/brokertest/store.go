package brokertest

import (
	"maps"
	"slices"
	"sync"
	"testing"
)

// Store is a [broker.Store] in memory, whose disk a test can slow down, fill
// and break. Make it with [NewStore].
type Store struct {
	t testing.TB

	mu      sync.Mutex
	moved   sync.Cond // something below has changed
	disk    map[place][]byte
	touched map[place]struct{}
	pos     uint64 // of the group that gathers
	inside  int    // joined and not left
	awaited bool
	writing bool // a group is on its way to the disk
	held    bool
	trouble error
	final   bool
	closed  bool
	writes  int

	read    func(table, key string) ([]byte, bool)
	durable func(pos uint64)
	lost    func(from, to uint64)
	work    sync.WaitGroup
}

type place struct{ table, key string }

// NewStore makes a store that lasts until the test ends.
func NewStore(t testing.TB) *Store { return newStore(t, map[place][]byte{}) }

func newStore(t testing.TB, disk map[place][]byte) *Store {
	s := &Store{t: t, disk: disk, touched: map[place]struct{}{}, pos: 1}
	s.moved.L = &s.mu
	s.work.Go(s.run)
	t.Cleanup(s.close)
	return s
}

// Crashed is a store with what is on this one's disk now: what a process finds
// that begins after this one was killed.
func (s *Store) Crashed() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newStore(s.t, maps.Clone(s.disk))
}

// Hold makes the disk take so long that nothing is written until Release.
func (s *Store) Hold() { s.set(func() { s.held = true }) }

// Release ends Hold.
func (s *Store) Release() { s.set(func() { s.held = false }) }

// Fail makes every write fail from now on; final: for good, and everything that
// waits is lost. Nil heals what is not final.
func (s *Store) Fail(err error, final bool) { s.set(func() { s.trouble, s.final = err, final }) }

// Writes counts the groups in which something on the disk has changed.
func (s *Store) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Keys lists what is on the disk of a table.
func (s *Store) Keys(table string) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.disk {
		if p.table == table {
			keys = append(keys, p.key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Settle waits until everything that was touched is written, that for later
// included.
func (s *Store) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.writing || s.awaited || len(s.touched) > 0 {
		if !s.awaited && len(s.touched) > 0 {
			s.awaited = true
			s.moved.Broadcast()
		}
		s.moved.Wait()
	}
}

func (s *Store) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.moved.Broadcast()
}

func (s *Store) close() {
	s.set(func() { s.closed = true })
	s.work.Wait()
}

// Attach is of [broker.Store], as is what follows.
func (s *Store) Attach(read func(table, key string) ([]byte, bool), durable func(pos uint64), lost func(from, to uint64)) {
	s.set(func() { s.read, s.durable, s.lost = read, durable, lost })
}

// Load calls each with the records of a table.
func (s *Store) Load(table string, each func(key string, record []byte) error) error {
	for _, key := range s.Keys(table) {
		s.mu.Lock()
		record := slices.Clone(s.disk[place{table, key}])
		s.mu.Unlock()
		if err := each(key, record); err != nil {
			return err
		}
	}
	return nil
}

// Join joins the group that gathers.
func (s *Store) Join(int) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside++
	s.awaited = true
	return s.pos, s.trouble
}

// Leave ends what Join began.
func (s *Store) Leave(uint64) { s.set(func() { s.inside-- }) }

// Touch says that a record has changed.
func (s *Store) Touch(pos uint64, table, key string) uint64 {
	s.set(func() {
		s.touched[place{table, key}] = struct{}{}
		s.awaited = true
		pos = s.pos
	})
	return pos
}

// TouchLater says so without anybody waiting.
func (s *Store) TouchLater(table, key string) {
	s.set(func() { s.touched[place{table, key}] = struct{}{} })
}

// Trouble is what Fail has set.
func (s *Store) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// run writes one group after the other.
func (s *Store) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := false
	for {
		for !s.closed && (!s.awaited || s.inside > 0 || s.held || s.trouble != nil && (!s.final || told)) {
			s.moved.Wait()
		}
		if s.closed {
			return
		}
		group, pos := s.touched, s.pos
		s.touched, s.awaited, s.writing = map[place]struct{}{}, false, true
		s.pos++
		if s.trouble != nil {
			told = true
			s.calling(func() { s.lost(pos, 1<<64-1) })
		} else {
			s.write(group)
			s.calling(func() { s.durable(pos) })
		}
		s.writing = false
		s.moved.Broadcast()
	}
}

// write puts a group on the disk, all of it at once.
func (s *Store) write(group map[place]struct{}) {
	records := map[place][]byte{}
	s.calling(func() {
		for p := range group {
			if record, keep := s.read(p.table, p.key); keep {
				records[p] = record
			}
		}
	})
	changed := false
	for p := range group {
		record, keep := records[p]
		old, had := s.disk[p]
		switch {
		case keep && (!had || !slices.Equal(old, record)):
			s.disk[p] = record
			changed = true
		case !keep && had:
			delete(s.disk, p)
			changed = true
		}
	}
	if changed {
		s.writes++
	}
}

// calling calls out without the lock.
func (s *Store) calling(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}
