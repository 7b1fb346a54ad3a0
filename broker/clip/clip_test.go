package clip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// bench is a store in a directory of its own, with a clock that the test turns.
type bench struct {
	*Store
	t   *testing.T
	now time.Time
	cfg Config
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	b := &bench{t: t, now: noon, cfg: cfg}
	b.cfg.Now = func() time.Time { return b.now }
	if b.cfg.Dir == "" {
		b.cfg.Dir = t.TempDir()
	}
	b.reopen()
	return b
}

func (b *bench) reopen() {
	b.t.Helper()
	s, err := Open(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Store = s
}

func (b *bench) put(text, key string) Info {
	b.t.Helper()
	info, _, err := b.Put(b.t.Context(), strings.NewReader(text), About{Key: key})
	if err != nil {
		b.t.Fatalf("Put(%.20q): %v", text, err)
	}
	return info
}

// read is the bytes of a clip, or why there are none.
func (b *bench) read(sum Sum) (string, error) {
	f, _, err := b.Open(sum)
	if err != nil {
		return "", err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	return string(all), err
}

func (b *bench) has(text string) bool {
	_, ok := b.Get(SumOf([]byte(text)))
	return ok
}

// ruler takes everything for sound that begins with RIFF, a second a byte.
type ruler struct{}

func (ruler) Measure(f io.ReadSeeker) (string, time.Duration, error) {
	b, err := io.ReadAll(f)
	if err != nil || !bytes.HasPrefix(b, []byte("RIFF")) {
		return "", 0, errors.New("no riff")
	}
	return "audio/wav", time.Duration(len(b)) * time.Second, nil
}

func TestNamesRoundTrip(t *testing.T) {
	sum := SumOf([]byte("abc"))
	const digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if sum.Hex() != digits || sum.String() != "sha256:"+digits {
		t.Errorf("%s, %s", sum.Hex(), sum)
	}
	for _, s := range []string{digits, "sha256:" + digits} {
		if got, err := ParseSum(s); err != nil || got != sum {
			t.Errorf("ParseSum(%q) = %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "sha256:", digits[1:], digits + "0", strings.ToUpper(digits), "md5:" + digits, strings.Replace(digits, "b", "g", 1), "../" + digits[3:]} {
		if _, err := ParseSum(s); err == nil {
			t.Errorf("ParseSum(%q): no error", s)
		}
	}
}

func TestAClipComesBackAndIsKnownAgain(t *testing.T) {
	b := newBench(t, Config{Meter: ruler{}})
	info, known, err := b.Put(t.Context(), strings.NewReader("RIFF one"), About{Name: "gate one", Key: "k1"})
	want := Info{Sum: SumOf([]byte("RIFF one")), Bytes: 8, Type: "audio/wav", Length: 8 * time.Second, Name: "gate one"}
	if err != nil || known || info.Sum != want.Sum || info.Bytes != want.Bytes || info.Type != want.Type || info.Length != want.Length || info.Name != want.Name {
		t.Fatalf("Put = %+v, %v, %v", info, known, err)
	}
	if again, known, err := b.Put(t.Context(), strings.NewReader("RIFF one"), About{Key: "k2"}); err != nil || !known || again.Sum != info.Sum {
		t.Errorf("a second Put = %+v, %v, %v", again, known, err)
	}
	for range 2 { // before and after a start
		for _, key := range []string{"k1", "k2"} {
			if found, ok := b.Find(key); !ok || found.Sum != info.Sum {
				t.Errorf("Find(%s) = %+v, %v", key, found, ok)
			}
		}
		if _, ok := b.Find(""); ok {
			t.Error("the empty key is found")
		}
		if text, err := b.read(info.Sum); err != nil || text != "RIFF one" {
			t.Errorf("read %q, %v", text, err)
		}
		if got, _ := b.Get(info.Sum); got.Length != want.Length || got.Name != "gate one" || !got.Added.Equal(noon) {
			t.Errorf("Get = %+v", got)
		}
		b.reopen()
	}
	if _, err := b.read(SumOf([]byte("other"))); !errors.Is(err, ErrNotFound) {
		t.Errorf("a clip that is not there: %v", err)
	}
}

func TestWhatIsNoClipIsRefusedAndLeavesNothing(t *testing.T) {
	b := newBench(t, Config{Meter: ruler{}, MaxClip: 100})
	broken := errors.New("line cut")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	cases := []struct {
		name string
		ctx  context.Context
		r    io.Reader
		want error
	}{
		{"too large", t.Context(), strings.NewReader("RIFF" + strings.Repeat("x", 97)), ErrTooLarge},
		{"endless", t.Context(), endless{}, ErrTooLarge},
		{"no sound", t.Context(), strings.NewReader("hello"), ErrNotSound},
		{"empty", t.Context(), strings.NewReader(""), ErrNotSound},
		{"broken off", t.Context(), io.MultiReader(strings.NewReader("RIFF"), failing{broken}), broken},
		{"given up", ended, strings.NewReader("RIFF"), context.Canceled},
	}
	for _, c := range cases {
		if _, _, err := b.Put(c.ctx, c.r, About{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	left, err := os.ReadDir(filepath.Join(b.cfg.Dir, newDir))
	if st := b.Stats(); err != nil || len(left) != 0 || st.Clips != 0 || st.Bytes != 0 || st.Refused != 4 {
		t.Errorf("left %v, %v; %+v", left, err, st)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestTheLeastUsedGoesFirstAndNothingThatIsNeeded(t *testing.T) {
	needed := map[Sum]bool{}
	b := newBench(t, Config{MaxBytes: 30, Needed: func() map[Sum]bool { return needed }})
	for _, text := range []string{"one-------", "two-------", "three-----"} {
		b.put(text, "")
		b.now = b.now.Add(time.Minute)
	}
	if _, err := b.read(SumOf([]byte("one-------"))); err != nil { // now "two" was used longest ago
		t.Fatal(err)
	}
	b.now = b.now.Add(2 * time.Minute)
	b.reopen() // the order of uses outlives a start
	needed[SumOf([]byte("three-----"))] = true
	b.put("four------", "")
	if b.has("two-------") || !b.has("one-------") || !b.has("three-----") {
		t.Errorf("after one more there are %v", b.List())
	}
	b.now = b.now.Add(time.Minute)
	b.put("five------", "")
	if b.has("one-------") || !b.has("three-----") {
		t.Errorf("after two more there are %v", b.List())
	}
	// What was used just now is about to be named by an order.
	b.Use(SumOf([]byte("four------")))
	if _, _, err := b.Put(t.Context(), strings.NewReader("six-------"), About{}); !errors.Is(err, ErrFull) {
		t.Errorf("with nothing that may go: %v", err)
	}
	if st := b.Stats(); st.Evicted != 2 || st.EvictedBytes != 20 || st.Full != 1 || st.Bytes != 30 || st.Clips != 3 {
		t.Errorf("%+v", st)
	}
	if err := b.Remove(SumOf([]byte("three-----"))); !errors.Is(err, ErrNeeded) {
		t.Errorf("Remove of a needed clip: %v", err)
	}
	delete(needed, SumOf([]byte("three-----")))
	if err := b.Remove(SumOf([]byte("three-----"))); err != nil || b.has("three-----") {
		t.Errorf("Remove: %v", err)
	}
	if err := b.Remove(SumOf([]byte("three-----"))); !errors.Is(err, ErrNotFound) {
		t.Errorf("Remove twice: %v", err)
	}
}

func TestWhatWasMadeGoesBeforeWhatWasSent(t *testing.T) {
	b := newBench(t, Config{MaxClips: 3})
	for _, c := range []struct{ text, key string }{{"sent", ""}, {"made", "k1"}, {"made too", "k2"}, {"more", "k3"}, {"and more", ""}} {
		b.put(c.text, c.key)
		b.now = b.now.Add(time.Minute)
	}
	if !b.has("sent") || b.has("made") || b.has("made too") || !b.has("more") || !b.has("and more") {
		t.Errorf("there are %v", b.List())
	}
	if _, ok := b.Find("k1"); ok {
		t.Error("a key of a clip that is gone is found")
	}
}

func TestThereIsABoundOnHowMany(t *testing.T) {
	b := newBench(t, Config{MaxClips: 2})
	for _, text := range []string{"a", "b", "c", "d"} {
		b.put(text, "")
		b.now = b.now.Add(time.Minute)
	}
	if b.Stats().Clips != 2 || !b.has("d") || !b.has("c") {
		t.Errorf("there are %v", b.List())
	}
}

func TestDamagedBytesAreNeverGivenBack(t *testing.T) {
	damage := map[string]func(path string) error{
		"flipped": func(path string) error { return os.WriteFile(path, []byte("RIFF 0ne"), 0o600) },
		"cut":     func(path string) error { return os.Truncate(path, 3) },
		"grown":   func(path string) error { return os.WriteFile(path, []byte("RIFF one and more"), 0o600) },
		"gone":    os.Remove,
	}
	for name, harm := range damage {
		for _, restarted := range []bool{false, true} {
			b := newBench(t, Config{Meter: ruler{}})
			sum := b.put("RIFF one", "k").Sum
			if err := harm(b.path(sum)); err != nil {
				t.Fatal(err)
			}
			if restarted {
				b.reopen()
			} else {
				b.now = b.now.Add(2 * time.Minute)
				b.Use(sum) // which writes the file's time, and must not make it trusted
			}
			text, err := b.read(sum)
			if err == nil || restarted && name == "gone" && !errors.Is(err, ErrNotFound) || !restarted && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, restarted %v: read %q, %v", name, restarted, text, err)
			}
			if _, ok := b.Find("k"); ok || b.Stats().Bytes != 0 {
				t.Errorf("%s: it is still known: %+v", name, b.Stats())
			}
			if info, known, err := b.Put(t.Context(), strings.NewReader("RIFF one"), About{}); err != nil || known || info.Sum != sum {
				t.Errorf("%s: brought again: %v, %v", name, known, err)
			}
			if text, err := b.read(sum); err != nil || text != "RIFF one" {
				t.Errorf("%s: after it was brought again: %q, %v", name, text, err)
			}
		}
	}
}

func TestDamagedFilesAreKeptToABound(t *testing.T) {
	b := newBench(t, Config{})
	for i := range byte(mostAside + 3) {
		sum := b.put(string([]byte{'a' + i}), "").Sum
		if err := os.Truncate(b.path(sum), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.read(sum); !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(filepath.Join(b.cfg.Dir, asideDir))
	if err != nil || len(files) != mostAside {
		t.Errorf("%d damaged files, %v", len(files), err)
	}
}

// An end in the middle leaves a new file, a note without its clip, or a clip
// without its note.
func TestWhatAnEndInTheMiddleLeavesIsCleanedAway(t *testing.T) {
	b := newBench(t, Config{Meter: ruler{}})
	sum := b.put("RIFF one", "k").Sum
	stray := SumOf([]byte("never"))
	for path, text := range map[string]string{
		filepath.Join(b.cfg.Dir, newDir, "123"): "half", b.notePath(stray): "{}", b.path(SumOf([]byte("x"))): "no sound", filepath.Join(b.cfg.Dir, "README"): "mine",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(b.notePath(sum)); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if info, ok := b.Get(sum); !ok || info.Length != 8*time.Second {
		t.Errorf("the clip without its note: %+v, %v", info, ok)
	}
	if st := b.Stats(); st.Clips != 1 || st.Damaged != 1 {
		t.Errorf("%+v", st)
	}
	for _, path := range []string{filepath.Join(b.cfg.Dir, newDir, "123"), b.notePath(stray)} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there", path)
		}
	}
}

func TestAdoptTakesAFileThatIsRight(t *testing.T) {
	b := newBench(t, Config{MaxClip: 100})
	file := filepath.Join(b.cfg.Dir, "fetched")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := SumOf([]byte("right"))
	write("wrong")
	if _, err := b.Adopt(file, sum); !errors.Is(err, ErrSum) {
		t.Errorf("wrong bytes: %v", err)
	}
	write(strings.Repeat("x", 101))
	if _, err := b.Adopt(file, sum); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many bytes: %v", err)
	}
	write("right")
	if info, err := b.Adopt(file, sum); err != nil || info.Bytes != 5 {
		t.Errorf("Adopt = %+v, %v", info, err)
	}
	if text, err := b.read(sum); err != nil || text != "right" {
		t.Errorf("read %q, %v", text, err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Error("the file is still where it was")
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t, Config{MaxBytes: 64, Meter: ruler{}})
	b.Store.cfg.Now = time.Now
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			text := "RIFF " + string(rune('a'+i%4))
			for range 20 {
				info, _, err := b.Put(t.Context(), strings.NewReader(text), About{Key: text})
				if err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				if got, err := b.read(info.Sum); err != nil || got != text {
					t.Errorf("read %q, %v", got, err)
				}
				b.List()
			}
		})
	}
	wait.Wait()
	if st := b.Stats(); st.Clips != 4 || st.Bytes != 24 || st.Damaged != 0 {
		t.Errorf("%+v", st)
	}
}

func TestConfigTellsAllFaults(t *testing.T) {
	err := Config{MaxBytes: -1}.Validate()
	for _, want := range []string{"directory", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want it to name %q", err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open of a file: %v", err)
	}
}

func TestPutOfOneThatIsNamed(t *testing.T) {
	b := newBench(t, Config{})
	if _, _, err := b.Put(t.Context(), strings.NewReader("other"), About{Sum: SumOf([]byte("one"))}); !errors.Is(err, ErrSum) || b.has("other") {
		t.Errorf("other bytes: %v, kept: %v", err, b.has("other"))
	}
	if info, _, err := b.Put(t.Context(), strings.NewReader("one"), About{Sum: SumOf([]byte("one"))}); err != nil || info.Bytes != 3 {
		t.Errorf("its own bytes: %+v, %v", info, err)
	}
}
