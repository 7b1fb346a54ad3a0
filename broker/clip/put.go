package clip

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
)

// Put takes in the bytes of a clip, and tells whether it was there already. It
// blocks for the reader, for the disk, and while four others write. Its errors
// wrap [ErrTooLarge], [ErrNotSound] with what the meter said, [ErrFull], [ErrSum], or are
// the reader's or the disk's.
func (s *Store) Put(ctx context.Context, r io.Reader, about About) (info Info, known bool, err error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return Info{}, false, ctx.Err()
	}
	defer func() { <-s.slots }()
	f, err := s.newFile()
	if err != nil {
		return Info{}, false, s.diskError(err)
	}
	defer os.Remove(f.Name()) // fails where it was renamed
	defer f.Close()
	e := &entry{Info: Info{Name: about.Name}}
	if about.Key != "" {
		e.Keys = []string{about.Key}
	}
	if e.Sum, e.Bytes, err = s.write(f, reading{ctx, r}); err != nil {
		return Info{}, false, s.diskError(err)
	}
	if about.Sum != (Sum{}) && about.Sum != e.Sum {
		return Info{}, false, fmt.Errorf("%w %s", ErrSum, about.Sum)
	}
	if info, known = s.met(e.Sum, about.Key); known {
		return info, true, nil
	}
	if err := s.judge(f, e); err != nil {
		s.count.refused.Add(1)
		return Info{}, false, err
	}
	return s.keep(f, e)
}

// Adopt takes in a file that lies on the same file system and must have the
// bytes that sum names: it is moved, or left where it is and refused with
// [ErrSum], [ErrTooLarge] or [ErrFull]. It blocks for the disk.
func (s *Store) Adopt(file string, sum Sum) (Info, error) {
	f, err := os.Open(file)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	if stat.Size() > s.cfg.MaxClip {
		s.count.refused.Add(1)
		return Info{}, fmt.Errorf("%w: %d bytes are over %d", ErrTooLarge, stat.Size(), s.cfg.MaxClip)
	}
	if is, err := sumOf(f); err != nil || is != sum {
		return Info{}, errors.Join(err, fmt.Errorf("%w %s", ErrSum, sum))
	}
	e := &entry{Info: Info{Sum: sum, Bytes: stat.Size()}}
	if err := s.judge(f, e); err != nil {
		return Info{}, err
	}
	info, _, err := s.keep(f, e)
	return info, err
}

// write writes what comes, and tells its name and size.
func (s *Store) write(f *os.File, r io.Reader) (sum Sum, n int64, err error) {
	hash := sha256.New()
	n, err = io.Copy(io.MultiWriter(f, hash), io.LimitReader(r, s.cfg.MaxClip+1))
	if err != nil {
		return sum, n, err
	}
	if n > s.cfg.MaxClip {
		s.count.refused.Add(1)
		return sum, n, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, s.cfg.MaxClip)
	}
	return Sum(hash.Sum(nil)), n, f.Sync()
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	io.Reader
}

func (r reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// met answers a clip that is brought again, which counts as a use, and
// remembers what it was made of this time.
func (s *Store) met(sum Sum, key string) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.clips[sum]
	if e == nil {
		return Info{}, false
	}
	if stat, err := os.Stat(s.path(sum)); err != nil || stat.Size() != e.Bytes {
		s.forget(e) // its file is gone or cut short: the bytes that are brought take its place
		return Info{}, false
	}
	s.count.known.Add(1)
	s.touch(e)
	if key != "" && !slices.Contains(e.Keys, key) && len(e.Keys) < mostKeys {
		e.Keys = append(slices.Clone(e.Keys), key)
		s.keys[key] = sum
		_ = s.writeNote(e) // where it cannot be written it is made once more after a start
	}
	return e.Info, true
}

// judge measures a newcomer, and refuses what is no sound.
func (s *Store) judge(f *os.File, e *entry) (err error) {
	if s.cfg.Meter == nil {
		return nil
	}
	if _, err = f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if e.Type, e.Length, err = s.cfg.Meter.Measure(f); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSound, err)
	}
	return nil
}

// keep puts a newcomer in its place.
func (s *Store) keep(f *os.File, e *entry) (info Info, known bool, err error) {
	if err := s.reserve(e.Bytes); err != nil {
		return Info{}, false, err
	}
	e.Added = s.cfg.Now()
	e.Used = e.Added
	err = s.writeNote(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= e.Bytes // what was reserved
	if err == nil {
		err = s.place(f, e)
	}
	if err != nil {
		return Info{}, false, s.diskError(err)
	}
	if was := s.clips[e.Sum]; was != nil { // somebody brought it at the same time
		s.count.known.Add(1)
		return was.Info, true, nil
	}
	s.insert(e)
	s.count.stored.Add(1)
	return e.Info, false, nil
}

// place renames a file to its name. Its bytes were right just now.
func (s *Store) place(f *os.File, e *entry) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Chtimes(f.Name(), e.Used, e.Used); err != nil {
		return err
	}
	stat, err := os.Stat(f.Name())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), s.path(e.Sum)); err != nil {
		return err
	}
	e.right, e.changed, e.wrote = e.Used, stat.ModTime(), e.Used
	return syncDir(s.cfg.Dir)
}

// diskError is err; that of a full disk is [ErrFull] too.
func (s *Store) diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		s.count.full.Add(1)
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
