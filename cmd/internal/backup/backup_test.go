package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/store"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// hub is a data directory with something of every kind.
func hub(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	s, err := store.Open(filepath.Join(dir, "tacet.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "areas", "north", "North Wing")
	put(t, s, "messages", "\x00\x00\x01", "")
	for i := range 12 {
		put(t, s, "large", fmt.Sprint("k", i), strings.Repeat(fmt.Sprint(i), 1000))
	}
	grants(t, s, "north", `{"v":1,"term":64,"alive_ms":6250,"clean":true}`)
	clip := []byte("RIFF of some kind")
	sum := sha256.Sum256(clip)
	file(t, dir, "clips/"+hex.EncodeToString(sum[:]), string(clip))
	file(t, dir, "clips/"+hex.EncodeToString(sum[:])+".json", `{"name":"chime"}`)
	file(t, dir, "clips/new/123", "half")
	file(t, dir, "proof/north/0000000000000001.jsonl", "one\n")
	file(t, dir, "proof/north/0000000000000002.jsonl", "two\n")
	file(t, dir, "proof-of/hub-2/north/0000000000000001.jsonl", "other\n")
	file(t, dir, "proof-of/hub-2/clock.json", `{"ahead_ms":1,"error_ms":2}`)
	file(t, dir, "history/1764331200.journal", "TACJ1")
	file(t, dir, "history/1764330600-1764331200.raw", "segment")
	file(t, dir, "ready.json", "{}")
	return dir
}

func put(t testing.TB, s *store.Store, table, key, value string) {
	t.Helper()
	if err := s.Table(table).Put(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func grants(t testing.TB, s *store.Store, area, record string) {
	t.Helper()
	done := make(chan error, 1)
	s.Ledger().Commit("north", []byte(record), func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func file(t testing.TB, dir, name, content string) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(at, noon, noon); err != nil {
		t.Fatal(err)
	}
}

// pack is a backup of a directory that no hub has.
func pack(t testing.TB, dir string, history bool) ([]byte, Manifest) {
	t.Helper()
	var b bytes.Buffer
	m, err := Write(t.Context(), &b, Closed(dir, Head{Version: "v1", Node: "hub-1", Made: noon}, history))
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

// content is every file of a directory and every record of its store.
func content(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == storeName {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(at)
		all[strings.TrimPrefix(at, dir)] = fmt.Sprintf("%s %s %s", info.Mode(), info.ModTime().UTC(), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	damage, err := store.ExportFile(filepath.Join(dir, storeName), func(r store.Record) error {
		all[r.Table+"\x00"+r.Key] = string(r.Value)
		return nil
	})
	if err != nil || len(damage) > 0 {
		t.Fatal(damage, err)
	}
	return all
}

// TestARestoredDirectoryIsTheSame, but for the ledger's word that no lease is alive.
func TestARestoredDirectoryIsTheSame(t *testing.T) {
	for _, history := range []bool{false, true} {
		dir := hub(t)
		b, m := pack(t, dir, history)
		if m.Records["ledger"] != 1 || m.Records["areas"] != 1 || m.Records["large"] != 12 || len(m.Damaged) > 0 {
			t.Errorf("%+v", m.Records)
		}
		if seen, err := Verify(t.Context(), bytes.NewReader(b), 0); err != nil || len(seen.Parts) != len(m.Parts) || !seen.Made.Equal(noon) {
			t.Fatalf("%v: %+v", err, seen.Head)
		}
		to := filepath.Join(t.TempDir(), "deep", "data")
		if r, err := Restore(t.Context(), bytes.NewReader(b), Target{Data: to, Now: noon}); err != nil || r.Aside != "" {
			t.Fatal(r.Aside, err)
		}
		want, got := content(t, dir), content(t, to)
		for _, gone := range []string{"/ready.json", "/clips/new/123"} {
			delete(want, gone)
		}
		if !history {
			maps.DeleteFunc(want, func(name, _ string) bool { return strings.HasPrefix(name, "/history") })
		}
		want["\x00north"] = `{"v":1,"term":262208,"alive_ms":6250}`
		if !maps.Equal(want, got) {
			t.Errorf("history %t: restored %q, want %q", history, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		if list, err := os.ReadDir(filepath.Dir(to)); err != nil || len(list) != 1 {
			t.Errorf("left behind: %v %v", list, err)
		}
	}
}

// TestManyRecordsAreSeveralParts, and are all there.
func TestManyRecordsAreSeveralParts(t *testing.T) {
	dir := hub(t)
	s, err := store.Open(filepath.Join(dir, storeName))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		put(t, s, "large", fmt.Sprint("k", i), strings.Repeat(fmt.Sprintf("%02d", i), 400_000))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, m := pack(t, dir, false)
	if n, bytes := m.Count("tables/large"); n != 2 || bytes < 9_600_000 {
		t.Errorf("%d parts of %d bytes", n, bytes)
	}
	to := filepath.Join(t.TempDir(), "data")
	if _, err := Restore(t.Context(), bytes.NewReader(b), Target{Data: to, Now: noon}); err != nil {
		t.Fatal(err)
	}
	want, got := content(t, dir), content(t, to)
	for i := range 12 {
		if key := fmt.Sprint("large\x00k", i); want[key] == "" || want[key] != got[key] {
			t.Errorf("%q is not what it was", key)
		}
	}
}

// TestWhatIsThereIsNotOverwritten: it is refused, or moved aside whole; what of it is
// newer about who may sound is kept in mind.
func TestWhatIsThereIsNotOverwritten(t *testing.T) {
	old, to := hub(t), hub(t)
	b, _ := pack(t, old, false)
	s, err := store.Open(filepath.Join(to, storeName))
	if err != nil {
		t.Fatal(err)
	}
	grants(t, s, "north", `{"v":1,"term":6400,"alive_ms":60250,"token":6400000007,"holds":[{"kind":"classic","device":"d1","left_ms":120000}]}`)
	put(t, s, "areas", "made-later", "x")
	force := Target{Data: to, Force: true, Now: noon, Wait: 30 * time.Second}
	if _, err := Restore(t.Context(), bytes.NewReader(b), force); !errors.Is(err, ErrRunning) {
		t.Errorf("under a hub: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := content(t, to)
	if _, err := Restore(t.Context(), bytes.NewReader(b), Target{Data: to}); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("without force: %v", err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(b[:len(b)/2]), force); !errors.Is(err, ErrDamaged) {
		t.Errorf("half a backup: %v", err)
	}
	if !maps.Equal(before, content(t, to)) {
		t.Error("what was refused has changed the directory")
	}
	r, err := Restore(t.Context(), bytes.NewReader(b), force)
	if err != nil || r.Aside != to+".before-20261128T120000Z" {
		t.Fatalf("moved to %q: %v", r.Aside, err)
	}
	if !maps.Equal(before, content(t, r.Aside)) {
		t.Error("what was moved aside is not what it was")
	}
	got := content(t, to)
	if want := `{"v":1,"term":268544,"alive_ms":60250,"token":6400000007,"holds":[{"kind":"classic","device":"d1","left_ms":120000}]}`; got["\x00north"] != want {
		t.Errorf("the record is %s, want %s", got["\x00north"], want)
	}
	if _, marked := got[shared.Restored().Table+"\x00"+shared.Restored().Key]; got["areas\x00made-later"] != "" || !marked {
		t.Errorf("%q", slices.Sorted(maps.Keys(got)))
	}
	if r, err = Restore(t.Context(), bytes.NewReader(b), force); err != nil || r.Aside != to+".before-20261128T120000Z-2" {
		t.Errorf("once more: %q %v", r.Aside, err)
	}
	if list, err := os.ReadDir(filepath.Dir(to)); err != nil || len(list) != 3 {
		t.Errorf("left behind: %v %v", list, err)
	}
}

// TestEveryDamageIsFound flips bits and cuts at many places.
func TestEveryDamageIsFound(t *testing.T) {
	b, _ := pack(t, hub(t), true)
	for i := range 400 {
		at := i * len(b) / 400
		flipped := bytes.Clone(b)
		flipped[at] ^= 1 << (i % 8)
		if at < 4 || at > 9 { // the time and the system in the head of gzip mean nothing
			if _, err := Verify(t.Context(), bytes.NewReader(flipped), 0); err == nil && !bytes.Equal(unzip(flipped), unzip(b)) {
				t.Errorf("byte %d of %d flipped: nothing was said", at, len(b))
			}
		}
		if _, err := Verify(t.Context(), bytes.NewReader(b[:at]), 0); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
			t.Errorf("cut to %d of %d: %v", at, len(b), err)
		}
	}
	if _, err := Verify(t.Context(), bytes.NewReader(append(bytes.Clone(b), 'x')), 0); !errors.Is(err, ErrDamaged) {
		t.Errorf("something behind it: %v", err)
	}
	if _, err := Verify(t.Context(), bytes.NewReader(b), 1000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than is allowed: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Verify(ctx, bytes.NewReader(b), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("told to end: %v", err)
	}
}

// TestWhatTheHubHasLostIsSaid: a backup of a directory with damage is made, and says
// of what.
func TestWhatTheHubHasLostIsSaid(t *testing.T) {
	dir := hub(t)
	clips, err := filepath.Glob(filepath.Join(dir, "clips", "*.json"))
	if err != nil || len(clips) != 1 {
		t.Fatal(clips, err)
	}
	if err := os.WriteFile(strings.TrimSuffix(clips[0], ".json"), []byte("not the sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(dir, storeName)
	b, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(db, bytes.ReplaceAll(b, []byte("North Wing"), []byte("South Wing")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, m := pack(t, dir, false)
	if m.Damaged["areas"] != 1 || m.Damaged["clips"] != 1 || m.Records["areas"] != 0 {
		t.Errorf("damaged %v, records %v", m.Damaged, m.Records)
	}
	if _, err := Write(t.Context(), new(bytes.Buffer), Closed(t.TempDir(), Head{}, false)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	var kept Manifest
	j, _ := json.Marshal(m)
	if err := json.Unmarshal(j, &kept); err != nil || kept.Damaged["clips"] != 1 || kept.Format != Format {
		t.Errorf("%+v %v", kept, err)
	}
}
