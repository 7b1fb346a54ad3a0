package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// fakeOwner is an owner of state whose records are in a map.
type fakeOwner struct {
	mu      sync.Mutex
	records map[string]string // of table "t"
	reads   int
	reached chan uint64
	lost    chan uint64
}

func attach(s *Store) *fakeOwner {
	o := &fakeOwner{records: map[string]string{}, reached: make(chan uint64, 1000), lost: make(chan uint64, 10)}
	s.State().Attach(o.read, func(pos uint64) { o.reached <- pos }, func(from, _ uint64) { o.lost <- from })
	return o
}

func (o *fakeOwner) read(_, key string) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads++
	v, ok := o.records[key]
	return []byte(v), ok
}

func (o *fakeOwner) set(key, value string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records[key] = value
}

// until waits for a position.
func (o *fakeOwner) until(pos uint64) {
	for got := range o.reached {
		if got >= pos {
			return
		}
	}
}

func stateRows(t *testing.T, s *Store) []string {
	t.Helper()
	return rows(t, s.Table("t"))
}

func TestStateIsReadWhenItIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	o := attach(s)
	waiting, release := held(s)
	o.set("k", "first")
	first := s.State().Touch(0, "t", "k")
	<-waiting // it has been read
	for i := range 10 {
		o.set("k", fmt.Sprint(i))
		if pos := s.State().Touch(0, "t", "k"); pos != first+1 {
			t.Errorf("position %d, want %d", pos, first+1)
		}
	}
	release <- nil
	<-waiting
	release <- nil
	o.until(first + 1)
	if o.reads != 2 {
		t.Errorf("read %d times, want twice", o.reads)
	}
	delete(o.records, "k")
	o.set("l", "there")
	s.State().Touch(0, "t", "k")
	go func() { // they go in one group, or in two
		for {
			select {
			case <-waiting:
				release <- nil
			case <-t.Context().Done():
				return
			}
		}
	}()
	o.until(s.State().Touch(0, "t", "l"))
	for range 2 {
		if got, want := stateRows(t, s), []string{"l=there"}; !slices.Equal(got, want) {
			t.Errorf("rows %q; want %q", got, want)
		}
		s.committer.write = s.writeGroup
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
	}
}

func TestAGroupWaitsForThoseInside(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	o := attach(s)
	pos := join(s)
	s.State().Touch(0, "t", "early")
	o.set("early", "1")
	s.State().Leave(pos)
	o.until(pos)

	first := join(s)
	done := make(chan error, 1)
	s.Table("other").PutAsync("k", nil, func(err error) { done <- err }) // the committer closes the group
	var second uint64
	for second = first; second == first; { // and a new one gathers
		second = join(s)
		s.State().Leave(second)
	}
	o.set("late", "1")
	if got := s.State().Touch(first, "t", "late"); got != first {
		t.Errorf("position %d, want %d", got, first)
	}
	select {
	case err := <-done:
		t.Errorf("written before all had left: %v", err)
	default:
	}
	s.State().Leave(first)
	if err := <-done; err != nil {
		t.Error(err)
	}
	o.until(first)
	if got := stateRows(t, s); !slices.Contains(got, "late=1") {
		t.Errorf("rows %q", got)
	}
}

func TestWhatNobodyWaitsForGoesWithTheNextGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	o := attach(s)
	o.set("lazy", "1")
	s.State().TouchLater("t", "lazy")
	mustPut(t, s.Table("other"), "k", "v")
	o.set("last", "1")
	s.State().TouchLater("t", "last")
	if got := stateRows(t, s); !slices.Contains(got, "lazy=1") {
		t.Errorf("rows %q", got)
	}
	if err := s.Close(); err != nil { // or with the end
		t.Fatal(err)
	}
	if got, want := stateRows(t, open(t, path)), []string{"last=1", "lazy=1"}; !slices.Equal(got, want) {
		t.Errorf("rows %q; want %q", got, want)
	}
}

func TestWhatNobodyWaitsForIsWrittenInTheEnd(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	o := attach(s)
	o.set("lazy", "1")
	s.State().TouchLater("t", "lazy")
	<-o.reached
	if got := stateRows(t, s); !slices.Equal(got, []string{"lazy=1"}) {
		t.Errorf("rows %q", got)
	}
}

func TestNothingIsWrittenTwice(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	o := attach(s)
	o.set("k", "v")
	o.until(s.State().Touch(0, "t", "k"))
	mustPut(t, s.Table("other"), "k", "v")
	before, size := s.Stats(), fileSum(t, s.path)
	for range 10 {
		o.until(s.State().Touch(0, "t", "k"))
		o.until(s.State().Touch(0, "t", "never there"))
		mustPut(t, s.Table("other"), "k", "v")
	}
	if after := s.Stats(); after.Groups != before.Groups || after.Written != before.Written || fileSum(t, s.path) != size {
		t.Errorf("stats %+v; before %+v", after, before)
	}
}

