package clip

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Info is what is known of a clip.
type Info struct {
	Sum    Sum
	Bytes  int64
	Type   string        // media type; empty: not measured
	Length time.Duration // how long it sounds; 0: not measured
	Name   string        // for people; may be empty
	Keys   []string      // what it was made of; none: it was sent here
	Added  time.Time
	Used   time.Time // to the minute
}

// About is what who brings a clip knows of it.
type About struct {
	Name string // for people; may be empty
	Key  string // what it was made of, for [Store.Find]; empty: none
	Sum  Sum    // what its bytes must be, else they are refused with [ErrSum]; zero: any
}

// Store keeps clips in a directory, which no other process may use. It is safe
// for concurrent use.
type Store struct {
	cfg   Config
	slots chan struct{} // who writes a newcomer has one
	count counters

	mu    sync.Mutex // also held while files of clips are put in place or removed
	clips map[Sum]*entry
	keys  map[string]Sum
	bytes int64 // of clips, and of what is about to be one
}

// entry is a clip that is there.
type entry struct {
	Info
	right   time.Time // when its bytes were last found right; zero: not since the start
	changed time.Time // of the file then
	wrote   time.Time // the use that the file's time says
}

type counters struct {
	stored, known, read, missing, evicted, evictedBytes, damaged, full, refused atomic.Uint64
}

// Stats counts what a [Store] has, and has done since it was opened.
type Stats struct {
	Clips        int
	Bytes        int64 // of them
	MaxBytes     int64
	Stored       uint64 // taken in
	Known        uint64 // brought, and there already
	Read         uint64 // given back
	Missing      uint64 // asked for, and not there
	Evicted      uint64 // gone to make room
	EvictedBytes uint64
	Damaged      uint64 // set aside, their bytes were not theirs any more
	Full         uint64 // refused for want of room
	Refused      uint64 // refused as too large, or no sound
}

// Open opens a store, and takes in the clips of its directory. What an end in
// the middle has left is cleaned away. Its error is a configuration that is not
// valid, or a directory that cannot be used.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fill()
	s := &Store{cfg: cfg, slots: make(chan struct{}, writers), clips: map[Sum]*entry{}, keys: map[string]Sum{}}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("clips in %s: %w", cfg.Dir, err)
	}
	return s, nil
}

// Get tells what is known of a clip. It does not count as a use, and does not
// look at the bytes.
func (s *Store) Get(sum Sum) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.clips[sum]
	if e == nil {
		return Info{}, false
	}
	return e.Info, true
}

// Find answers the clip that was made of what key says.
func (s *Store) Find(key string) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.clips[s.keys[key]]
	if key == "" || e == nil {
		return Info{}, false
	}
	return e.Info, true
}

// Use tells what is known of a clip, and keeps it for ten seconds at least: so
// long has who is about to need it to say so.
func (s *Store) Use(sum Sum) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.clips[sum]
	if e == nil {
		s.count.missing.Add(1)
		return Info{}, false
	}
	s.touch(e)
	return e.Info, true
}

// List is what is known of all clips, in the order of their names.
func (s *Store) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Info, 0, len(s.clips))
	for _, e := range s.clips {
		all = append(all, e.Info)
	}
	slices.SortFunc(all, func(a, b Info) int { return slices.Compare(a.Sum[:], b.Sum[:]) })
	return all
}

// Stats is a snapshot of the counters.
func (s *Store) Stats() Stats {
	c := &s.count
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Clips: len(s.clips), Bytes: s.bytes, MaxBytes: s.cfg.MaxBytes, Stored: c.stored.Load(), Known: c.known.Load(), Read: c.read.Load(),
		Missing: c.missing.Load(), Evicted: c.evicted.Load(), EvictedBytes: c.evictedBytes.Load(), Damaged: c.damaged.Load(), Full: c.full.Load(), Refused: c.refused.Load()}
}

// Remove deletes a clip: [ErrNotFound], or [ErrNeeded] for one that must stay.
func (s *Store) Remove(sum Sum) error {
	needed := s.cfg.Needed()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.clips[sum]
	switch {
	case e == nil:
		return ErrNotFound
	case needed[sum]:
		return ErrNeeded
	}
	return s.drop(e)
}
