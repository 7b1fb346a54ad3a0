package update

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"testing"
)

// memory is a disk that loses power after a number of its operations. What was
// not synced by then may be there or not.
type memory struct {
	left    int // operations until the power is lost; negative: it never is
	now     map[string]*inode
	synced  map[string]*inode // the names at the last sync of the directory
	changes []change          // of the names since
}

type inode struct{ data, synced []byte }

// change is a change of names: a file made, renamed or removed.
type change struct {
	names []string
	do    func(map[string]*inode)
}

var errPower = errors.New("the power is gone")

func newMemory() *memory {
	return &memory{left: -1, synced: map[string]*inode{}, now: map[string]*inode{}}
}

func (m *memory) step() error {
	if m.left == 0 {
		return errPower
	}
	m.left--
	return nil
}

func (m *memory) change(do func(map[string]*inode), names ...string) {
	do(m.now)
	m.changes = append(m.changes, change{names, do})
}

func (m *memory) Open(name string) (io.ReadCloser, error) {
	n, ok := m.now[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(n.data)), nil
}

func (m *memory) Append(name string) (file, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	if m.now[name] == nil {
		fresh := &inode{}
		m.change(func(names map[string]*inode) { names[name] = fresh }, name)
	}
	return &handle{m, m.now[name]}, nil
}

func (m *memory) Rename(from, to string) error {
	if err := m.step(); err != nil {
		return err
	}
	n := m.now[from]
	m.change(func(names map[string]*inode) {
		delete(names, from)
		names[to] = n
	}, from, to)
	return nil
}

func (m *memory) Remove(name string) error {
	if err := m.step(); err != nil {
		return err
	}
	m.change(func(names map[string]*inode) { delete(names, name) }, name)
	return nil
}

func (m *memory) Sync() error {
	if err := m.step(); err != nil {
		return err
	}
	m.synced, m.changes = maps.Clone(m.now), nil
	return nil
}

type handle struct {
	m *memory
	n *inode
}

func (h *handle) Write(b []byte) (int, error) {
	if err := h.m.step(); err != nil {
		h.n.data = append(h.n.data, b[:len(b)/2]...) // the power went in the middle of it
		return len(b) / 2, err
	}
	h.n.data = append(h.n.data, b...)
	return len(b), nil
}

func (h *handle) Sync() error {
	if err := h.m.step(); err != nil {
		return err
	}
	h.n.synced = bytes.Clone(h.n.data)
	return nil
}

func (h *handle) Close() error { return nil }

// after calls each with every disk that the loss of power may leave. Of the
// changes of names since the last sync the first ones are there, or the first
// ones but one that has nothing to do with those after it; of what was written
// and not synced nothing, half or all.
func (m *memory) after(each func(what string, d *memory)) {
	for n := range len(m.changes) + 1 {
		for but := -1; but < n; but++ {
			names, ok := m.without(n, but)
			for part := 0; ok && part <= 2; part++ {
				d := newMemory()
				for name, n := range names {
					keep := len(n.synced) + (len(n.data)-len(n.synced))*part/2
					d.now[name] = &inode{bytes.Clone(n.data[:keep]), bytes.Clone(n.data[:keep])}
				}
				d.synced = maps.Clone(d.now)
				each(fmt.Sprintf("%d of %d changes of names, without number %d, data %d/2", n, len(m.changes), but+1, part), d)
			}
		}
	}
}

// without is the names after the first n changes but one, where that can be.
func (m *memory) without(n, but int) (map[string]*inode, bool) {
	names := maps.Clone(m.synced)
	for i, c := range m.changes[:n] {
		if i == but {
			continue
		}
		if but >= 0 && i > but && slices.ContainsFunc(c.names, func(name string) bool { return slices.Contains(m.changes[but].names, name) }) {
			return nil, false
		}
		c.do(names)
	}
	return names, true
}

// site is what the tests of a whole life update with.
type site struct {
	keys     Keys
	releases map[string]Release // by version
	programs map[string][]byte
}

