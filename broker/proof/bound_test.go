package proof

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestBookKeepsWhatItsConfigSays(t *testing.T) {
	for _, bad := range []Config{{Dir: "x", FileBytes: 1}, {Dir: "x", Files: 1}} {
		bad.Dir = t.TempDir()
		if _, err := Open(bad, time.Now, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	dir := t.TempDir()
	b, err := Open(Config{Dir: dir, Node: "gate-1", Queue: 8192, FileBytes: 64 << 10, Files: 2}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000 // of some 130 bytes
	for range n {
		b.Note("north", Record{Is: Granted, Device: "gate-1", Token: 1000001})
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := b.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s := b.Stats(); s.Records < n || s.Dropped > 0 {
		t.Fatalf("%+v", s)
	}
	list, err := segments(filepath.Join(dir, "north"))
	if err != nil || len(list) != 2 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	for _, path := range list {
		if s, err := os.Stat(path); err != nil || s.Size() > 66<<10 {
			t.Errorf("%v, %v", s, err)
		}
	}
	if _, broken, err := readAll(filepath.Join(dir, "north"), func(Record) {}); broken != "" || err != nil {
		t.Errorf("%s, %v", broken, err)
	}
}
