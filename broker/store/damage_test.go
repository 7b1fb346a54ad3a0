package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// library makes a closed file that has seen some use: tables, replaced and
// deleted records, and large ones.
func library(t testing.TB) (path string, content []byte, want map[string]string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	want = map[string]string{}
	for i := range 600 {
		table, key := fmt.Sprint("t", i%3), fmt.Sprintf("key-%03d", i*7%200)
		value := fmt.Sprintf("%d %s", i, bytes.Repeat([]byte{'a' + byte(i%26)}, i%90*i%70))
		s.Table(table).PutAsync(key, []byte(value), func(error) {})
		want[table+" "+key] = value
		if i%11 == 0 {
			s.Table(table).DeleteAsync(key, func(error) {})
			delete(want, table+" "+key)
		}
		if i%50 == 0 {
			mustPut(t, s.Table("flush"), "k", fmt.Sprint(i))
			want["flush k"] = fmt.Sprint(i)
		}
	}
	commit(t, s.Ledger(), "north", "record")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content, want
}

// verdict opens what damage has left, and checks that nothing is wrong and
// nothing is missing without a word.
func verdict(t testing.TB, path, what string, want map[string]string) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Errorf("%s: open: %v", what, err)
		return
	}
	defer s.Close()
	got := map[string]string{}
	for _, table := range []string{"t0", "t1", "t2", "flush"} {
		if err := s.Table(table).Load(func(key string, value []byte) error {
			got[table+" "+key] = string(value)
			return nil
		}); err != nil {
			t.Errorf("%s: load: %v", what, err)
		}
	}
	missing := 0
	for key, value := range want {
		is, ok := got[key]
		if !ok {
			missing++
		}
		if ok && is != value && len(s.Damage()) == 0 {
			t.Errorf("%s: %s is %.20q, want %.20q, and nothing was said", what, key, is, value)
		}
	}
	if missing > 0 && (len(s.Damage()) == 0 || s.Stats().Corrupt == 0) {
		t.Errorf("%s: %d of %d records are missing, and nothing was said", what, missing, len(want))
	}
	if err := s.Table("t0").Put(t.Context(), "after", []byte("x")); err != nil {
		t.Errorf("%s: put after: %v", what, err)
	}
}

// TestNoDamagePassesInSilence flips bits and cuts at random places.
func TestNoDamagePassesInSilence(t *testing.T) {
	t.Parallel()
	path, content, want := library(t)
	r := rand.New(rand.NewPCG(7, 11))
	for i := range 120 {
		damaged := bytes.Clone(content)
		at := r.IntN(len(damaged))
		what := fmt.Sprintf("byte %d of %d flipped", at, len(damaged))
		if i%4 == 0 {
			damaged, what = damaged[:at], fmt.Sprintf("cut to %d of %d", at, len(damaged))
		} else {
			damaged[at] ^= 1 << r.IntN(8)
		}
		_ = os.RemoveAll(path)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		verdict(t, path, what, want)
	}
}

// TestDamagedStructureIsSalvaged breaks the heads of pages one by one: most of
// what the file held is there afterwards.
func TestDamagedStructureIsSalvaged(t *testing.T) {
	t.Parallel()
	path, content, want := library(t)
	page, salvaged := os.Getpagesize(), 0
	for at := 2 * page; at < len(content); at += page {
		damaged := bytes.Clone(content)
		for i := range 16 {
			damaged[at+i] ^= 0xff
		}
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		verdict(t, path, fmt.Sprint("head of page ", at/page), want)
		s := open(t, path)
		n := 0
		for _, table := range []string{"t0", "t1", "t2"} {
			n += len(rows(t, s.Table(table)))
		}
		if n > len(want)/2 {
			salvaged++
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if pages := len(content)/page - 2; salvaged < pages*3/4 {
		t.Errorf("most of the file was salvaged for %d of %d pages", salvaged, pages)
	}
}

// FuzzOpen damages a file wherever the fuzzer likes.
func FuzzOpen(f *testing.F) {
	_, content, want := library(f)
	f.Add(uint32(0), []byte{0xff}, uint32(len(content)))
	f.Add(uint32(4096*3+10), []byte{0, 1}, uint32(len(content)))
	f.Add(uint32(0), []byte{}, uint32(5000))
	f.Fuzz(func(t *testing.T, at uint32, with []byte, size uint32) {
		damaged := bytes.Clone(content)
		copy(damaged[min(int(at), len(damaged)):], with)
		damaged = damaged[:min(int(size), len(damaged))]
		if bytes.Equal(damaged, content) {
			return
		}
		path := filepath.Join(t.TempDir(), "tacet.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		verdict(t, path, "damage", want)
	})
}
