package audio

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
)

// fake installs a program called aplay that behaves as the script says, but for
// the first time, when the card is tried; it runs in the directory that is
// returned.
func fake(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	body := "#!/bin/sh\ncd " + dir + "\necho \"$@\" > argv\n[ -e tried ] || { echo > tried; exit 0; }\n" + script
	if err := os.WriteFile(filepath.Join(dir, "aplay"), []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir
}

func opened(t *testing.T, card string) *Aplay {
	t.Helper()
	a := NewAplay(card)
	if err := a.Open(22050, 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func TestEachPlayIsAProgram(t *testing.T) {
	dir := fake(t, "cat >> heard\necho >> plays\n")
	a := opened(t, "plughw:1,0")
	sound := bytes.Repeat([]byte{1, 2}, 3000)
	for range 2 {
		for range 3 {
			if n, err := a.Write(sound); err != nil || n != len(sound) {
				t.Fatalf("Write: %d, %v", n, err)
			}
		}
		if err := a.Drain(t.Context()); err != nil {
			t.Fatalf("Drain: %v", err)
		}
	}
	heard, _ := os.ReadFile(filepath.Join(dir, "heard"))
	plays, _ := os.ReadFile(filepath.Join(dir, "plays"))
	if !bytes.Equal(heard, bytes.Repeat(sound, 6)) || len(plays) != 2 {
		t.Errorf("heard %d bytes in %d plays", len(heard), len(plays))
	}
	argv, _ := os.ReadFile(filepath.Join(dir, "argv"))
	if got, want := strings.TrimSpace(string(argv)), "-q -t raw -f S16_LE -r 22050 -c 1 --buffer-time=50000 --period-time=12500 -D plughw:1,0"; got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
}

// What a stopped card has not taken is 4 KiB and what the program has read: the
// pipe does not hold a second of sound.
func TestPipeIsSmallAndDropIsAtOnce(t *testing.T) {
	dir := fake(t, "echo > started\nexec sleep 3600\n")
	a := opened(t, "")
	wrote := make(chan int)
	go func() {
		n, _ := a.Write(make([]byte, 44100))
		wrote <- n
	}()
	if n := <-wrote; n > pipeSize { // and not after an hour
		t.Errorf("a card that takes nothing took %d bytes", n)
	}
	if a.run != nil {
		t.Error("the program of a broken card lives")
	}
	if _, err := os.Stat(filepath.Join(dir, "started")); err != nil {
		t.Errorf("it did not start: %v", err)
	}
	if _, err := a.Write([]byte{0, 0}); err != nil {
		t.Fatal(err)
	}
	if d, err := a.Delay(); err != nil || d > time.Millisecond {
		t.Errorf("Delay: %v, %v", d, err)
	}
	if err := a.Drop(); err != nil || a.run != nil {
		t.Errorf("Drop: %v", err)
	}
	if a.Tail() < 140*time.Millisecond || a.Tail() > 200*time.Millisecond {
		t.Errorf("Tail = %v", a.Tail())
	}
}

func TestComplaintsAreErrors(t *testing.T) {
	fake(t, "cat > /dev/null\necho no such card >&2\nexit 1\n")
	a := opened(t, "")
	if _, err := a.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := a.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "no such card") {
		t.Errorf("Drain: %v", err)
	}
	fake(t, "exec sleep 3600\n")
	a = opened(t, "")
	if _, err := a.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Drain(ctx); err != context.Canceled {
		t.Errorf("Drain with an ended context: %v", err)
	}
	if _, err := a.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := a.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("Drain of a program that stays: %v", err)
	}
	if a.Close() != nil {
		t.Error("Close: an error")
	}
	if _, err := a.Write([]byte{0, 0}); err == nil {
		t.Error("Write after Close: no error")
	}
	if a.Open(0, 1) == nil {
		t.Error("0 Hz: no error")
	}
	t.Setenv("PATH", t.TempDir())
	if err := NewAplay("").Open(22050, 1); err == nil {
		t.Error("not installed: no error")
	}
}

// The program itself, into the file plugin of alsa-lib, which takes sound as fast
// as it comes: the content is right.
func TestAplayIntoAFile(t *testing.T) {
	dir := t.TempDir()
	conf, out := filepath.Join(dir, "alsa.conf"), filepath.Join(dir, "out.raw")
	text := fmt.Sprintf(`</usr/share/alsa/alsa.conf>
pcm.!default { type plug slave { pcm "cap" rate 48000 format S16_LE channels 2 } }
pcm.cap { type file slave.pcm "n" file %q format "raw" }
pcm.n { type null }
`, out)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALSA_CONFIG_PATH", conf)
	a := opened(t, "")
	play(t, a, audiotest.Tone(587, time.Second, 22050))
	if err := a.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	left := make([]int16, len(raw)/4)
	for i := range left {
		left[i] = int16(binary.LittleEndian.Uint16(raw[4*i:]))
	}
	span := audiotest.Spans(left, 48000)
	if len(span) != 1 {
		t.Fatalf("%d stretches of sound in %d bytes", len(span), len(raw))
	}
	sound := left[span[0].Start:span[0].End]
	hz, height := audiotest.Pitch(sound, 48000)
	// Its rate conversion works on whole samples of a period: 0.2 % off.
	if d := len(sound) - 48000; math.Abs(hz-587) > 2 || height < 9500 || d < -200 || d > 200 || audiotest.Gaps(sound, 48000) > 0 {
		t.Errorf("%.2f Hz, amplitude %.0f, %d samples", hz, height, len(sound))
	}
	if a.Xruns() != 0 {
		t.Errorf("%d xruns", a.Xruns())
	}
}

// What the program says of gaps is counted.
func TestAplayTellsOfGaps(t *testing.T) {
	fake(t, "cat > /dev/null\necho 'underrun!!! (at least 1.2 ms long)' >&2\necho 'underrun!!! (at least 3 ms long)' >&2\n")
	a := opened(t, "")
	if _, err := a.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := a.Drain(t.Context()); err != nil || a.Xruns() != 2 {
		t.Errorf("%d xruns, %v", a.Xruns(), err)
	}
}

// A card that is not there is told before anything shall sound.
func TestAplayTriesTheCard(t *testing.T) {
	dir := fake(t, "echo main: audio open error: No such file or directory >&2\nexit 1\n")
	if err := os.WriteFile(filepath.Join(dir, "tried"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := NewAplay("hw:9")
	if err := a.Open(22050, 1); err == nil || !strings.Contains(err.Error(), "audio open error") {
		t.Errorf("Open: %v", err)
	}
	if argv, _ := os.ReadFile(filepath.Join(dir, "argv")); !strings.Contains(string(argv), "-D hw:9") {
		t.Errorf("it was tried with %q", argv)
	}
}