func newSite(t testing.TB, versions ...string) site {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s := site{releases: map[string]Release{}, programs: map[string][]byte{}}
	if s.keys, err = ParseKeys([]string{PublicText(key)}); err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		s.programs[v] = []byte("program " + v)
		if s.releases[v], err = Sign(key, manifestOf(v, s.programs[v])); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// stage does what a download does, in pieces.
func (s site) stage(d disk, version string) error {
	slots := openSlots("", d)
	held := Held{Release: s.releases[version], Launcher: "v1.0.0"}
	m, err := s.keys.Verify(held.Release)
	if err != nil {
		return err
	}
	if err := slots.state.Refuses(m); err != nil {
		return err
	}
	p, err := slots.begin(held, m)
	if err != nil {
		return err
	}
	for b := s.programs[version][p.size:]; len(b) > 0; b = b[min(4, len(b)):] {
		if _, err := p.Write(b[:min(4, len(b))]); err != nil {
			return err
		}
	}
	return p.commit()
}

// boot is a start of the launcher; it answers what the device then runs.
func (s site) boot(t *testing.T, d disk) (string, *Slots) {
	t.Helper()
	slots := openSlots("", d)
	if slots.damaged != nil {
		t.Errorf("the state is damaged: %v", slots.damaged)
	}
	for _, named := range []Slot{slots.state.Current, slots.state.Previous, slots.state.Trial} {
		if named != Packaged {
			if err := slots.Check(named, s.keys); err != nil {
				t.Errorf("the state %+v names slot %s: %v", slots.state, named, err)
			}
		}
	}
	at := slots.Choose("v1.0.0", s.keys, slog.New(slog.DiscardHandler))
	if at == Packaged {
		return "installed", slots
	}
	b, err := read(d, string(at), MaxProgram)
	if err != nil {
		t.Errorf("it starts from slot %s, which cannot be read: %v", at, err)
	}
	return string(b), slots
}

// A device is updated to a version, confirms it, is updated to a second one,
// which is not healthy, and goes back. At every step of all of this the power
// goes, and what was not synced is lost, in part or not. Whatever the disk is
// then, the device starts a program that is whole, an update that was confirmed
// is not lost, and the same update then goes through.
func TestPowerLostAtEveryStep(t *testing.T) {
	s := newSite(t, "v1.1.0", "v1.2.0")
	life := []struct {
		name string
		do   func(d disk) error
		may  []string // what a start after it, or in the middle of it, may run
	}{
		{"stage the first", func(d disk) error { return s.stage(d, "v1.1.0") }, []string{"installed", "program v1.1.0"}},
		{"start on trial", func(d disk) error { return start(s, d) }, []string{"program v1.1.0"}},
		{"confirm", func(d disk) error { sl := openSlots("", d); return sl.Keep(sl.state.Healthy()) }, []string{"program v1.1.0"}},
		{"stage the second", func(d disk) error { return s.stage(d, "v1.2.0") }, []string{"program v1.1.0", "program v1.2.0"}},
		{"start the second", func(d disk) error { return start(s, d) }, []string{"program v1.2.0"}},
		{"fail", func(d disk) error { sl := openSlots("", d); return sl.Keep(sl.state.Sick("it is ill")) }, []string{"program v1.2.0", "program v1.1.0"}},
		{"start the first again", func(d disk) error { return start(s, d) }, []string{"program v1.1.0"}},
	}
	cases := 0
	for i, step := range life {
		for at := 0; ; at++ {
			d := newMemory()
			for _, before := range life[:i] {
				if err := before.do(d); err != nil {
					t.Fatalf("%s: %v", before.name, err)
				}
			}
			d.left = at
			err := step.do(d)
			if err != nil && !errors.Is(err, errPower) {
				t.Fatalf("%s, power gone after %d operations: %v", step.name, at, err)
			}
			d.after(func(what string, d *memory) {
				cases++
				runs, slots := s.boot(t, d)
				ok := false
				for _, may := range step.may {
					ok = ok || runs == may
				}
				if !ok {
					t.Errorf("%s, power gone after %d operations, %s: it runs %q, want one of %q", step.name, at, what, runs, step.may)
				}
				s.recovers(t, d, slots)
			})
			if err == nil {
				break
			}
		}
	}
	t.Logf("%d disks after a loss of power, each starts a good program", cases)
}

// recovers takes the device, whatever it went through, to the newest version.
func (s site) recovers(t *testing.T, d *memory, slots *Slots) {
	t.Helper()
	if slots.state.Trial != Packaged {
		if err := slots.Keep(slots.state.Healthy()); err != nil {
			t.Fatal(err)
		}
	}
	err := s.stage(d, "v1.2.0")
	if errors.Is(err, ErrCurrent) || errors.Is(err, ErrFailed) {
		return
	}
	if err != nil {
		t.Errorf("then it cannot be updated: %v", err)
	}
	if runs, _ := s.boot(t, d); runs != "program v1.2.0" {
		t.Errorf("then it is updated and runs %q", runs)
	}
}

// start is a start of the launcher that may lose power.
func start(s site, d disk) error {
	slots := openSlots("", d)
	next, _ := slots.state.Start("v1.0.0")
	return slots.Keep(next)
}
