package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// store is a [Source] that has one release. It sends so many bytes at most in
// one answer, and then breaks off.
type store struct {
	release Release
	program []byte
	most    int
	asked   int
	err     error
}

func (s *store) Release(context.Context, string) (Release, error) { return s.release, s.err }

func (s *store) Program(_ context.Context, _ Manifest, from int64) (io.ReadCloser, int64, error) {
	s.asked++
	b := s.program[from:]
	if s.most > 0 {
		b = b[:min(s.most, len(b))]
	}
	return io.NopCloser(bytes.NewReader(b)), from, nil
}

// bench is an updater that runs.
type bench struct {
	*Updater
	dir    string
	key    ed25519.PrivateKey
	source *store
	end    func()

	mu   sync.Mutex
	seen []Phase
}

// run starts the updater of a device that runs a version, or what the source has
// from a slot.
func run(t *testing.T, dir string, key ed25519.PrivateKey, source *store, l Launched) *bench {
	t.Helper()
	own := l.Version
	if l.Slot != Packaged {
		own = Held{Release: source.release}.Manifest().Version
	}
	return runAs(t, dir, key, source, l, own)
}

// runAs starts the updater of a device that says that it is a version.
func runAs(t *testing.T, dir string, key ed25519.PrivateKey, source *store, l Launched, own string) *bench {
	t.Helper()
	keys, err := ParseKeys([]string{PublicText(key)})
	must(t, err)
	b := &bench{dir: dir, key: key, source: source}
	l.Launcher = "/usr/bin/tacet-device"
	b.Updater, err = New(Config{Dir: dir, Keys: keys, Version: own, Launched: l, Changed: b.changed}, source, slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }() // end waits for it
	b.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Cleanup(b.end)
	return b
}

func (b *bench) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.Status().Phase; len(b.seen) == 0 || b.seen[len(b.seen)-1] != p {
		b.seen = append(b.seen, p)
	}
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	key, err := NewKey()
	must(t, err)
	return key
}

func release(t *testing.T, key ed25519.PrivateKey, m Manifest) Release {
	t.Helper()
	r, err := Sign(key, m)
	must(t, err)
	return r
}

// An update that goes well: downloaded, staged, started on trial, confirmed.
func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, dir, program := newKey(t), t.TempDir(), script("v1.1.0")
		source := &store{release: release(t, key, manifestOf("v1.1.0", program)), program: program}
		b := run(t, dir, key, source, Launched{Version: "v1.0.0"})
		if st := b.Status(); st != (Status{Phase: Idle}) {
			t.Errorf("at first it is %+v", st)
		}
		must(t, b.Order([]byte(`{"order":"u-1","version":"v1.1.0"}`)))
		<-b.Restart()
		if st, want := b.Status(), (Status{Phase: Staged, Version: "v1.1.0", Order: "u-1"}); st != want {
			t.Errorf("it is %+v, want %+v", st, want)
		}
		must(t, b.Order(nil)) // too late: refused, and the status stays
		synctest.Wait()
		b.end()
		if st := b.Stats(); st != (Stats{Orders: 2, Refused: 1, Staged: 1, Bytes: uint64(len(program))}) {
			t.Errorf("it counted %+v", st)
		}

		s, err := OpenSlots(dir)
		must(t, err)
		at := s.Choose("v1.0.0", b.cfg.Keys, slog.New(slog.DiscardHandler))
		b = run(t, dir, key, source, Launched{Slot: at, Version: "v1.0.0"})
		if st, want := b.Status(), (Status{Phase: Trial, Version: "v1.1.0", Order: "u-1", Slot: A}); st != want {
			t.Errorf("after the start it is %+v, want %+v", st, want)
		}
		if !b.NeedsAudio() {
			t.Error("audio was well before, and need not be now")
		}
		time.Sleep(TrialTime - time.Second)
		b.Healthy()
		synctest.Wait()
		if st, want := b.Status(), (Status{Phase: Confirmed, Version: "v1.1.0", Order: "u-1", Slot: A}); st != want {
			t.Errorf("once it is well it is %+v, want %+v", st, want)
		}
		must(t, b.Order([]byte(`{"order":"u-2"}`)))
		synctest.Wait()
		if st, want := b.Status(), (Status{Phase: Confirmed, Version: "v1.1.0", Order: "u-2", Slot: A}); st != want {
			t.Errorf("ordered again it is %+v, want %+v", st, want)
		}
	})
}

