package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func commit(t testing.TB, l *Ledger, a area.Name, record string) {
	t.Helper()
	if err := commitErr(l, a, record); err != nil {
		t.Fatalf("commit %s: %v", a, err)
	}
}

func commitErr(l *Ledger, a area.Name, record string) error {
	done := make(chan error, 1)
	l.Commit(a, []byte(record), func(err error) { done <- err })
	return <-done
}

func TestRecordsSurviveReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "tacet.db")
	s := open(t, path)
	if r, err := s.Ledger().Load("north"); r != nil || err != nil {
		t.Errorf("load of nothing: %q, %v; want nil, nil", r, err)
	}
	commit(t, s.Ledger(), "south", "one")
	commit(t, s.Ledger(), "north", "two")
	commit(t, s.Ledger(), "north", "three")
	commit(t, s.Ledger(), "pier", "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if s.Quarantined() != "" {
		t.Errorf("quarantined %q", s.Quarantined())
	}
	for a, want := range map[area.Name]string{"north": "three", "south": "one", "pier": ""} {
		if r, err := s.Ledger().Load(a); err != nil || r == nil || string(r) != want {
			t.Errorf("load %s: %q, %v; want %q", a, r, err, want)
		}
	}
	areas, err := s.Ledger().Areas()
	if want := []area.Name{"north", "pier", "south"}; err != nil || !slices.Equal(areas, want) {
		t.Errorf("areas %v, %v; want %v", areas, err, want)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(p); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, %v; want %v", p, info.Mode(), err, want)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	open(t, path)
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second open: %v", err)
	}
}

// held makes the committer wait before each group, and says when it does.
func held(s *Store) (waiting chan struct{}, release chan error) {
	waiting, release = make(chan struct{}), make(chan error)
	write := s.committer.write
	s.committer.write = func(g *group) error {
		waiting <- struct{}{}
		if err := <-release; err != nil {
			return err
		}
		return write(g)
	}
	return waiting, release
}

func TestQueuedRecordsGoTogether(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	waiting, release := held(s)
	told := make(chan int, 200)
	l := s.Ledger()
	l.Commit("first", nil, func(error) { told <- -1 })
	<-waiting
	for i := range 100 { // while the disk is busy
		l.Commit("north", fmt.Appendf(nil, "%d", i), func(err error) {
			if err != nil {
				t.Error(err)
			}
			told <- i
		})
	}
	release <- nil
	<-waiting
	release <- nil
	for want := -1; want < 100; want++ {
		if got := <-told; got != want {
			t.Fatalf("told %d, want %d", got, want)
		}
	}
	if r, err := l.Load("north"); string(r) != "99" || err != nil {
		t.Errorf("load %q, %v; want 99", r, err)
	}
	if st := s.Stats(); st.Groups != 2 || st.Commits != 101 || st.Coalesced != 99 {
		t.Errorf("stats %+v; want 2 groups, 101 commits, 99 coalesced", st)
	}
}

func TestFullQueueRefuses(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	waiting, release := held(s)
	l := s.Ledger()
	var all sync.WaitGroup
	done := func(error) { all.Done() }
	all.Add(1 + maxQueued)
	l.Commit("first", nil, done)
	<-waiting
	for range maxQueued {
		l.Commit("north", nil, done)
	}
	var err error
	l.Commit("north", []byte("late"), func(e error) { err = e })
	if area.CodeOf(err) != area.CodeDegraded || s.Stats().Refused != 1 {
		t.Errorf("commit to a full queue: %v, stats %+v", err, s.Stats())
	}
	release <- nil
	<-waiting
	release <- nil
	all.Wait()
}

func TestBadCommitsAreRefusedAtOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	for name, c := range map[string]struct {
		area   area.Name
		record []byte
		want   area.Code
	}{
		"no id":    {"a/b", nil, area.CodeInvalid},
		"too long": {"north", make([]byte, maxRecord+1), area.CodeTooLarge},
	} {
		var err error
		s.Ledger().Commit(c.area, c.record, func(e error) { err = e })
		if area.CodeOf(err) != c.want {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := commitErr(s.Ledger(), "north", "x"); area.CodeOf(err) != area.CodeDraining {
		t.Errorf("commit after close: %v", err)
	}
	if _, err := s.Ledger().Load("north"); err == nil {
		t.Error("load after close: no error")
	}
}

func TestCloseCommitsWhatIsQueued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	var told sync.WaitGroup
	for i := range 50 {
		told.Add(1)
		s.Ledger().Commit(area.Name(fmt.Sprint("a", i)), []byte("x"), func(err error) {
			defer told.Done()
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	told.Wait()
	if areas, err := open(t, path).Ledger().Areas(); len(areas) != 50 || err != nil {
		t.Errorf("%d areas, %v; want 50", len(areas), err)
	}
}

func TestFailedWriteIsFinal(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	commit(t, s.Ledger(), "north", "good")
	broken := errors.New("input/output error")
	writes := 0
	s.committer.write = func(*group) error { writes++; return broken }
	for range 3 {
		if err := commitErr(s.Ledger(), "north", "bad"); !errors.Is(err, broken) {
			t.Errorf("commit: %v; want %v", err, broken)
		}
	}
	if writes != 1 {
		t.Errorf("the disk was tried %d times, want once", writes)
	}
	if r, err := s.Ledger().Load("north"); string(r) != "good" || err != nil {
		t.Errorf("load %q, %v; want good", r, err)
	}
	if st := s.Stats(); st.Failed != 3 {
		t.Errorf("stats %+v; want 3 failed", st)
	}
}

func TestPanicOfTheLibraryIsAFailure(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	s.committer.write = func(*group) error { panic("page 7 already freed") }
	for range 2 {
		if err := commitErr(s.Ledger(), "north", "x"); err == nil {
			t.Error("commit: no error")
		}
	}
}

func TestFullDiskPasses(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	s.committer.write = func(*group) error {
		return &os.PathError{Op: "write", Path: "tacet.db", Err: syscall.ENOSPC}
	}
	if err := commitErr(s.Ledger(), "north", "x"); area.CodeOf(err) != area.CodeDiskFull {
		t.Errorf("commit: %v; want %s", err, area.CodeDiskFull)
	}
	s.committer.write = s.writeGroup
	commit(t, s.Ledger(), "north", "y")
}

func TestNewerFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte("99")) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "has format 99, and this version reads up to 2") {
		t.Errorf("open: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file was moved: %v", err)
	}
}

func TestNewerRecordIsRefusedAndKept(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	put(t, s, "north", sealNewer(ledgerPlace("north"), "whatever"))
	for range 2 {
		if _, err := s.Ledger().Load("north"); err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "newer tacet") {
			t.Errorf("load: %v", err)
		}
	}
}

// sealNewer makes a record of a format to come.
func sealNewer(p place, record string) []byte {
	sealed := seal(p, []byte(record))
	sealed[0] = recordFormat + 1
	binary.BigEndian.PutUint32(sealed[1:], newerSum(checksum(p, []byte(record)), sealed[0]))
	return sealed
}

