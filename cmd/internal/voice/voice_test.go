package voice

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/drivers/media"
)

// speaking is a voice that speaks until the test ends, with a program of the
// test's that is called espeak-ng.
func speaking(t *testing.T, script string) (v *Voice, calls func() int) {
	t.Helper()
	dir := t.TempDir()
	body := "#!/bin/sh\ncd " + dir + "\nread text\necho \"$4 $text\" >> calls\n" + script
	if err := os.WriteFile(filepath.Join(dir, "espeak-ng"), []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sound.wav"), media.EncodeWAV(media.Tone(440, 300*time.Millisecond)), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	clips, err := clip.Open(clip.Config{Dir: t.TempDir(), Meter: meter{}})
	if err != nil {
		t.Fatal(err)
	}
	v = New(Config{Engine: "espeak-ng", Voice: "en"}, clips, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = v.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return v, func() int {
		b, _ := os.ReadFile(filepath.Join(dir, "calls"))
		return strings.Count(string(b), " Boarding")
	}
}

// meter knows WAV files.
type meter struct{}

func (meter) Measure(f io.ReadSeeker) (string, time.Duration, error) {
	c, err := media.Decode(f, time.Minute)
	return "audio/wav", c.Sound.Duration(), err
}

const patience = time.Minute

func TestATextIsSpokenOnce(t *testing.T) {
	v, calls := speaking(t, "cat sound.wav\n")
	if d := v.Length("Boarding at gate 1", nil); d < 700*time.Millisecond {
		t.Errorf("estimated at %v", d)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if info, ok := v.Clip(t.Context(), "Boarding at gate 1", nil, patience); !ok || info.Length != 300*time.Millisecond {
				t.Errorf("of: %+v, %v", info, ok)
			}
		})
	}
	all.Wait()
	if n := calls(); n != 1 {
		t.Errorf("the engine spoke %d times", n)
	}
	if d := v.Length("Boarding at gate 1", nil); d != 300*time.Millisecond {
		t.Errorf("once it is spoken it takes %v", d)
	}
	if info, ok := v.Clip(t.Context(), "Boarding", []string{"en", "no"}, patience); !ok || info.Length != 600*time.Millisecond+media.Pause {
		t.Errorf("in two languages: %+v, %v", info, ok)
	}
	if st := v.Stats(); st.Made != 2 || st.Failed+st.Left+st.Late != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAnEngineThatFailsOrIsSlowIsNotWaitedFor(t *testing.T) {
	v, _ := speaking(t, "echo out of memory >&2\nexit 1\n")
	if _, ok := v.Clip(t.Context(), "Boarding", nil, patience); ok || v.Stats().Failed != 1 {
		t.Errorf("%+v", v.Stats())
	}
	v, _ = speaking(t, "exec sleep 60\n")
	if _, ok := v.Clip(t.Context(), "Boarding", nil, 0); ok || v.Stats().Late != 1 {
		t.Errorf("%+v", v.Stats())
	}
	for i := range mostTexts + speakers + 3 {
		v.Length("Boarding "+strings.Repeat("x", i), nil)
	}
	if st := v.Stats(); st.Left < 2 {
		t.Errorf("%+v", st)
	}
}

func TestSpeechStaysUntilItsOrderHasEnded(t *testing.T) {
	v := &Voice{held: map[area.WorkID]clip.Sum{}}
	sum := clip.SumOf([]byte("x"))
	held := func() (n int) {
		v.Needed(func(s clip.Sum) {
			if s == sum {
				n++
			}
		})
		return n
	}
	v.Hold("o-1", sum)
	v.Changed(area.Order{ID: "o-1", State: area.OrderPlaying})
	if held() != 1 {
		t.Error("the speech of a playing order may go")
	}
	v.Changed(area.Order{ID: "o-1", State: area.OrderPlayed})
	if held() != 0 {
		t.Error("the speech of an order that has ended must stay")
	}
}

func TestWithoutAnEngineDevicesSpeak(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for engine, want := range map[string]bool{"espeak-ng": false, "auto": false, "tone": true} {
		if v := New(Config{Engine: engine, Voice: "en"}, nil, slog.New(slog.DiscardHandler)); (v.Speaks()) != want {
			t.Errorf("engine %s: the hub speaks: %v", engine, v.Speaks())
		}
	}
}