func fileSum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestFullDiskKeepsTheState frees the disk after a while: what was touched is
// written then, and its position told.
func TestFullDiskKeepsTheState(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	o := attach(s)
	full := make(chan bool, 1)
	full <- true
	s.committer.write = func(g *group) error {
		is := <-full
		full <- is
		if is {
			return &os.PathError{Op: "reserve", Path: "tacet.db", Err: syscall.ENOSPC}
		}
		return s.writeGroup(g)
	}
	o.set("k", "v")
	pos := s.State().Touch(0, "t", "k")
	if err := s.Table("other").Put(t.Context(), "k", nil); area.CodeOf(err) != area.CodeDiskFull {
		t.Errorf("put: %v", err)
	}
	if err := s.State().Trouble(); area.CodeOf(err) != area.CodeDiskFull || s.Stats().DiskFull != 1 {
		t.Errorf("trouble: %v, stats %+v", err, s.Stats())
	}
	select {
	case got := <-o.reached:
		t.Errorf("position %d is durable on a full disk", got)
	default:
	}
	<-full
	full <- false
	o.until(pos)
	if err := s.State().Trouble(); err != nil || s.Stats().DiskFull != 0 {
		t.Errorf("trouble after the disk was freed: %v", err)
	}
	if got := stateRows(t, s); !slices.Equal(got, []string{"k=v"}) {
		t.Errorf("rows %q", got)
	}
}

func TestFailedWriteLosesTheState(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	o := attach(s)
	o.set("k", "v")
	good := s.State().Touch(0, "t", "k")
	o.until(good)
	s.committer.write = func(*group) error { return &os.PathError{Op: "fdatasync", Path: "tacet.db", Err: syscall.EIO} }
	bad := s.State().Touch(0, "t", "k")
	if from := <-o.lost; from <= good || from > bad {
		t.Errorf("lost from %d; %d is durable, %d is not", from, good, bad)
	}
	if err := s.State().Trouble(); !errors.Is(err, syscall.EIO) || s.Stats().Dead != 1 {
		t.Errorf("trouble: %v", err)
	}
	s.committer.write = s.writeGroup
	if err := s.Table("other").Put(t.Context(), "k", nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("put after the failure: %v", err)
	}
}

func TestTooManyWaiting(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	attach(s)
	pos := join(s)
	for i := range maxTouched + 1 {
		s.State().Touch(pos, "t", fmt.Sprint(i))
	}
	if err := s.State().Trouble(); area.CodeOf(err) != area.CodeDegraded {
		t.Errorf("trouble: %v", err)
	}
	s.State().Leave(pos)
}

// TestRealFullDisk runs on a file system of 2 MiB.
func TestRealFullDisk(t *testing.T) {
	dir := smallDisk(t, 2<<20)
	if dir == "" {
		return
	}
	s := open(t, filepath.Join(dir, "tacet.db"))
	o := attach(s)
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	acked := 0
	var err error
	for acked = 0; err == nil; acked++ {
		err = s.Table("t").Put(t.Context(), fmt.Sprintf("%06d", acked), make([]byte, 2000))
	}
	acked--
	if area.CodeOf(err) != area.CodeDiskFull {
		t.Fatalf("put %d: %v", acked, err)
	}
	o.set("state", "x")
	pos := s.State().Touch(0, "t", "state")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	o.until(pos)
	mustPut(t, s.Table("t"), "after", "x")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, s.path)
	if n := len(stateRows(t, s)); n != acked+2 || s.Quarantined() != "" || s.Stats().Corrupt != 0 {
		t.Errorf("%d rows, want %d; quarantined %q", n, acked+2, s.Quarantined())
	}
}

// smallDisk mounts a file system that is soon full; "" where that is not
// allowed.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount of a small disk: %v", err)
		}
		t.Logf("no right to mount a small disk: %v", err) // the same is shown with injected errors
		return ""
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill takes what room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size >= 1<<10; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func join(s *Store) uint64 {
	pos, _ := s.State().Join(0)
	return pos
}

// TestJoinSeesTheEndOfTheDisk asks for more than there is.
func TestJoinSeesTheEndOfTheDisk(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	attach(s)
	s.committer.room.left = func() int64 { return 1 << 20 }
	for name, c := range map[string]struct {
		size int
		full bool
	}{"little": {1000, false}, "much": {2 << 20, true}, "little again": {1000, false}} {
		pos, err := s.State().Join(c.size)
		if (area.CodeOf(err) == area.CodeDiskFull) != c.full {
			t.Errorf("%s: %v", name, err)
		}
		s.State().Leave(pos)
		if err := s.Table("t").Put(t.Context(), name, []byte(name)); err != nil {
			t.Error(err)
		}
	}
}

// TestReadOnlyFileSystem: there is one clear error, for a file and for none.
func TestReadOnlyFileSystem(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	if dir == "" {
		return
	}
	path := filepath.Join(dir, "tacet.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, filepath.Join(dir, "other.db"), filepath.Join(dir, "sub", "tacet.db")} {
		if _, err := Open(path); !errors.Is(err, syscall.EROFS) {
			t.Errorf("open %s: %v", path, err)
		}
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 1 {
		t.Errorf("files %q, %v", names, err)
	}
}
