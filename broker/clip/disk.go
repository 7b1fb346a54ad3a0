package clip

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The files of a store: a clip is DIR/digits, what is known of it beside it in
// DIR/digits.json. DIR/new has what is being written, DIR/damaged what is not
// trusted any more.
const (
	newDir   = "new"
	asideDir = "damaged"
	noteExt  = ".json"
)

// note is what is known of a clip, as it is written.
type note struct {
	Type   string        `json:"type"`
	Length time.Duration `json:"length_ns"`
	Name   string        `json:"name"`
	Keys   []string      `json:"keys"`
	Added  time.Time     `json:"added"`
}

func (s *Store) path(sum Sum) string     { return filepath.Join(s.cfg.Dir, sum.Hex()) }
func (s *Store) notePath(sum Sum) string { return s.path(sum) + noteExt }

// load takes in what the directory has.
func (s *Store) load() error {
	if err := os.RemoveAll(filepath.Join(s.cfg.Dir, newDir)); err != nil {
		return err
	}
	for _, d := range []string{newDir, asideDir} {
		if err := os.MkdirAll(filepath.Join(s.cfg.Dir, d), 0o700); err != nil {
			return err
		}
	}
	files, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		name, isNote := strings.CutSuffix(f.Name(), noteExt)
		sum, err := ParseSum(name)
		if err != nil || strings.HasPrefix(name, prefix) || f.IsDir() {
			continue
		}
		if !isNote {
			s.found(sum, f)
		} else if _, err := os.Stat(s.path(sum)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(s.notePath(sum)) // of a clip that never was; to leave it does no harm
		}
	}
	return nil
}

// found takes in a clip that is on the disk.
func (s *Store) found(sum Sum, f fs.DirEntry) {
	stat, err := f.Info()
	if err != nil || !stat.Mode().IsRegular() {
		return
	}
	e := &entry{Info: Info{Sum: sum, Bytes: stat.Size(), Added: stat.ModTime(), Used: stat.ModTime()}}
	if !s.readNote(e) && s.cfg.Meter != nil && s.measure(e) != nil {
		s.setAside(sum)
		return
	}
	s.insert(e)
}

// readNote reads what is known of a clip, and tells whether it could be read.
func (s *Store) readNote(e *entry) bool {
	b, err := os.ReadFile(s.notePath(e.Sum))
	if err != nil {
		return false
	}
	var n note
	if json.Unmarshal(b, &n) != nil {
		return false
	}
	e.Type, e.Length, e.Name, e.Keys, e.Added = n.Type, n.Length, n.Name, n.Keys[:min(len(n.Keys), mostKeys)], n.Added
	return true
}

// measure finds out anew what is known of a clip whose note is gone.
func (s *Store) measure(e *entry) error {
	f, err := os.Open(s.path(e.Sum))
	if err != nil {
		return err
	}
	defer f.Close()
	if e.Type, e.Length, err = s.cfg.Meter.Measure(f); err != nil {
		return err
	}
	return s.writeNote(e)
}

// writeNote writes what is known of a clip, in one step. A cache, which knows
// nothing, writes none.
func (s *Store) writeNote(e *entry) error {
	if s.cfg.Meter == nil && len(e.Keys) == 0 && e.Name == "" {
		return nil
	}
	b, err := json.Marshal(note{Type: e.Type, Length: e.Length, Name: e.Name, Keys: e.Keys, Added: e.Added})
	if err != nil {
		return err
	}
	f, err := s.newFile()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails where it was renamed
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.notePath(e.Sum))
}

// newFile is a file that is gone after the next start unless it is renamed.
func (s *Store) newFile() (*os.File, error) {
	return os.CreateTemp(filepath.Join(s.cfg.Dir, newDir), "*")
}

// insert makes a clip known; the caller holds the lock, or is Open.
func (s *Store) insert(e *entry) {
	s.clips[e.Sum] = e
	s.bytes += e.Bytes
	for _, k := range e.Keys {
		s.keys[k] = e.Sum
	}
}

// forget makes a clip unknown; the caller holds the lock.
func (s *Store) forget(e *entry) {
	delete(s.clips, e.Sum)
	s.bytes -= e.Bytes
	for _, k := range e.Keys {
		if s.keys[k] == e.Sum {
			delete(s.keys, k)
		}
	}
}

// drop deletes a clip; the caller holds the lock. Who has it open reads on.
func (s *Store) drop(e *entry) error {
	s.forget(e)
	err := os.Remove(s.path(e.Sum))
	if note := os.Remove(s.notePath(e.Sum)); !errors.Is(note, fs.ErrNotExist) {
		err = errors.Join(err, note)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// setAside takes the file of a clip whose bytes are not its own any more out of
// the way.
func (s *Store) setAside(sum Sum) {
	s.count.damaged.Add(1)
	aside := filepath.Join(s.cfg.Dir, asideDir)
	err := os.Rename(s.path(sum), filepath.Join(aside, sum.Hex()))
	_ = os.Remove(s.notePath(sum)) // it may not be there
	s.cfg.Log.Error("clip was damaged and is set aside", "rule", sum.Hex(), "err", err)
	old, _ := os.ReadDir(aside)
	slices.SortFunc(old, func(a, b fs.DirEntry) int { return timeOf(b).Compare(timeOf(a)) })
	for _, f := range old[min(len(old), mostAside):] {
		_ = os.Remove(filepath.Join(aside, f.Name())) // one too many does no harm
	}
}

func timeOf(f fs.DirEntry) time.Time {
	stat, err := f.Info()
	if err != nil {
		return time.Time{}
	}
	return stat.ModTime()
}

// syncDir makes renames last. Windows has no such call and does not need it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
