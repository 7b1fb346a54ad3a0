package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/drivers/media"
)

const chunk = 20 * time.Millisecond

func loud(d time.Duration) []byte {
	s := media.Silence(d)
	for i := range s {
		s[i] = 1000
	}
	return s.Bytes()
}

// play writes d of sound in chunks.
func play(t *testing.T, a *Audio, d time.Duration) {
	t.Helper()
	for range d / chunk {
		if _, err := a.Write(loud(chunk)); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T) (*Audio, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gate-1.wav")
	a := NewAudio(Config{WAV: file})
	if err := a.Open(media.Rate, 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, file
}

func read(t *testing.T, file string) media.Sound {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := media.DecodeWAV(b)
	if err != nil {
		t.Fatalf("%s is not valid: %v", file, err)
	}
	if len(b) < media.HeaderSize+2*len(s) {
		t.Fatalf("%d bytes, the header tells of %d samples", len(b), len(s))
	}
	return s
}

// edges is where sound begins and ends in s.
func edges(s media.Sound) (at []int) {
	was := int16(0)
	for i, v := range s {
		if v != was {
			at = append(at, i)
			was = v
		}
	}
	return at
}

func TestSamplePositionIsTimeSinceOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, file := open(t)
		opened := time.Now()
		n := media.Samples(chunk)

		time.Sleep(time.Second)
		a.Began("o-1", 7000041)
		began := time.Now()
		play(t, a, 2*time.Second)
		if took := time.Since(began); took < 1950*time.Millisecond || took > 2*time.Second {
			t.Errorf("2 s of sound were taken in %v", took)
		}
		if err := a.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 100*media.Length(n) || took > 2*time.Second+time.Millisecond {
			t.Errorf("2 s of sound were heard in %v", took)
		}
		a.Ended("o-1", 7000041)

		time.Sleep(time.Second)
		a.Began("", 7000042)
		play(t, a, 100*time.Millisecond)
		if err := a.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.Ended("", 7000042)
		time.Sleep(time.Second)
		length := time.Since(opened)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}

		s := read(t, file)
		at := edges(s)
		if len(at) != 4 || at[0] != media.Rate || at[1] != media.Rate+100*n || at[3] != at[2]+5*n {
			t.Fatalf("sound at %v, want it at %d to %d and 5 chunks at about %d", at, media.Rate, media.Rate+100*n, 4*media.Rate)
		}
		if len(s) != media.Samples(length) {
			t.Errorf("recorded %d samples in %v", len(s), length)
		}
		ms := opened.UnixMilli()
		unix := func(i int) int64 { return ms + media.Length(at[i]).Milliseconds() }
		want := fmt.Sprintf(`{"event":"open","unix_ms":%d}
{"event":"start","work":"o-1","token":7000041,"unix_ms":%d,"sample":%d}
{"event":"end","work":"o-1","token":7000041,"unix_ms":%d,"sample":%d}
{"event":"start","work":null,"token":7000042,"unix_ms":%d,"sample":%d}
{"event":"end","work":null,"token":7000042,"unix_ms":%d,"sample":%d}
`, ms, unix(0), at[0], unix(1), at[1], unix(2), at[2], unix(3), at[3])
		got, _ := os.ReadFile(file + ".jsonl")
		if string(got) != want {
			t.Errorf("list of plays:\n%s\nwant\n%s", got, want)
		}
	})
}

func TestHeaderIsValidAfterEachChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, file := open(t)
		if s := read(t, file); len(s) != 0 {
			t.Fatalf("%d samples before the first chunk", len(s))
		}
		time.Sleep(time.Second)
		n := media.Samples(chunk)
		for i := range 20 {
			play(t, a, chunk)
			if s := read(t, file); len(s) != media.Rate+(i+1)*n {
				t.Fatalf("after chunk %d: %d samples, want %d", i, len(s), media.Rate+(i+1)*n)
			}
		}
	})
}

func TestDropCutsWhatWasNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, file := open(t)
		a.Began("o-1", 1)
		play(t, a, 500*time.Millisecond)
		if d, err := a.Delay(); err != nil || d < 25*time.Millisecond || d > 50*time.Millisecond {
			t.Fatalf("ahead of the clock by %v, %v", d, err)
		}
		if err := a.Drop(); err != nil {
			t.Fatal(err)
		}
		heard := a.position()
		a.Ended("o-1", 1)
		if s := read(t, file); len(s) != heard {
			t.Errorf("recorded %d samples, heard %d", len(s), heard)
		}
		list, _ := os.ReadFile(file + ".jsonl")
		if !strings.HasSuffix(string(list), fmt.Sprintf(`"sample":%d}`+"\n", heard)) {
			t.Errorf("list of plays %s, want the end at %d", list, heard)
		}
		if d, _ := a.Delay(); d != 0 {
			t.Errorf("after Drop there is %v to hear", d)
		}
	})
}