// An update that is not healthy in time: the device goes back, says why, and
// does not try that build again.
func TestUpdateNotHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, dir, program := newKey(t), t.TempDir(), script("v1.1.0")
		source := &store{release: release(t, key, manifestOf("v1.1.0", program)), program: program}
		b := run(t, dir, key, source, Launched{Version: "v1.0.0"})
		must(t, b.Order([]byte(`{"order":"u-1"}`)))
		<-b.Restart()
		b.end()
		s, err := OpenSlots(dir)
		must(t, err)
		at := s.Choose("v1.0.0", b.cfg.Keys, slog.New(slog.DiscardHandler))
		b = run(t, dir, key, source, Launched{Slot: at, Version: "v1.0.0"})
		began := time.Now()
		<-b.Restart()
		if took := time.Since(began); took != TrialTime {
			t.Errorf("it is patient for %v", took)
		}
		b.end()
		s, err = OpenSlots(dir)
		must(t, err)
		if at := s.Choose("v1.0.0", b.cfg.Keys, slog.New(slog.DiscardHandler)); at != Packaged {
			t.Fatalf("it starts slot %q", at)
		}
		b = run(t, dir, key, source, Launched{Version: "v1.0.0"})
		if st, want := b.Status(), (Status{Phase: Failed, Version: "v1.1.0", Order: "u-1", Reason: "it was not healthy 1m30s after its start"}); st != want {
			t.Errorf("back again it is %+v, want %+v", st, want)
		}
		must(t, b.Order([]byte(`{"order":"u-2"}`)))
		synctest.Wait()
		if st := b.Status(); st.Phase != Refused || st.Reason != ErrFailed.Error() {
			t.Errorf("ordered again it is %+v", st)
		}
	})
}

// A program that says that it is another version than was signed is not
// confirmed, however well it is.
func TestUpdateOfAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, dir, program := newKey(t), t.TempDir(), script("v1.1.0")
		source := &store{release: release(t, key, manifestOf("v1.1.0", program)), program: program}
		b := run(t, dir, key, source, Launched{Version: "v1.0.0"})
		must(t, b.Order([]byte(`{"order":"u-1"}`)))
		<-b.Restart()
		b.end()
		s, err := OpenSlots(dir)
		must(t, err)
		at := s.Choose("v1.0.0", b.cfg.Keys, slog.New(slog.DiscardHandler))
		b = runAs(t, dir, key, source, Launched{Slot: at, Version: "v1.0.0"}, "devel")
		b.Healthy()
		<-b.Restart()
		time.Sleep(2 * TrialTime)
		b.end()
		if st := b.Stats(); st != (Stats{Failed: 1}) {
			t.Errorf("it counted %+v", st)
		}
		b = run(t, dir, key, source, Launched{Version: "v1.0.0"})
		if st, want := b.Status(), (Status{Phase: Failed, Version: "v1.1.0", Order: "u-1", Reason: "it says that it is devel"}); st != want {
			t.Errorf("back again it is %+v, want %+v", st, want)
		}
	})
}

// What is not as it should be is not begun, or does not become a slot.
func TestUpdateThatIsNotTaken(t *testing.T) {
	key, other, program := newKey(t), newKey(t), script("v1.1.0")
	good := manifestOf("v1.1.0", program)
	with := func(change func(*Manifest)) Manifest {
		m := good
		change(&m)
		return m
	}
	flipped := bytes.Clone(program)
	flipped[7] ^= 1
	tampered := release(t, key, good)
	tampered.Manifest = strings.Replace(tampered.Manifest, "v1.1.0", "v9.1.0", 1)
	cases := []struct {
		name    string
		release Release
		program []byte
		order   string
		phase   Phase
		reason  string
	}{
		{"good", release(t, key, good), program, ``, Staged, ""},
		{"signed by somebody else", release(t, other, good), program, ``, Refused, ErrSignature.Error()},
		{"not signed", Release{Manifest: string(good.Encode())}, program, ``, Refused, ErrSignature.Error()},
		{"manifest changed", tampered, program, ``, Refused, ErrSignature.Error()},
		{"a bit flipped", release(t, key, good), flipped, ``, Failed, errDamaged.Error()},
		{"cut short for ever", release(t, key, good), program[:1000], ``, Failed, "unexpected EOF"},
		{"too long", release(t, key, good), append(bytes.Clone(program), 'x'), ``, Failed, errDamaged.Error()},
		{"older", release(t, key, with(func(m *Manifest) { m.Version = "v0.9.0" })), program, ``, Refused, ErrDowngrade.Error()},
		{"older by a pre-release", release(t, key, with(func(m *Manifest) { m.Version = "v1.0.0-rc.1" })), program, ``, Refused, ErrDowngrade.Error()},
		{"older, allowed", release(t, key, with(func(m *Manifest) { m.Version = "v0.9.0" })), program, `{"allow_downgrade":true}`, Staged, ""},
		{"too far", release(t, key, with(func(m *Manifest) { m.MinVersion = "v1.0.1" })), program, ``, Refused, ErrTooFar.Error()},
		{"another processor", release(t, key, with(func(m *Manifest) { m.Arch = "plan9-mips" })), program, ``, Refused, ErrArch.Error()},
		{"another version than ordered", release(t, key, good), program, `{"version":"v1.2.0"}`, Refused, "the hub has v1.1.0, not v1.2.0"},
		{"nothing", Release{}, nil, ``, Refused, ErrSignature.Error()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				b := run(t, dir, key, &store{release: c.release, program: c.program}, Launched{Version: "v1.0.0"})
				must(t, b.Order([]byte(c.order)))
				time.Sleep(10 * time.Minute) // more than all attempts take
				st := b.Status()
				if st.Phase != c.phase || !strings.Contains(st.Reason, c.reason) {
					t.Errorf("it is %+v, want %s, %q", st, c.phase, c.reason)
				}
				if _, err := os.Stat(b.slots.Path(A)); (err == nil) != (c.phase == Staged) {
					t.Errorf("slot a: %v", err)
				}
			})
		})
	}
}

