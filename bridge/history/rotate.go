package history

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// newEnd ends the name of a file that is being written.
const newEnd = ".new"

// every is how often what came goes into the journal.
const every = time.Second

// Run writes what came into the journal once a second, makes a segment of each
// window, and drops what is too old, until ctx ends; it writes the rest and
// returns nil.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flush()
			return s.close()
		case <-tick.C:
		}
		s.flush()
		if s.now().Sub(s.windowBegun()) >= s.cfg.Window {
			s.rotate()
		}
	}
}

func (s *Store) windowBegun() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// flush writes into the journal what it has not yet.
func (s *Store) flush() {
	s.work.Lock()
	defer s.work.Unlock()
	for more := true; more; {
		s.mu.Lock()
		var record []byte
		j := s.journal
		if j != nil {
			record, more = s.record(), len(s.fresh) > 0
		}
		s.mu.Unlock()
		if record == nil {
			return
		}
		if err := j.write(record); err != nil {
			s.fail(fmt.Errorf("write: %w", err))
			return
		}
	}
}

// record is the next record of the journal; nil: there is nothing to write. The
// caller holds the lock.
func (s *Store) record() []byte {
	for len(s.fresh) > 0 && len(s.journal.pending) < fullRecord {
		one := s.fresh[len(s.fresh)-1]
		s.fresh = s.fresh[:len(s.fresh)-1]
		s.journal.note(one)
	}
	return s.journal.record()
}

// close lets go of the files.
func (s *Store) close() error {
	s.work.Lock()
	defer s.work.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal != nil {
		_ = s.journal.file.Sync() // its end is read again in any case
		_ = s.journal.file.Close()
		s.journal = nil
	}
	for _, g := range s.segments {
		_ = g.close()
	}
	return nil
}

// fail counts and logs what the disk did not do.
func (s *Store) fail(err error) {
	s.failed.Add(1)
	s.log.Error("history is not written as it should be", "err", err)
}

// rotate makes segments of the window that has ended. What cannot be written
// stays in memory, in a segment there, and its journal where it is.
func (s *Store) rotate() {
	s.work.Lock()
	defer s.work.Unlock()
	all, from, to, old := s.take()
	durable := true
	if len(all) > 0 {
		for _, kind := range []string{kindMean, kindRaw} {
			g := s.seal(all, from, to, kind)
			durable = durable && g.path != ""
			s.put(g)
		}
	}
	s.mu.Lock()
	for _, one := range s.series {
		one.closing = nil
	}
	s.mu.Unlock()
	if old != nil {
		err := old.file.Close()
		if durable {
			err = errors.Join(err, os.Remove(old.path))
		}
		if err != nil {
			s.fail(fmt.Errorf("remove the journal: %w", err))
		}
	}
	s.expire()
}

// take begins a new window, and answers the points of the one that has ended and
// its journal.
func (s *Store) take() (all []keyed, from, to int64, old *journal) {
	begin := s.now()
	if begun := s.windowBegun(); !begin.After(begun) {
		begin = begun.Add(time.Millisecond) // the clock was set back
	}
	var fresh *journal
	if s.cfg.Dir != "" {
		var err error
		if fresh, err = newJournal(journalPath(s.cfg.Dir, begin.UnixMilli())); err != nil {
			s.fail(fmt.Errorf("make a journal: %w", err))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to, old = s.begun.UnixMilli(), begin.UnixMilli(), s.journal
	s.begun, s.journal, s.fresh = begin, fresh, nil
	for _, one := range s.series {
		one.noted, one.waits = 0, false
		if len(one.open) > 0 {
			one.closing, one.open = one.open, nil
			all = append(all, keyed{key: one.key, id: one.id, points: one.closing})
		}
	}
	slices.SortFunc(all, func(a, b keyed) int { return cmp.Compare(a.id, b.id) })
	return all, from, to, old
}

// seal makes a segment of points: a file, or, where there is no directory or
// that takes none, in memory.
func (s *Store) seal(all []keyed, from, to int64, kind string) *segment {
	if kind == kindMean {
		all = slices.Clone(all)
		for i := range all {
			all[i].points = means(all[i].points)
		}
	}
	b, places := encodeSegment(all)
	g := &segment{kind: kind, from: from, to: to, size: int64(len(b)), places: places, data: bytes.NewReader(b), close: func() error { return nil }}
	if s.cfg.Dir == "" {
		return g
	}
	path := filepath.Join(s.cfg.Dir, segmentName(from, to, kind))
	file, err := writeFile(path, b)
	if err != nil {
		s.fail(fmt.Errorf("write: %w", err))
		return g
	}
	g.path, g.data, g.close = path, file, file.Close
	return g
}

// writeFile writes a file whole or not at all, and opens it for reading.
func writeFile(path string, b []byte) (*os.File, error) {
	name := path + newEnd
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(b)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(name))
	}
	return file, nil
}

func (s *Store) put(g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, g)
}

