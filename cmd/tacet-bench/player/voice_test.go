package player

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func at(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }

func TestOverlapping(t *testing.T) {
	plays := []heardPlay{
		{0, "a", at(0), at(100)},
		{1, "b", at(100), at(200)}, // next to it
		{1, "c", at(150), at(400)}, // of the same device
		{2, "d", at(360), at(500)}, // 40 ms over c
		{0, "e", at(380), at(390)}, // within c and d
	}
	if n, longest := overlapping(plays); n != 3 || longest != 40*time.Millisecond {
		t.Errorf("%d, longest %s", n, longest)
	}
}

func TestTwice(t *testing.T) {
	second := map[area.WorkID]time.Duration{"a": time.Second, "b": time.Second, "c": time.Second}
	plays := []heardPlay{
		{0, "a", at(0), at(1000)}, {1, "a", at(2000), at(3000)}, {2, "a", at(4000), at(5000)},
		{0, "b", at(6000), at(6500)}, {1, "b", at(7000), at(8000)}, // cut short, then whole
		{0, "c", at(9000), at(10000)},
		{0, "", at(0), at(10)}, {0, "", at(20), at(30)},
	}
	if n := twice(plays, second); n != 1 {
		t.Errorf("%d", n)
	}
}

// TestPlaysOfAKilledDevice: a play without an end lasted as long as something was
// recorded, and half a line is none.
func TestPlaysOfAKilledDevice(t *testing.T) {
	wav := filepath.Join(t.TempDir(), "gate-1.wav")
	list := `{"event":"open","unix_ms":1000000}
{"event":"start","work":"a","token":1,"unix_ms":1000010,"sample":0}
{"event":"end","work":"a","token":1,"unix_ms":1000020,"sample":9}
{"event":"start","work":"b","token":2,"unix_ms":1000030,"sample":9}
{"event":"en`
	for name, text := range map[string]string{wav: "", wav + ".jsonl": list} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(wav, at(70), at(70)); err != nil {
		t.Fatal(err)
	}
	plays, err := readPlays(wav+".jsonl", 3)
	want := []heardPlay{{3, "a", at(10), at(20)}, {3, "b", at(30), at(70)}}
	if err != nil || len(plays) != 2 || plays[0] != want[0] || plays[1] != want[1] {
		t.Errorf("%v, %v; want %v", plays, err, want)
	}
	s := stage{deaths: []time.Time{at(75)}}
	if d := s.silence(append(plays, heardPlay{1, "c", at(375), at(400)})); d != 300*time.Millisecond {
		t.Errorf("silence for %s", d)
	}
}
