package store

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

// rows is what a table holds, as "key=value" in the order of Load.
func rows(t testing.TB, table *Table) (all []string) {
	t.Helper()
	if err := table.Load(func(key string, value []byte) error {
		all = append(all, key+"="+string(value))
		return nil
	}); err != nil {
		t.Fatalf("load: %v", err)
	}
	return all
}

func mustPut(t testing.TB, table *Table, key, value string) {
	t.Helper()
	if err := table.Put(t.Context(), key, []byte(value)); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func TestTablesSurviveReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	if got := rows(t, s.Table("orders")); got != nil {
		t.Errorf("new table holds %q", got)
	}
	mustPut(t, s.Table("orders"), "o-2", "two")
	mustPut(t, s.Table("orders"), "o-1", "one")
	mustPut(t, s.Table("orders"), "o-3", "three")
	mustPut(t, s.Table("orders"), "o-2", "")
	mustPut(t, s.Table("tokens"), "o-1", "other")
	for _, key := range []string{"o-3", "o-9"} {
		if err := s.Table("orders").Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	for range 2 {
		if got, want := rows(t, s.Table("orders")), []string{"o-1=one", "o-2="}; !slices.Equal(got, want) {
			t.Errorf("orders %q; want %q", got, want)
		}
		if got, want := rows(t, s.Table("tokens")), []string{"o-1=other"}; !slices.Equal(got, want) {
			t.Errorf("tokens %q; want %q", got, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
	}
}

func TestManyWritersShareATransaction(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	waiting, release := held(s)
	var told sync.WaitGroup
	told.Add(102)
	done := func(err error) {
		defer told.Done()
		if err != nil {
			t.Error(err)
		}
	}
	s.Table("a").PutAsync("first", nil, done)
	<-waiting
	for i := range 100 {
		s.Table(fmt.Sprint("t", i%2)).PutAsync(fmt.Sprint(i), []byte("x"), done)
	}
	s.Ledger().Commit("north", []byte("r"), done)
	release <- nil
	<-waiting
	release <- nil
	told.Wait()
	if st := s.Stats(); st.Groups != 2 || st.Commits != 102 {
		t.Errorf("stats %+v; want 2 groups of 102 changes", st)
	}
	if n := len(rows(t, s.Table("t0"))); n != 50 {
		t.Errorf("%d rows, want 50", n)
	}
}

func TestTheNewestChangeOfAKeyIsWritten(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	waiting, release := held(s)
	table := s.Table("a")
	told := make(chan int, 4)
	table.PutAsync("first", nil, func(error) { told <- 0 })
	<-waiting
	table.PutAsync("k", []byte("old"), func(error) { told <- 1 })
	table.DeleteAsync("k", func(error) { told <- 2 })
	table.PutAsync("k", []byte("new"), func(error) { told <- 3 })
	release <- nil
	<-waiting
	release <- nil
	for want := range 4 {
		if got := <-told; got != want {
			t.Errorf("told %d, want %d", got, want)
		}
	}
	if got, want := rows(t, table), []string{"first=", "k=new"}; !slices.Equal(got, want) {
		t.Errorf("rows %q; want %q", got, want)
	}
}

func TestPutRefusals(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	table := s.Table("a")
	for name, c := range map[string]struct {
		key   string
		value []byte
		want  area.Code
	}{
		"no key":   {"", nil, area.CodeInvalid},
		"long key": {strings.Repeat("k", maxKey+1), nil, area.CodeInvalid},
		"too long": {"k", make([]byte, maxRecord+1), area.CodeTooLarge},
	} {
		if err := table.Put(t.Context(), c.key, c.value); area.CodeOf(err) != c.want {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := table.Put(t.Context(), "k", nil); area.CodeOf(err) != area.CodeDraining {
		t.Errorf("put after close: %v", err)
	}
	if err := table.Load(func(string, []byte) error { return nil }); err == nil {
		t.Error("load after close: no error")
	}
}

func TestPutEndsWithItsContext(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	waiting, release := held(s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Table("a").Put(ctx, "k", []byte("v")) }()
	<-waiting
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	release <- nil
}

func TestLoadStopsAtAnError(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	mustPut(t, s.Table("a"), "1", "")
	mustPut(t, s.Table("a"), "2", "")
	enough, n := errors.New("enough"), 0
	if err := s.Table("a").Load(func(string, []byte) error { n++; return enough }); err != enough || n != 1 {
		t.Errorf("load: %v after %d; want the callback's error after 1", err, n)
	}
}

func TestDamagedRowsAreSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	mustPut(t, s.Table("a"), "1", "well")
	mustPut(t, s.Table("a"), "2", "damaged")
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(tablesBucket).Bucket([]byte("a"))
		stray := b.Get([]byte("2")) // a good record in the wrong place is damage too
		return errors.Join(b.Put([]byte("3"), stray), b.Put([]byte("2"), append(slices.Clone(stray), 'x')))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if got, want := rows(t, s.Table("a")), []string{"1=well"}; !slices.Equal(got, want) || s.Stats().Corrupt != 2 {
		t.Errorf("rows %q, stats %+v; want %q and 2 damaged", got, s.Stats(), want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if n := s.Stats().Corrupt; n != 0 {
		t.Errorf("%d damaged records found again", n)
	}
}

func TestNewerRowIsRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	mustPut(t, s.Table("a"), "1", "well")
	if err := s.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(tablesBucket).Bucket([]byte("a")).Put([]byte("2"), sealNewer(place{"a", "2"}, "whatever"))
	}); err != nil {
		t.Fatal(err)
	}
	err := s.Table("a").Load(func(string, []byte) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "a newer tacet wrote it") {
		t.Errorf("load: %v", err)
	}
}

// TestFormat1Opens opens a file that the first format's code wrote.
func TestFormat1Opens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	unpack(t, "testdata/format1.db.gz", path)
	for range 2 {
		s := open(t, path)
		if s.Quarantined() != "" {
			t.Fatalf("quarantined %s", s.Quarantined())
		}
		for i, a := range []area.Name{"north", "south", "pier"} {
			if r, err := s.Ledger().Load(a); err != nil || string(r) != fmt.Sprint("record ", i) {
				t.Errorf("load %s: %q, %v", a, r, err)
			}
		}
		mustPut(t, s.Table("a"), "k", "v")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
