package update

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Shelf is the directory from which a hub serves releases, the newest one for
// each architecture: ARCH.json is the release, ARCH-SHA256 its program. It is
// safe for concurrent use, also by several processes.
type Shelf struct {
	dir string

	mu   sync.Mutex
	sums map[string]summed // by file: what was found to be whole
}

// maxSums bounds what is remembered; beyond it files are read again.
const maxSums = 64

// summed is a file as it was when its bytes were what its name says.
type summed struct {
	size int64
	at   time.Time
}

// NewShelf is the shelf in a directory, which need not be there.
func NewShelf(dir string) *Shelf { return &Shelf{dir: dir, sums: map[string]summed{}} }

// Dir is the directory.
func (s *Shelf) Dir() string { return s.dir }

// Release is the release for an architecture, and its manifest; ErrNoRelease
// where there is none. Who signed it is not looked at.
func (s *Shelf) Release(arch string) (Release, Manifest, error) {
	if !IsArch(arch) {
		return Release{}, Manifest{}, fmt.Errorf("%w: %.40q", ErrNoRelease, arch)
	}
	f, err := os.Open(s.path(arch + ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Release{}, Manifest{}, fmt.Errorf("%w: %s", ErrNoRelease, arch)
	}
	if err != nil {
		return Release{}, Manifest{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxRelease+1))
	if err != nil {
		return Release{}, Manifest{}, err
	}
	r, err := ParseRelease(b)
	if err != nil {
		return r, Manifest{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	m, err := ParseManifest([]byte(r.Manifest))
	if err == nil && m.Arch != arch {
		err = fmt.Errorf("the manifest is for %s", m.Arch)
	}
	if err != nil {
		return r, m, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return r, m, nil
}

// Program opens the program of a release, which is the caller's to close. It
// reads the whole of it when it was not read since it has changed: what is not
// what its manifest says is not handed out.
func (s *Shelf) Program(m Manifest) (*os.File, error) {
	f, err := os.Open(s.path(programName(m)))
	if err != nil {
		return nil, err
	}
	if err := s.check(f, m); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

func (s *Shelf) check(f *os.File, m Manifest) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	is := summed{info.Size(), info.ModTime()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sums[f.Name()] == is && is.size == m.Size {
		return nil
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, m.Size+1))
	if err != nil {
		return err
	}
	if err := matches(m, n, sum); err != nil {
		return err
	}
	if len(s.sums) >= maxSums {
		clear(s.sums) // of programs that were replaced
	}
	s.sums[f.Name()] = is
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// Releases is the manifest of each release, by architecture. Those that cannot
// be read are left out.
func (s *Shelf) Releases() []Manifest {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil
	}
	var list []Manifest
	for _, f := range files {
		if arch, ok := strings.CutSuffix(f.Name(), ".json"); ok {
			if _, m, err := s.Release(arch); err == nil {
				list = append(list, m)
			}
		}
	}
	slices.SortFunc(list, func(a, b Manifest) int { return strings.Compare(a.Arch, b.Arch) })
	return list
}

// Publish makes a release the one that is served, after it has looked whether
// the program is what the manifest says. Who downloads the one before gets to
// its end, or is told that it has moved. It blocks for the disk.
func (s *Shelf) Publish(r Release, program io.Reader) error {
	m, err := ParseManifest([]byte(r.Manifest))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.bring(m, program); err != nil {
		return err
	}
	if err := s.write(m.Arch+".json", strings.NewReader(string(r.Encode()))); err != nil {
		return err
	}
	return s.tidy(m)
}

// bring puts the program onto the shelf.
func (s *Shelf) bring(m Manifest, program io.Reader) error {
	sum := sha256.New()
	count := &counted{}
	return s.write(programName(m), io.TeeReader(io.LimitReader(program, m.Size+1), io.MultiWriter(sum, count)), func() error {
		return matches(m, count.n, sum)
	})
}

type counted struct{ n int64 }

func (c *counted) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

// write replaces a file by what is read, if each look at it then is well.
func (s *Shelf) write(name string, from io.Reader, looks ...func() error) error {
	f, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	for _, look := range looks {
		if err == nil {
			err = look()
		}
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return directory(s.dir).Sync()
}

// tidy removes the programs that were served before.
func (s *Shelf) tidy(m Manifest) error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		sum, ok := strings.CutPrefix(f.Name(), m.Arch+"-")
		if _, err := hex.DecodeString(sum); ok && err == nil && len(sum) == 2*sha256.Size && sum != m.SHA256 {
			if err := os.Remove(s.path(f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Shelf) path(name string) string { return filepath.Join(s.dir, name) }

func programName(m Manifest) string { return m.Arch + "-" + m.SHA256 }