// expire drops the segments that are too old, and then, while there are too
// many bytes, the oldest: points before means.
func (s *Store) expire() {
	now := s.now()
	raw, mean := now.Add(-s.cfg.Raw).UnixMilli(), now.Add(-s.cfg.Keep).UnixMilli()
	s.mu.Lock()
	var gone []*segment
	s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool {
		old := g.kind == kindRaw && g.to <= raw || g.to <= mean
		if old {
			gone = append(gone, g)
		}
		return old
	})
	for s.bytes() > s.cfg.Bytes && len(s.segments) > 0 {
		i := max(0, slices.IndexFunc(s.segments, func(g *segment) bool { return g.kind == kindRaw }))
		gone = append(gone, s.segments[i])
		s.segments = slices.Delete(s.segments, i, i+1)
		s.shed.Add(1)
	}
	s.mu.Unlock()
	for _, g := range gone {
		if err := g.remove(); err != nil {
			s.fail(fmt.Errorf("remove: %w", err))
		}
	}
}

func (g *segment) remove() error {
	err := g.close()
	if g.path != "" {
		err = errors.Join(err, os.Remove(g.path))
	}
	return err
}

// load reads what a directory has.
func (s *Store) load() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	done := map[int64]bool{} // windows that have both segments
	var journals []int64
	for _, f := range files {
		name := f.Name()
		from, _, kind, ok := parseSegmentName(name)
		begun, isJournal := parseJournalName(name)
		switch {
		case ok:
			done[from] = s.open(name) && kind == kindRaw || done[from]
		case isJournal:
			journals = append(journals, begun)
		case strings.HasSuffix(name, newEnd): // one that was being written
			if err := os.Remove(filepath.Join(s.cfg.Dir, name)); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(s.segments, func(a, b *segment) int { return cmp.Compare(a.from, b.from) })
	slices.Sort(journals)
	return s.loadJournals(slices.DeleteFunc(journals, func(at int64) bool { return done[at] }), journals)
}

// open adds the segment of a file; one that is damaged goes.
func (s *Store) open(name string) bool {
	path := filepath.Join(s.cfg.Dir, name)
	g := &segment{path: path}
	g.from, g.to, g.kind, _ = parseSegmentName(name)
	err := g.openFile(func(k Key) uint32 { return s.known(k, time.UnixMilli(g.to)).id })
	if err != nil {
		s.damaged.Add(1)
		s.log.Error("a piece of the history is damaged and left out", "err", fmt.Errorf("%s: %w", name, err))
		if err := os.Remove(path); err != nil {
			s.fail(fmt.Errorf("remove: %w", err))
		}
		return false
	}
	s.segments = append(s.segments, g)
	return true
}

func (g *segment) openFile(idOf func(Key) uint32) error {
	file, err := os.Open(g.path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		g.size = info.Size()
		g.places, err = readIndex(file, g.size, idOf)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	g.data, g.close = file, file.Close
	return nil
}

// known is the series of a key that a file has, of which something came then.
func (s *Store) known(k Key, seen time.Time) *series {
	one := s.series[k]
	if one == nil {
		one = &series{id: s.next, key: k}
		s.next++
		s.series[k] = one
	}
	if seen.After(one.seen) {
		one.seen = seen
	}
	return one
}

// loadJournals takes up the windows that have no segments yet as one, the
// oldest, and writes them into a journal that takes the place of all.
func (s *Store) loadJournals(open, all []int64) error {
	begun := s.now().UnixMilli()
	for i, at := range open {
		if i == 0 {
			begun = min(begun, at)
		}
		s.halfSealed(at)
		if err := s.replay(journalPath(s.cfg.Dir, at), time.UnixMilli(at)); err != nil {
			s.damaged.Add(1)
			s.log.Warn("the end of the history was being written and is left out", "err", err)
		}
	}
	s.begun = time.UnixMilli(begun)
	path := journalPath(s.cfg.Dir, begun)
	fresh, err := newJournal(path + newEnd)
	if err != nil {
		return err
	}
	s.journal = fresh
	s.flush()
	if err := errors.Join(fresh.file.Sync(), os.Rename(fresh.path, path)); err != nil {
		return err
	}
	fresh.path = path
	for _, at := range all {
		if old := journalPath(s.cfg.Dir, at); old != path {
			if err := os.Remove(old); err != nil {
				return err
			}
		}
	}
	return nil
}

// halfSealed drops the means of a window whose points did not reach the disk:
// they are made again.
func (s *Store) halfSealed(from int64) {
	s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool {
		if g.from != from {
			return false
		}
		if err := g.remove(); err != nil {
			s.fail(fmt.Errorf("remove: %w", err))
		}
		return true
	})
}

// replay takes up the points of a journal.
func (s *Store) replay(path string, at time.Time) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return replayJournal(file, func(k Key, p sum) {
		one := s.known(k, at)
		one.set(p)
		if !one.waits {
			one.waits, s.fresh = true, append(s.fresh, one)
		}
	})
}
