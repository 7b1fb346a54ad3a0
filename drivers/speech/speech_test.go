package speech

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/drivers/media"
)

func TestEstimate(t *testing.T) {
	cases := []struct {
		text string
		want time.Duration // as espeak-ng 1.51 speaks it; 0: nothing
	}{
		{"", 0},
		{" … ", 0},
		{"Hi", 632 * time.Millisecond},
		{"Boarding at gate 1", 1414 * time.Millisecond},
		{"Attention please.", 1257 * time.Millisecond},
		{"1234567890", 5822 * time.Millisecond},
		{"Die Abfahrt verzögert sich um wenige Minuten.", 3007 * time.Millisecond},
		{"The train to Oslo on platform 3 is delayed by fifteen minutes. We are sorry for the inconvenience.", 5638 * time.Millisecond},
		{"Flight SK 4711 is now boarding at gate 24. Please have your boarding pass ready.", 6616 * time.Millisecond},
	}
	for _, c := range cases {
		got := Estimate(c.text)
		if got < c.want*3/4 || got > c.want*5/4 {
			t.Errorf("Estimate(%q) = %v, spoken in %v", c.text, got, c.want)
		}
	}
}

func TestTonesDifferByWordAndCount(t *testing.T) {
	s, err := New(Config{Engine: Tone})
	if err != nil || s.Engine() != Tone {
		t.Fatalf("New: %v", err)
	}
	one, _ := s.Say(t.Context(), "boarding", "")
	two, _ := s.Say(t.Context(), "boarding now", "de")
	if len(one) == 0 || len(two) <= len(one) {
		t.Errorf("one word %v, two words %v", one.Duration(), two.Duration())
	}
	for _, text := range []string{"", " \x00\n ", strings.Repeat("a", MaxText+1)} {
		if _, err := s.Say(t.Context(), text, ""); err == nil {
			t.Errorf("Say(%.10q): no error", text)
		}
	}
	if _, err := s.Say(t.Context(), "\t", ""); !errors.Is(err, ErrNoText) {
		t.Errorf("blank text: %v", err)
	}
}

// fake installs a program called espeak-ng that logs its arguments and its input
// and behaves as the script says.
func fake(t *testing.T, script string) (dir string) { return fakeOf(t, Espeak, script) }

func fakeOf(t *testing.T, name, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	body := "#!/bin/sh\ncd " + dir + "\necho \"$@\" >> argv\n" + script
	if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sound.wav"), media.EncodeWAV(media.Tone(440, 50*time.Millisecond)), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir
}

func TestTextGoesByStandardInputAndVoicesAreTried(t *testing.T) {
	dir := fake(t, "case \"$4\" in xx) echo no such voice >&2; exit 1;; esac\ncat > stdin\ncat sound.wav\n")
	s, err := New(Config{Voice: "en"})
	if err != nil || s.Engine() != Espeak {
		t.Fatalf("New: %v, %v", s, err)
	}
	for _, voice := range []string{"", "xx", "xx", "no", "-w/etc/x"} {
		sound, err := s.Say(t.Context(), "--help; $(id)", voice)
		if err != nil || len(sound) != media.Samples(50*time.Millisecond) {
			t.Errorf("voice %q: %v, %v", voice, sound.Duration(), err)
		}
	}
	in, _ := os.ReadFile(filepath.Join(dir, "stdin"))
	if string(in) != "--help; $(id)" {
		t.Errorf("standard input = %q", in)
	}
	argv, _ := os.ReadFile(filepath.Join(dir, "argv"))
	want := "en xx en en no no en" // default; xx tried once, then default twice; no tried, spoken; refused
	var got []string
	for _, l := range strings.Split(strings.TrimSpace(string(argv)), "\n") {
		got = append(got, strings.TrimPrefix(l, "--stdin --stdout -v "))
	}
	if strings.Join(got, " ") != want {
		t.Errorf("voices = %q, want %q", strings.Join(got, " "), want)
	}
}

func TestFailuresAreErrors(t *testing.T) {
	cases := []struct {
		name, script, want string
		timeout            time.Duration
	}{
		{"exit code", "echo out of memory >&2\nexit 3\n", "out of memory", time.Minute},
		{"no sound", "cat >/dev/null\necho hello\n", "wav", time.Minute},
		{"too slow", "exec sleep 60\n", "deadline", 300 * time.Millisecond},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fake(t, c.script)
			s, err := New(Config{Timeout: c.timeout})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Say(context.Background(), "hello", ""); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Say: %v, want something with %q", err, c.want)
			}
		})
	}
}

func TestConfigTellsAllFaults(t *testing.T) {
	err := Config{Engine: "festival", Voice: "-w x", Timeout: -1}.Validate()
	for _, want := range []string{"festival", "-w x", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want it to name %q", err, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := New(Config{Engine: Espeak}); err == nil {
		t.Error("espeak-ng asked for and not installed: no error")
	}
	if s, err := New(Config{}); err != nil || s.Engine() != Tone {
		t.Errorf("auto without espeak-ng: %v", err)
	}
}

func TestPiperSpeaksWithTheModelOfTheVoice(t *testing.T) {
	dir := fakeOf(t, Piper, "cat > stdin\ncat sound.wav\n")
	models := t.TempDir()
	for _, m := range []string{"en_GB-alan-medium", "en_US-amy-low", "no_NO-talesyntese-medium", "de_DE-thorsten-high"} {
		if err := os.WriteFile(filepath.Join(models, m+".onnx"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(Config{Models: models, Voice: "en_US-amy-low"})
	if err != nil || s.Engine() != Piper {
		t.Fatalf("New: %v, %v", s, err)
	}
	want := ""
	for _, c := range []struct{ voice, model string }{
		{"", "en_US-amy-low"}, {"en_GB-alan-medium", "en_GB-alan-medium"}, {"no", "no_NO-talesyntese-medium"}, {"de", "de_DE-thorsten-high"},
		{"en-GB", "en_GB-alan-medium"}, {"fi", "en_US-amy-low"}, {"../../x", "en_US-amy-low"}, {"e", "en_US-amy-low"},
	} {
		if sound, err := s.Say(t.Context(), "Gate 1\n-- closes", c.voice); err != nil || len(sound) != media.Samples(50*time.Millisecond) {
			t.Errorf("voice %q: %v, %v", c.voice, sound.Duration(), err)
		}
		want += "--model " + filepath.Join(models, c.model+".onnx") + " --output_file -\n"
	}
	if argv, _ := os.ReadFile(filepath.Join(dir, "argv")); string(argv) != want {
		t.Errorf("called with\n%swant\n%s", argv, want)
	}
	if in, _ := os.ReadFile(filepath.Join(dir, "stdin")); string(in) != "Gate 1 -- closes\n" {
		t.Errorf("standard input = %q", in)
	}
	for _, c := range []Config{{Engine: Piper}, {Engine: Piper, Models: t.TempDir()}} {
		if _, err := New(c); err == nil {
			t.Errorf("New(%+v): no error", c)
		}
	}
	if s, err := New(Config{Models: t.TempDir()}); err != nil || s.Engine() == Piper {
		t.Errorf("auto without a model: %v, %v", s, err)
	}
}