// A process that was stopped goes on where the clock is: the time it was away is
// silence, not sound that is heard late.
func TestStalledWriterLeavesSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, file := open(t)
		play(t, a, 200*time.Millisecond)
		time.Sleep(3 * time.Second)
		play(t, a, 200*time.Millisecond)
		at := edges(read(t, file))
		n := media.Samples(chunk)
		if len(at) != 3 || at[1] != 10*n || at[2] < 3*media.Rate {
			t.Errorf("sound at %v", at)
		}
	})
}

func TestPlayWithoutSampleLeavesNoLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, file := open(t)
		a.Began("o-1", 1)
		a.Ended("o-1", 1)
		list, _ := os.ReadFile(file + ".jsonl")
		if strings.Count(string(list), "\n") != 1 {
			t.Errorf("list of plays: %s", list)
		}
	})
}

func TestUseOfAClosedLoudspeaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAudio(Config{})
		if _, err := a.Write(loud(chunk)); !errors.Is(err, ErrClosed) {
			t.Errorf("Write: %v", err)
		}
		if err := a.Open(48000, 2); err == nil {
			t.Error("48 kHz stereo was taken")
		}
		if err := a.Open(media.Rate, 1); err != nil {
			t.Fatal(err)
		}
		if err := a.Open(media.Rate, 1); err == nil {
			t.Error("it opened twice")
		}
		play(t, a, 60*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Drain(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Drain: %v", err)
		}
		for range 2 {
			if err := a.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if a.Drop() == nil || a.Tail() != 50*time.Millisecond {
			t.Error("Drop after Close, or the tail")
		}
		if _, err := a.Delay(); !errors.Is(err, ErrClosed) {
			t.Errorf("Delay: %v", err)
		}
	})
}

func TestFilesThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := NewAudio(Config{WAV: filepath.Join(dir, "no", "x.wav")}).Open(media.Rate, 1); err == nil {
		t.Error("a directory that is not there: no error")
	}
	if err := os.Mkdir(filepath.Join(dir, "x.wav.jsonl"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := NewAudio(Config{WAV: filepath.Join(dir, "x.wav")}).Open(media.Rate, 1); err == nil {
		t.Error("a list that is a directory: no error")
	}
}

func TestBoard(t *testing.T) {
	var b Board
	_ = b.Amp(true)
	_ = b.Amp(true)
	_ = b.Lamp(true)
	if !b.Relay.On() || !b.Busy.On() || len(b.Relay.Changes()) != 1 {
		t.Error("switched on: it is not, or more than once")
	}
	_ = b.Close()
	if b.Relay.On() || b.Busy.On() || len(b.Relay.Changes()) != 2 {
		t.Error("closed: something is on")
	}
	for i := range 3000 {
		b.Relay.set(i%2 == 0)
	}
	if n := len(b.Relay.Changes()); n != 1000 {
		t.Errorf("%d changes are kept", n)
	}
	b.Button.Press()
	n := 0
	b.Button.Watch(func() { n++ })
	b.Button.Press()
	if n != 1 {
		t.Errorf("pressed %d times, want 1", n)
	}
}

// What the run before has sounded is kept, with its list; a run that sounded
// nothing does not push it out.
func TestTheLastRecordingIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "x.wav")
		run := func(work string, length time.Duration) {
			a := NewAudio(Config{WAV: file})
			if err := a.Open(media.Rate, 1); err != nil {
				t.Fatal(err)
			}
			if length > 0 {
				a.Began(work, 1)
				play(t, a, length)
				if err := a.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		check := func(when string, now, before time.Duration, work string) {
			t.Helper()
			list, _ := os.ReadFile(file + ".1.jsonl")
			if got, kept := read(t, file).Duration().Round(chunk), read(t, file+".1").Duration().Round(chunk); got != now || kept != before || !strings.Contains(string(list), work) {
				t.Errorf("%s: %v, kept %v with the list %s", when, got, kept, list)
			}
		}
		run("first", time.Second)
		if _, err := os.Stat(file + ".1"); err == nil {
			t.Error("something is kept before there was anything")
		}
		run("", 0)
		check("after a run that sounded", 0, time.Second, "first")
		run("second", 2*time.Second)
		check("after one that did not", 2*time.Second, time.Second, "first")
		run("third", 3*time.Second)
		check("after another that sounded", 3*time.Second, 2*time.Second, "second")
	})
}