// A download that breaks off again and again goes on where it was.
func TestDownloadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, program := newKey(t), script("v1.1.0")
		source := &store{release: release(t, key, manifestOf("v1.1.0", program)), program: program, most: 100_000}
		b := run(t, t.TempDir(), key, source, Launched{Version: "v1.0.0"})
		must(t, b.Order(nil))
		<-b.Restart()
		if want := (len(program) + source.most - 1) / source.most; source.asked != want {
			t.Errorf("it asked %d times, want %d", source.asked, want)
		}
		if n := b.Stats().Bytes; n != uint64(len(program)) {
			t.Errorf("it got %d bytes, the program has %d", n, len(program))
		}
	})
}

// A download that the process did not live to end is gone on with after the
// next start.
func TestDownloadGoesOnAfterStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, dir, program := newKey(t), t.TempDir(), script("v1.1.0")
		source := &store{release: release(t, key, manifestOf("v1.1.0", program)), program: program, most: 300_000}
		b := run(t, dir, key, source, Launched{Version: "v1.0.0"})
		must(t, b.Order(nil))
		for b.Stats().Bytes == 0 {
			time.Sleep(time.Millisecond)
		}
		b.end()
		got := b.Stats().Bytes
		b = run(t, dir, key, source, Launched{Version: "v1.0.0"})
		must(t, b.Order(nil))
		<-b.Restart()
		if n := b.Stats().Bytes; got == 0 || n+got != uint64(len(program)) {
			t.Errorf("before %d, then %d bytes, of %d", got, n, len(program))
		}
	})
}

// crowded is a disk that has room for some bytes of a program, and no more.
type crowded struct {
	disk
	room int
}

func (c *crowded) Append(name string) (file, error) {
	f, err := c.disk.Append(name)
	if name == partFile {
		f = narrow{f, c}
	}
	return f, err
}

type narrow struct {
	file
	on *crowded
}

func (n narrow) Write(b []byte) (int, error) {
	if len(b) > n.on.room {
		return 0, &os.PathError{Op: "write", Path: partFile, Err: syscall.ENOSPC}
	}
	n.on.room -= len(b)
	return n.file.Write(b)
}

// A disk that is full ends the download at once, and gets back what was written;
// with room again the same order goes through.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, dir, program := newKey(t), t.TempDir(), script("v1.1.0")
		source := &store{release: release(t, key, manifestOf("v1.1.0", program)), program: program}
		b := run(t, dir, key, source, Launched{Version: "v1.0.0"})
		full := &crowded{disk: b.slots.disk, room: 500_000}
		b.slots.disk = full // Run is idle: it reads it with the next order
		must(t, b.Order(nil))
		synctest.Wait()
		if st := b.Status(); st.Phase != Failed || !strings.Contains(st.Reason, "no space left") || source.asked != 1 {
			t.Errorf("it is %+v, and asked %d times", st, source.asked)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 0 {
			t.Errorf("%v, %v is left", left, err)
		}
		full.room = 2 * len(program)
		must(t, b.Order(nil))
		<-b.Restart()
	})
}

func TestOrdersThatCannotBeTaken(t *testing.T) {
	key := newKey(t)
	keys, err := ParseKeys([]string{PublicText(key)})
	must(t, err)
	u, err := New(Config{Dir: t.TempDir(), Keys: keys, Version: "v1.0.0", Launched: Launched{Launcher: "/x"}}, &store{}, slog.New(slog.DiscardHandler))
	must(t, err)
	for _, bad := range []string{"{", `"x"`, `{"order":7}`, `{"order":"` + strings.Repeat("x", maxID+1) + `"}`, strings.Repeat(" ", maxOrder+1)} {
		if err := u.Order([]byte(bad)); err != ErrBadOrder {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	must(t, u.Order([]byte(`{"more":"keys"}`)))
	if err := u.Order(nil); err != ErrBusy {
		t.Errorf("a second one: %v", err)
	}
	if st := u.Stats(); st.Dropped != 6 || st.Orders != 1 {
		t.Errorf("it counted %+v", st)
	}
}

// A hub that is away is asked again, and then no more.
func TestHubAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, t.TempDir(), newKey(t), &store{err: errors.New("no route")}, Launched{Version: "v1.0.0"})
		must(t, b.Order([]byte(`{"order":"u-1"}`)))
		time.Sleep(10 * time.Minute)
		if st := b.Status(); st.Phase != Failed || st.Reason != "no route" || st.Order != "u-1" {
			t.Errorf("it is %+v", st)
		}
	})
}
