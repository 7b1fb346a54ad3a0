package clip

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Open opens a clip for reading, which counts as a use. It blocks for the disk:
// unless that was done lately the bytes are read and looked at first. The file
// is the caller's to close; it stays readable when the clip goes. Its errors wrap
// [ErrNotFound] and [ErrDamaged].
func (s *Store) Open(sum Sum) (*os.File, Info, error) {
	e, trusted := s.ask(sum)
	if e == nil {
		s.count.missing.Add(1)
		return nil, Info{}, fmt.Errorf("%w: %s", ErrNotFound, sum)
	}
	f, err := os.Open(s.path(sum))
	if err != nil {
		return nil, Info{}, s.lost(e, err)
	}
	if err := s.check(f, e, trusted); err != nil {
		return nil, Info{}, errors.Join(s.lost(e, err), f.Close())
	}
	s.count.read.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touch(e)
	return f, e.Info, nil
}

// ask finds a clip, and tells the time of its file when its bytes were right;
// zero: they have to be looked at.
func (s *Store) ask(sum Sum) (e *entry, trusted time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e = s.clips[sum]
	if e != nil && s.cfg.Now().Sub(e.right) < trustFor {
		trusted = e.changed
	}
	return e, trusted
}

// check looks whether the bytes of an open file are those of the clip.
func (s *Store) check(f *os.File, e *entry, trusted time.Time) error {
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	if stat.Size() != e.Bytes {
		return fmt.Errorf("%w: %d bytes of %d", ErrDamaged, stat.Size(), e.Bytes)
	}
	if !trusted.IsZero() && stat.ModTime().Equal(trusted) {
		return nil
	}
	is, err := sumOf(f)
	if err != nil || is != e.Sum {
		return errors.Join(err, ErrDamaged)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.right, e.changed = s.cfg.Now(), stat.ModTime()
	return nil
}

// lost gives up a clip whose bytes cannot be had. Where it was removed meanwhile
// it is not found.
func (s *Store) lost(e *entry, why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clips[e.Sum] != e {
		return fmt.Errorf("%w: %s", ErrNotFound, e.Sum)
	}
	s.forget(e)
	s.setAside(e.Sum)
	if !errors.Is(why, ErrDamaged) {
		why = fmt.Errorf("%w: %w", ErrDamaged, why)
	}
	return fmt.Errorf("%s: %w", e.Sum, why)
}

// touch notes a use; the caller holds the lock. The file's time is written now
// and then: it is how the next start knows. Bytes that have changed since they
// were right stay suspicious.
func (s *Store) touch(e *entry) {
	e.Used = s.cfg.Now()
	if e.Used.Sub(e.wrote) < touchEvery {
		return
	}
	e.wrote = e.Used
	path := s.path(e.Sum)
	if stat, err := os.Stat(path); err != nil || !stat.ModTime().Equal(e.changed) {
		e.right = time.Time{}
	}
	if os.Chtimes(path, e.Used, e.Used) != nil {
		return // the order of uses is lost with the process
	}
	if stat, err := os.Stat(path); err == nil {
		e.changed = stat.ModTime()
	}
}

func sumOf(r io.Reader) (sum Sum, err error) {
	hash := sha256.New()
	_, err = io.Copy(hash, r)
	return Sum(hash.Sum(nil)), err
}
