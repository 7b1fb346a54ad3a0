package heard

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
)

func at(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }

func play(device area.DeviceID, work area.WorkID, from, to int) Play {
	return Play{Device: device, Work: work, From: at(from), To: at(to)}
}

func TestOverlaps(t *testing.T) {
	c, d, e := play("g-1", "c", 150, 400), play("g-2", "d", 360, 500), play("g-0", "e", 380, 390)
	plays := []Play{
		e, play("g-0", "a", 0, 100),
		play("g-1", "b", 100, 200), // next to a, and under c of the same device
		d, c,
	}
	want := []Overlap{{c, d, 40 * time.Millisecond}, {c, e, 10 * time.Millisecond}, {d, e, 10 * time.Millisecond}}
	if got := Overlaps(plays); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestJoin(t *testing.T) {
	got := Join([]Play{play("g-0", "a", 0, 100), play("g-0", "b", 104, 200), play("g-0", "c", 206, 300), play("g-0", "d", 307, 400)})
	if want := []Play{play("g-0", "a", 0, 300), play("g-0", "d", 307, 400)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhole(t *testing.T) {
	lengths := map[area.WorkID]time.Duration{"a": time.Second, "b": time.Second, "c": time.Second}
	got := Whole([]Play{
		play("g-0", "a", 0, 1000), play("g-1", "a", 2000, 2960), play("g-2", "a", 4000, 4900),
		play("g-0", "b", 6000, 6500), play("g-1", "b", 7000, 8000), // cut short, then whole
		play("g-0", "c", 9000, 9100),
		play("g-0", "", 0, 10), play("g-0", "x", 0, 10_000), // nobody asks for them
	}, lengths)
	if want := map[area.WorkID]int{"a": 2, "b": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestRecording: the list and the samples of a loudspeaker say the same, also while
// it plays, and of one that was killed in the middle of a play.
func TestRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wav := filepath.Join(t.TempDir(), "gate-1.wav")
		if _, err := List(wav, "gate-1"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no list: %v", err)
		}
		if _, err := Sounds(wav, "gate-1"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no recording: %v", err)
		}
		for _, head := range []string{"", string(media.EncodeWAV(nil))} { // killed as soon as the file was there
			if err := os.WriteFile(wav, []byte(head), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := Sounds(wav, "gate-1"); err != nil || len(got) != 0 {
				t.Errorf("%v, %v", got, err)
			}
		}
		speaker := sim.NewAudio(sim.Config{WAV: wav})
		if err := speaker.Open(media.Rate, 1); err != nil {
			t.Fatal(err)
		}
		defer speaker.Close()
		opened := time.Now()
		say := func(work string, d time.Duration) {
			t.Helper()
			speaker.Began(work, 7)
			tone := media.Tone(440, d)
			for c := range slices.Chunk(tone, media.Samples(20*time.Millisecond)) {
				if _, err := speaker.Write(c.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second)
		say("a", 2*time.Second)
		if err := speaker.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		speaker.Ended("a", 7)
		time.Sleep(time.Second)
		say("b", time.Second)

		list, err := List(wav, "gate-1")
		if err != nil || len(list) != 2 || list[0].Work != "a" || list[0].Open || list[1].Work != "b" || !list[1].Open || list[1].Token != 7 {
			t.Fatalf("%v, %v", list, err)
		}
		sounds, err := Sounds(wav, "gate-1")
		if err != nil || len(sounds) != 2 {
			t.Fatalf("%v, %v", sounds, err)
		}
		for i, want := range []Play{{From: opened.Add(time.Second), To: opened.Add(3 * time.Second)}, {From: opened.Add(4 * time.Second), To: opened.Add(5 * time.Second)}} {
			for name, got := range map[string]Play{"list": list[i], "samples": sounds[i]} {
				const close = 25 * time.Millisecond // a chunk, and how a tone begins and ends
				if got.From.Sub(want.From).Abs() > close || got.To.Sub(want.To).Abs() > close {
					t.Errorf("%s: %v, want %v", name, got, want)
				}
			}
		}
	})
}

// TestHalfALine: a list whose writer was killed in the middle of a line is read up
// to there.
func TestHalfALine(t *testing.T) {
	wav := filepath.Join(t.TempDir(), "gate-1.wav")
	list := `{"event":"open","unix_ms":1000000}
{"event":"start","work":"a","token":1,"unix_ms":1000010,"sample":0}
{"event":"end","work":"a","token":1,"unix_ms":1000020,"sample":9}
{"event":"start","work":null,"token":2,"unix_ms":1000030,"sample":9}
{"event":"en`
	for name, text := range map[string]string{wav: string(media.EncodeWAV(media.Silence(70 * time.Millisecond))), wav + ".jsonl": list} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := play("gate-1", "a", 10, 20), play("gate-1", "", 30, 70)
	a.Token, b.Token, b.Open = 1, 2, true
	got, err := List(wav, "gate-1")
	for i := range got {
		got[i].To = got[i].To.Round(time.Millisecond)
	}
	if err != nil || !slices.Equal(got, []Play{a, b}) {
		t.Errorf("%v, %v; want %v", got, err, []Play{a, b})
	}
	if got, err := Sounds(wav, "gate-1"); err != nil || len(got) != 0 {
		t.Errorf("silence sounds: %v, %v", got, err)
	}
}
