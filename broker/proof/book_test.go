package proof

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// opened is a book that runs until the end of the test, or until stop.
func opened(t *testing.T, cfg Config) (b *Book, stop func()) {
	t.Helper()
	b, err := Open(cfg, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	return b, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestBook: what is noted is on disk when Run has ended, and the next start goes on
// with it and knows its findings.
func TestBook(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Node: "hub-1"}
	b, stop := opened(t, cfg)
	b.Note("north", Record{Is: Granted, Device: "d1", Token: 1})
	b.Note("north", Record{Is: Intruder, Device: "d2"})
	b.Note("south", Record{Is: Granted, Device: "d3", Token: 1})
	b.Note("north", Record{Is: Conflict, Device: "d4", Token: 1})
	stop()
	if n := b.Overlaps(); n != 1 {
		t.Errorf("%d overlaps", n)
	}
	if s := b.Stats(); s.Records != 8 || s.Intruders != 1 || s.Conflicts != 1 || s.Dropped+s.Failed != 0 {
		t.Errorf("%+v", s)
	}
	b, stop = opened(t, cfg)
	b.Note("north", Record{Is: Freed, Device: "d1", Token: 1})
	stop()
	if n := b.Overlaps(); n != 1 {
		t.Errorf("%d overlaps after the start", n)
	}
	v, err := b.Check("north", time.Now().Add(-time.Hour))
	if err != nil || v.Broken != "" || v.OneVoice || v.Intruders != 1 || v.Gaps != 1 || v.Plays != 1 || v.Unmeasured != 1 || len(v.Findings) != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err := b.Check("nowhere", time.Now()); err != nil || v.Records != 0 || v.From != nil {
		t.Errorf("an area without record: %+v, %v", v, err)
	}
}

// TestWhatIsLostIsSaid: records that find the queue full, or a disk that takes
// nothing, are missing, and the record says how many.
func TestWhatIsLostIsSaid(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Queue: 2}
	b, err := Open(cfg, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 { // nobody writes yet
		b.Note("north", Record{Is: Granted, Device: "d1", Token: area.Token(i + 1)})
	}
	if s := b.Stats(); s.Dropped != 3 {
		t.Fatalf("%+v", s)
	}
	b.begin()
	b.write(<-b.queue)
	b.lost(3)
	b.write(<-b.queue)
	v := b.areas["north"]
	_ = v.files.file.Close() // writing fails from here on
	b.write(entry{"north", Record{T: b.clock(), Is: Freed, Token: 1}})
	b.write(entry{"north", Record{T: b.clock(), Is: Freed, Token: 2}})
	if v.missing != 2 || b.Stats().Failed == 0 {
		t.Fatalf("%d missing, %+v", v.missing, b.Stats())
	}
	file, err := os.OpenFile(newest(t, filepath.Join(cfg.Dir, "north")), os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	v.files.file = file
	b.Note("north", Record{Is: Freed, Token: 3})
	b.finish()
	got, err := b.Check("north", time.Now().Add(-time.Hour))
	if err != nil || got.Missing != 5 || got.Broken != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