func put(t *testing.T, s *Store, a area.Name, sealed []byte) {
	t.Helper()
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(ledgerBucket).Put([]byte(a), sealed) }); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedRecord(t *testing.T) {
	good := seal(ledgerPlace("north"), []byte("record"))
	for name, sealed := range map[string][]byte{
		"bit flip":       append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"cut":            good[:len(good)-1],
		"zeros":          make([]byte, len(good)),
		"empty":          {},
		"of other area":  seal(ledgerPlace("south"), []byte("record")),
		"checksum alone": append([]byte{1, 0, 0, 0, 0}, "record"...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tacet.db")
			s := open(t, path)
			put(t, s, "north", sealed)
			commit(t, s.Ledger(), "pier", "well")
			for range 2 {
				if r, err := s.Ledger().Load("north"); r != nil || !errors.Is(err, ErrCorrupt) {
					t.Errorf("load %q, %v; want nil, ErrCorrupt", r, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			if _, err := s.Ledger().Load("north"); !errors.Is(err, ErrCorrupt) {
				t.Errorf("load after reopening: %v; want ErrCorrupt", err)
			}
			if areas, err := s.Ledger().Areas(); len(areas) != 2 || err != nil {
				t.Errorf("areas %v, %v; want north and pier", areas, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			commit(t, s.Ledger(), "north", "new")
			if r, err := s.Ledger().Load("north"); string(r) != "new" || err != nil {
				t.Errorf("load %q, %v; want new", r, err)
			}
			if areas, err := s.Ledger().Areas(); len(areas) != 2 || err != nil {
				t.Errorf("areas %v, %v; want north and pier", areas, err)
			}
		})
	}
}

// filled makes a closed file with some pages in it.
func filled(t testing.TB) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	for i := range 40 {
		commit(t, s.Ledger(), area.Name(fmt.Sprint("area-", i)), strings.Repeat(fmt.Sprint(i, " "), 500))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestOpenSiftsOutDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	put(t, s, "no/id", []byte{1})
	put(t, s, "north", []byte{1})
	commit(t, s.Ledger(), "pier", "well")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if n := s.Stats().Corrupt; n != 2 {
		t.Errorf("%d damaged records, want 2", n)
	}
	if areas, err := s.Ledger().Areas(); !slices.Equal(areas, []area.Name{"north", "pier"}) || err != nil {
		t.Errorf("areas %v, %v; want north and pier", areas, err)
	}
}

func TestDamagedFileIsMovedAside(t *testing.T) {
	path, content := filled(t)
	for name, damaged := range map[string][]byte{
		"empty":     {},
		"zeros":     make([]byte, len(content)),
		"foreign":   bytes.Repeat([]byte("not a database. "), 1000),
		"short":     content[:100],
		"two pages": content[:2*os.Getpagesize()],
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			s := open(t, path)
			aside := s.Quarantined()
			if got, err := os.ReadFile(aside); err != nil || !bytes.Equal(got, damaged) {
				t.Errorf("quarantined %q: %d bytes, %v; want the %d of the file", aside, len(got), err, len(damaged))
			}
			commit(t, s.Ledger(), "north", "new")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestDamageIsNeverReadAsWell flips and cuts at random places: the store opens
// every time, works, and answers either what was written or an error. Going
// back to an earlier transaction is allowed, as bbolt does it by itself.
func TestDamageIsNeverReadAsWell(t *testing.T) {
	t.Parallel()
	path, content := filled(t)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		damaged := bytes.Clone(content)
		at := r.IntN(len(damaged))
		what := fmt.Sprintf("byte %d of %d flipped", at, len(damaged))
		if i%3 == 0 {
			damaged, what = damaged[:at], fmt.Sprintf("cut to %d of %d", at, len(damaged))
		} else {
			damaged[at] ^= 1 << r.IntN(8)
		}
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		lost := 0
		for j := range 40 {
			a := area.Name(fmt.Sprint("area-", j))
			got, err := s.Ledger().Load(a)
			if err != nil || got == nil {
				lost++
				continue
			}
			if want := strings.Repeat(fmt.Sprint(j, " "), 500); string(got) != want {
				t.Errorf("%s: %s reads as %.20q", what, a, got)
			}
		}
		err = commitErr(s.Ledger(), "area-1", "again")
		t.Logf("%s: quarantined %t, %d of 40 lost, commit %v", what, s.Quarantined() != "", lost, err)
		_ = s.Close()
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(writers, "-areas"), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "tacet.db"))
			record := make([]byte, 300)
			var work sync.WaitGroup
			next := make(chan struct{}, writers)
			for i := range writers {
				work.Go(func() {
					for range next {
						done := make(chan error, 1)
						s.Ledger().Commit(area.Name(fmt.Sprint("a", i)), record, func(err error) { done <- err })
						if err := <-done; err != nil {
							b.Error(err)
						}
					}
				})
			}
			for b.Loop() {
				next <- struct{}{}
			}
			close(next)
			work.Wait()
			b.ReportMetric(float64(s.Stats().Groups)/float64(b.N), "groups/op")
		})
	}
}
