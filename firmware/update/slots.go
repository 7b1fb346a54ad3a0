package update

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of the directory. A slot's program is in "a" or "b".
const (
	stateFile = "state.json"
	partFile  = "part"      // a program that is not whole yet
	partOf    = "part.json" // and its release
)

const maxState = 64 << 10 // bytes: two releases, 16 failures

// Slots is the directory of the slots. It has one owner: the launcher, and then
// the program that the launcher has become. It is not safe for concurrent use.
type Slots struct {
	dir     string
	disk    disk
	state   State
	damaged error
}

// OpenSlots opens the slots in a directory, which is made if it is not there.
// Where the state cannot be read there is none: the installed program runs, and
// [Slots.Damaged] tells.
func OpenSlots(dir string) (*Slots, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("update slots: %w", err)
	}
	return openSlots(dir, directory(dir)), nil
}

// LookAtSlots is what the slots in a directory are used for, which need not be
// there. It writes nothing. Its error is that of a state that cannot be read.
func LookAtSlots(dir string) (State, error) {
	s := openSlots(dir, directory(dir))
	return s.state, s.damaged
}

func openSlots(dir string, d disk) *Slots {
	s := &Slots{dir: dir, disk: d}
	text, err := read(d, stateFile, maxState)
	if err == nil {
		err = json.Unmarshal(text, &s.state)
	}
	if err != nil {
		s.state = State{}
		if !errors.Is(err, fs.ErrNotExist) {
			s.damaged = fmt.Errorf("update slots: %s: %w", filepath.Join(dir, stateFile), err)
		}
	}
	return s
}

// Damaged is why the state could not be read; nil: it could, or there was none.
func (s *Slots) Damaged() error { return s.damaged }

// State is what the slots are used for.
func (s *Slots) State() State { return s.state }

// Path is the file of a slot.
func (s *Slots) Path(at Slot) string { return filepath.Join(s.dir, string(at)) }

// Keep makes next the state. It is on the disk when Keep returns; where that
// failed, the state that is on the disk is the old one or the new one.
func (s *Slots) Keep(next State) error {
	next.V = 1
	same, _ := json.Marshal(s.state)
	text, err := json.Marshal(next)
	s.state = next
	if err != nil || bytes.Equal(text, same) {
		return err
	}
	if err := replace(s.disk, stateFile, append(text, '\n')); err != nil {
		return fmt.Errorf("update slots: %w", err)
	}
	return nil
}

// Check tells what is wrong with the program in a slot: who signed it, and
// whether it is what was signed. It reads the whole of it.
func (s *Slots) Check(at Slot, keys Keys) error {
	m, err := keys.Verify(s.state.In(at).Release)
	if err != nil {
		return err
	}
	f, err := s.disk.Open(string(at))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, m.Size+1))
	if err != nil {
		return err
	}
	return matches(m, n, sum)
}

// errDamaged is the error of a program that is not what its manifest says.
var errDamaged = errors.New("the program is not what was signed")

func matches(m Manifest, n int64, sum hash.Hash) error {
	if n != m.Size {
		return fmt.Errorf("%w: it does not have %d bytes", errDamaged, m.Size)
	}
	if is := hex.EncodeToString(sum.Sum(nil)); is != m.SHA256 {
		return fmt.Errorf("%w: its sha256 is %s", errDamaged, is)
	}
	return nil
}

// part is a program that is being downloaded.
type part struct {
	slots *Slots
	held  Held
	m     Manifest
	file  file
	size  int64
	sum   hash.Hash
}

// begin goes on with the download of the program that held describes, or begins
// it: part.size bytes are there already.
func (s *Slots) begin(held Held, m Manifest) (*part, error) {
	p := &part{slots: s, held: held, m: m, sum: sha256.New()}
	if err := p.resume(); err != nil {
		if err := p.fresh(); err != nil {
			return nil, err
		}
	}
	var err error
	p.file, err = s.disk.Append(partFile)
	return p, err
}

var errOther = errors.New("what is there is of another release")

// resume reads what is there, if it is of the same release.
func (p *part) resume() error {
	text, err := read(p.slots.disk, partOf, MaxRelease)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, p.held.Release.Encode()) {
		return errOther
	}
	f, err := p.slots.disk.Open(partFile)
	if err != nil {
		return err
	}
	defer f.Close()
	p.size, err = io.Copy(p.sum, io.LimitReader(f, p.m.Size+1))
	if err == nil && p.size > p.m.Size {
		err = errOther
	}
	return err
}

// fresh forgets what is there.
func (p *part) fresh() error {
	p.size = 0
	p.sum.Reset()
	if err := p.slots.disk.Remove(partFile); err != nil {
		return err
	}
	return replace(p.slots.disk, partOf, p.held.Release.Encode())
}

// again begins anew while the part is open.
func (p *part) again() error {
	if err := errors.Join(p.file.Close(), p.fresh()); err != nil {
		return err
	}
	var err error
	p.file, err = p.slots.disk.Append(partFile)
	return err
}

// Write takes bytes of the program; more than it has are refused.
func (p *part) Write(b []byte) (int, error) {
	if p.size+int64(len(b)) > p.m.Size {
		return 0, fmt.Errorf("%w: it has more than %d bytes", errDamaged, p.m.Size)
	}
	n, err := p.file.Write(b)
	p.size += int64(n)
	p.sum.Write(b[:n])
	return n, err
}

// close leaves the part to be gone on with.
func (p *part) close() error { return p.file.Close() }

// forget removes what came.
func (p *part) forget() error {
	return errors.Join(p.slots.disk.Remove(partFile), p.slots.disk.Remove(partOf))
}

// commit puts the program that is whole on trial. A damaged one is forgotten.
func (p *part) commit() error {
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		return err
	}
	d, s := p.slots.disk, p.slots
	if err := matches(p.m, p.size, p.sum); err != nil {
		return errors.Join(err, p.forget())
	}
	at := s.state.Inactive()
	if err := s.Keep(s.state.Clear()); err != nil {
		return err
	}
	if err := d.Rename(partFile, string(at)); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	if err := s.Keep(s.state.Staged(p.held)); err != nil {
		return err
	}
	return d.Remove(partOf)
}
