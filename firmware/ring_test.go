package firmware

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestRing(t *testing.T) {
	r := NewRing()
	log := slog.New(r.Handler(slog.DiscardHandler))
	log.Debug("not kept")
	for i := range 600 {
		log.With("device", "gate-1").Info("line", "n", i)
	}
	lines, dropped := r.Last(1000)
	if len(lines) != ringLines || dropped != 100 || !strings.Contains(lines[0], "device=gate-1 n=100") || !strings.Contains(lines[499], "n=599") {
		t.Errorf("%d lines, %d dropped, from %s to %s", len(lines), dropped, lines[0], lines[len(lines)-1])
	}
	if lines, skipped := r.Last(2); len(lines) != 2 || skipped != 598 {
		t.Errorf("%d lines, %d skipped", len(lines), skipped)
	}
	for range 200 {
		log.Info("long", "err", strings.Repeat("ä", 2000))
	}
	lines, _ = r.Last(1000)
	if n := len(strings.Join(lines, "")); n > ringBytes || len(lines) > 70 || len(lines[0]) > ringLine {
		t.Errorf("%d bytes in %d lines", n, len(lines))
	}
	if r.LastError() != "" {
		t.Errorf("an error without one: %s", r.LastError())
	}
	log.Error("sound failed", "work", "o-1")
	log.Warn("level=ERROR is not what this is")
	if got := r.LastError(); got != `msg="sound failed" work=o-1` {
		t.Errorf("the last error is %s", got)
	}
}

func TestRingKeepsNoSecret(t *testing.T) {
	r := NewRing()
	path := filepath.Join(t.TempDir(), "lines")
	if err := r.Keep(path); err != nil {
		t.Fatal(err)
	}
	r.Hide("")
	r.Hide(`pass"word`)
	log := slog.New(r.Handler(slog.DiscardHandler))
	log.Info("careless", "err", `connect as gate-1 with pass"word`)
	log.Error("careless", "err", strings.Repeat("x", ringLine-80)+` pass"word`)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines, _ := r.Last(10)
	for _, text := range []string{string(file), strings.Join(lines, "\n"), r.LastError()} {
		if strings.Contains(text, "pass") || strings.Contains(text, "word") {
			t.Errorf("a secret is in it: %s", text)
		}
	}
	if !strings.Contains(lines[0], "***") {
		t.Errorf("nothing stands for it: %s", lines[0])
	}
}

// The file has the newest lines, and does not grow without end.
func TestRingIsKept(t *testing.T) {
	r := NewRing()
	path := filepath.Join(t.TempDir(), "lines")
	if err := r.Keep(path); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for g := range 4 {
		work.Go(func() {
			log := slog.New(r.Handler(slog.DiscardHandler))
			for i := range 2000 {
				log.Info("line", "who", fmt.Sprint(g), "n", i)
			}
		})
	}
	work.Wait()
	info, err := os.Stat(path)
	if err != nil || info.Size() > 2*ringBytes {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	kept := strings.Split(strings.TrimSpace(string(tail(path, 16<<10))), "\n")
	lines, _ := r.Last(len(kept))
	if strings.Join(kept, "\n") != strings.Join(lines, "\n") || len(kept) < 100 {
		t.Errorf("%d lines in the file, the last %q, want %q", len(kept), kept[len(kept)-1], lines[len(lines)-1])
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := NewRing().Keep(filepath.Join(t.TempDir(), "none", "x")); err == nil {
		t.Error("no error where it cannot be kept")
	}
}
