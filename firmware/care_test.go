package firmware

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
)

// feeder is a watchdog that counts.
type feeder struct{ fed atomic.Int64 }

func (f *feeder) Feed() error { f.fed.Add(1); return nil }

// stuck is a loudspeaker whose Write does not return while it is held.
type stuck struct {
	*sim.Audio
	held atomic.Bool
	free chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.held.Load() {
		<-s.free
	}
	return s.Audio.Write(p)
}

// The watchdog is fed while the loops go on, idle and playing; a loudspeaker
// that hangs ends it, and what hung is on the disk.
func TestHungPlayerIsNotFed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		dog, audio := &feeder{}, &stuck{free: make(chan struct{})}
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			audio.Audio = d.audio.(*sim.Audio)
			d.audio, d.parts.Watchdog = audio, dog
		})
		if _, err := d.Memory.Begin(Machine{Kernel: "k", Now: time.Now(), Clock: area.ClockSynced}, ""); err != nil {
			t.Fatal(err)
		}
		fed := func(for_ time.Duration) int64 {
			before := dog.fed.Load()
			time.Sleep(for_)
			return dog.fed.Load() - before
		}
		if n := fed(time.Hour); n < 715 || n > 725 {
			t.Errorf("fed %d times in an idle hour, want 720", n)
		}
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		if n := fed(20 * time.Second); n < 3 || n > 5 {
			t.Errorf("fed %d times in 20 s of play, want 4", n)
		}
		audio.held.Store(true)
		time.Sleep(20 * time.Second)
		if n := fed(time.Minute); n != 0 {
			t.Errorf("fed %d times in a minute in which the loudspeaker hangs", n)
		}
		b, err := os.ReadFile(filepath.Join(d.data, "run"))
		if err != nil || !strings.Contains(string(b), "the audio loop") {
			t.Errorf("the run has %s, %v", b, err)
		}
		if st := d.Stats(); st.Hangs != 1 {
			t.Errorf("Stats = %+v", st)
		}
		audio.held.Store(false)
		close(audio.free)
		time.Sleep(10 * time.Second)
		if n := fed(time.Minute); n < 11 {
			t.Errorf("fed %d times in a minute after it, want 12", n)
		}
		if b, _ := os.ReadFile(filepath.Join(d.data, "run")); strings.Contains(string(b), "hung") {
			t.Errorf("what hung goes on, and the run has %s", b)
		}
	})
}

func TestHealthIsJudged(t *testing.T) {
	const s = area.Instant(time.Second)
	h := health{patience: 10 * time.Second}
	for i, c := range []struct {
		p    Pulse
		at   area.Instant
		want string
	}{
		{Pulse{Loop: 1}, 5 * s, ""},
		{Pulse{Loop: 2, Audio: 1, Playing: true}, 10 * s, ""},
		{Pulse{Loop: 3, Audio: 1, Playing: true}, 15 * s, ""},
		{Pulse{Loop: 4, Audio: 1, Playing: true}, 21 * s, "the audio loop, for 11s"},
		{Pulse{Loop: 5, Audio: 2, Playing: true}, 25 * s, ""},
		{Pulse{Loop: 5, Audio: 3, Playing: true}, 30 * s, ""},
		{Pulse{Loop: 5, Audio: 4, Playing: true}, 36 * s, "the agent's loop, for 11s"},
		{Pulse{Loop: 5, Audio: 4}, 46 * s, "the agent's loop, for 21s"},
		{Pulse{Loop: 6, Audio: 4}, 51 * s, ""},
		{Pulse{Loop: 7, Audio: 4}, 500 * s, ""}, // a machine that was suspended
	} {
		if got := h.hung(c.p, c.at); got != c.want {
			t.Errorf("pulse %d: %q, want %q", i, got, c.want)
		}
	}
}

// panicky is a loudspeaker that breaks an invariant in the middle of a play, and
// notes when it was closed.
type panicky struct {
	*sim.Audio
	left   int
	closed atomic.Int64
}

func (p *panicky) Write(b []byte) (int, error) {
	if p.left--; p.left < 0 {
		panic("the driver is broken")
	}
	return p.Audio.Write(b)
}

func (p *panicky) Close() error { p.closed.Add(1); return p.Audio.Close() }

// A panic in a writer leaves everything off, ends Run, tells the hub that the
// device is gone, and is kept for the next start.
func TestPanicIsQuiet(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		audio := &panicky{left: 50}
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			audio.Audio = d.audio.(*sim.Audio)
			d.audio, d.fails = audio, ErrPanic
		})
		if _, err := d.Memory.Begin(Machine{Kernel: "k"}, ""); err != nil {
			t.Fatal(err)
		}
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		time.Sleep(5 * time.Second)
		if d.board.Relay.On() || d.board.Busy.On() || audio.closed.Load() != 1 || d.Stats().Panics != 1 {
			t.Errorf("after a panic: relay %v, lamp %v, loudspeaker closed %d times", d.board.Relay.On(), d.board.Busy.On(), audio.closed.Load())
		}
		if s := d.status(r); s.Online {
			t.Error("the hub takes it for online")
		}
		d.stop()
		m := memory(t, d.data)
		start, err := m.Begin(Machine{Kernel: "k"}, "")
		if err != nil || start.Reason != area.BootCrash || start.Failed != 1 {
			t.Errorf("the next start is %+v, %v", start, err)
		}
		if text := strings.Join(m.Crash(), "\n"); !strings.Contains(text, "the driver is broken") || !strings.Contains(text, "panicky") {
			t.Errorf("of the crash is kept: %s", text)
		}
	})
}

// The owner itself panics: the same.
func TestPanicOfTheOwner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			d.fails = ErrPanic
			d.parts.Commands = map[string]func([]byte) error{"break": func([]byte) error { panic("no such thing") }}
		})
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		time.Sleep(2 * time.Second)
		r.command("gate-1", "break", "")
		time.Sleep(time.Second)
		if d.board.Relay.On() || d.status(r).Online {
			t.Errorf("relay %v, online %v", d.board.Relay.On(), d.status(r).Online)
		}
		if p := d.plays(); len(p) != 1 || p[0].to == 0 && len(d.sound()) > media.Samples(3*time.Second) {
			t.Errorf("plays = %+v, %d samples", p, len(d.sound()))
		}
	})
}

// In safe mode the device is connected, answers for its log, and does nothing
// else, until it is told to start again.
func TestSafeMode(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1", func(d *dev, c *Config) {
			c.Start = Start{Reason: area.BootCrash, Failed: 5, Safe: true}
			d.parts.Ring = NewRing()
			d.fails = ErrRestart
		})
		s := d.status(r)
		if !s.Online || s.Health == nil || !s.Health.SafeMode || s.Health.BootReason != area.BootCrash {
			t.Errorf("status = %+v, health %+v", s, s.Health)
		}
		if d.board.Status.State() != LightSafeMode {
			t.Errorf("the light shows %s", d.board.Status.State())
		}
		r.offer("gate-1", "o-1", 1, speech("one"))
		r.command("gate-1", "identify", "")
		time.Sleep(10 * time.Second)
		if takes := r.told("gate-1", area.OpTake); len(takes) != 0 || d.Stats().Unfit != 1 {
			t.Errorf("takes = %+v", takes)
		}
		if n := len(d.board.Busy.Changes()); n < 18 {
			t.Errorf("identify: %d changes of the lamp", n)
		}
		logs := r.logs(t)
		r.command("gate-1", "log", "5")
		if l := logs(); len(l) != 1 || l[0].Reason != "request" {
			t.Errorf("its log is %+v", l)
		}
		r.command("gate-1", "restart", "")
		time.Sleep(3 * time.Second)
		if s := d.status(r); s.Online {
			t.Error("it has not ended")
		}
	})
}

// A chirp takes its turn: it waits for the neighbour, is a sound like any other,
// and is given up where the area is busy for too long.
func TestIdentifyTakesItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		a, b := newDev(t, r, "gate-1"), newDev(t, r, "gate-2")
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 10)))
		time.Sleep(time.Second)
		r.command("gate-2", "identify", "")
		r.command("gate-2", "identify", "") // one is enough
		time.Sleep(20 * time.Second)
		pa, pb := a.plays(), b.plays()
		if len(pa) != 1 || len(pb) != 1 || pb[0].work != "" {
			t.Fatalf("plays = %+v, %+v", pa, pb)
		}
		if end, begin := a.clock.began.Add(pa[0].to), b.clock.began.Add(pb[0].from); begin.Before(end) {
			t.Errorf("the chirp began %v before the end of the neighbour's sound", end.Sub(begin))
		}
		if d := pb[0].to - pb[0].from; d != 600*time.Millisecond {
			t.Errorf("the chirp lasts %v", d)
		}
		if !slices.ContainsFunc(b.sound(), func(v int16) bool { return v > 10000 }) {
			t.Error("the chirp is not heard")
		}
		r.offer("gate-1", "o-2", 1, speech(strings.Repeat("word ", 60)))
		time.Sleep(time.Second)
		r.command("gate-2", "identify", "")
		time.Sleep(2 * time.Minute)
		if p := b.plays(); len(p) != 1 {
			t.Errorf("a chirp that waited for a minute: plays = %+v", p)
		}
		if s := b.status(r); s.State != "idle" {
			t.Errorf("state %s", s.State)
		}
	})
}

// The health is told when it changes, and not more often than it is bearable.
func TestHealthIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		var xruns atomic.Uint64
		var pin atomic.Pointer[string]
		text := "GPIO22"
		pin.Store(&text)
		var told atomic.Int64
		if _, err := r.b.Subscribe("tacet/device/gate-1/status", func(area.Message) { told.Add(1) }); err != nil {
			t.Fatal(err)
		}
		d := newDev(t, r, "gate-1", func(d *dev, c *Config) {
			c.Start = Start{Reason: area.BootPowerOn}
			d.parts.Gauges = []func(*area.Health){func(h *area.Health) { h.Xruns = xruns.Load() }, func(h *area.Health) { h.Pins["amp_enable"] = *pin.Load() }}
		})
		count := func(for_ time.Duration) int {
			synctest.Wait()
			before := told.Load()
			time.Sleep(for_)
			synctest.Wait()
			return int(told.Load() - before)
		}
		if h := d.status(r).Health; h == nil || h.BootReason != area.BootPowerOn || h.Pins["amp_enable"] != "GPIO22" || h.SafeMode || len(h.Faults) != 0 || h.LastError != nil {
			t.Errorf("health = %+v", h)
		}
		if n := count(2 * time.Hour); n != 0 {
			t.Errorf("told %d times in two hours in which nothing happened", n)
		}
		busy := "GPIO22: held by another program"
		pin.Store(&busy)
		if n := count(30 * time.Second); n != 1 || d.status(r).Health.Pins["amp_enable"] != busy {
			t.Errorf("a pin that is lost: told %d times in 30 s, health %+v", n, d.status(r).Health)
		}
		stop := time.Now().Add(10 * time.Minute)
		n := 0
		for time.Now().Before(stop) {
			xruns.Add(1)
			n += count(time.Second)
		}
		if n < 8 || n > 11 {
			t.Errorf("gaps in each second: told %d times in 10 minutes, want 10", n)
		}
		if h := d.status(r).Health; h.Xruns < 500 || h.UptimeS < 2*60*60 {
			t.Errorf("health = %+v", h)
		}
	})
}

// A loudspeaker that fails is in the status until it works again.
func TestFaultIsToldUntilItIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		audio := &broken{left: 50}
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			audio.Audio = d.audio.(*sim.Audio)
			d.audio = audio
			d.parts.Ring, d.log = NewRing(), nil
		})
		r.offer("gate-1", "o-1", 1, speech("one two three"))
		time.Sleep(time.Minute)
		h := d.status(r).Health
		if h.Faults["sound"] != "the card is gone" || h.LastError == nil || !strings.Contains(*h.LastError, "the card is gone") {
			t.Errorf("health = %+v", h)
		}
		audio.left = 1000
		r.offer("gate-1", "o-2", 1, speech("one"))
		time.Sleep(time.Minute)
		if h := d.status(r).Health; len(h.Faults) != 0 || h.LastError == nil {
			t.Errorf("after a play: health = %+v", h)
		}
	})
}

// The log is sent when it is asked for, in parts, with what is left out counted;
// the last lines of a crash are sent once.
func TestLogIsSent(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		logs := r.logs(t)
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			d.parts.Ring = NewRing()
			d.parts.Ring.Hide("the pass word")
			if err := os.WriteFile(filepath.Join(d.data, "crash"), []byte("one\npanic: the pass word\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		if l := logs(); len(l) != 1 || l[0].Reason != "crash" || !slices.Equal(l[0].Lines, []string{"one", "panic: ***"}) || l[0].Boot != 1 {
			t.Errorf("of the crash is sent: %+v", l)
		}
		if d.Memory.Crash() != nil {
			t.Error("the crash is not forgotten")
		}
		for range 400 {
			d.Log.Info("a line of the log", "err", strings.Repeat("x", 100))
		}
		r.command("gate-1", "log", `{"lines":300}`)
		r.command("gate-1", "log", "") // too soon
		var lines int
		var skipped uint64
		for i, l := range logs() {
			if l.Part != i+1 || l.Reason != "request" || len(l.Lines) == 0 {
				t.Errorf("part %+v", l)
			}
			if i == 0 {
				skipped = l.Skipped
			}
			lines += len(l.Lines)
		}
		if lines != 300 || skipped < 100 {
			t.Errorf("%d lines are sent, and %d left out", lines, skipped)
		}
		for _, bad := range []string{"0", "-1", "x", "501", `{"n":1}`} {
			time.Sleep(2 * time.Second)
			r.command("gate-1", "log", bad)
			if l := logs(); len(l) != 0 {
				t.Errorf("payload %s: %+v", bad, l)
			}
		}
		time.Sleep(2 * time.Second)
		r.command("gate-1", "log", "")
		if l := logs(); len(l) == 0 || len(l[len(l)-1].Lines) == 0 {
			t.Error("nothing is sent")
		}
	})
}

// command sends a command to a device.
func (r *referee) command(d area.DeviceID, name, payload string) {
	r.do(func() {
		r.publish(area.Message{Topic: "tacet/device/" + string(d) + "/cmd/" + name, Payload: []byte(payload), QoS: 1})
	})
	synctest.Wait()
}

// logs answers what has been sent of logs since it was last asked.
func (r *referee) logs(t *testing.T) func() []Logged {
	t.Helper()
	heard := make(chan area.Message, 1000)
	if _, err := r.b.Subscribe("tacet/device/+/log", func(m area.Message) { heard <- m }); err != nil {
		t.Fatal(err)
	}
	return func() (all []Logged) {
		synctest.Wait()
		for {
			select {
			case m := <-heard:
				var l Logged
				if err := json.Unmarshal(m.Payload, &l); err != nil {
					t.Error(err)
				}
				all = append(all, l)
			default:
				return all
			}
		}
	}
}

// The time is kept when it becomes known, every 6 h, and at the end; it is in
// the status, and the floor of the next start.
func TestTimeIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		floor := time.Now().Add(time.Hour)
		var set atomic.Bool // the clock is set
		wall := func() time.Time {
			if set.Load() {
				return time.Now().Add(2 * time.Hour)
			}
			return time.Unix(1, 0).Add(time.Since(r.began))
		}
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) { d.parts.Calendar = NewCalendar(floor, time.Time{}, wall, set.Load) })
		if s := d.status(r); s.Health.Clock != area.ClockUnknown || !d.Calendar.Now().Equal(floor) {
			t.Errorf("before it is set: %s, %v", s.Health.Clock, d.Calendar.Now())
		}
		time.Sleep(time.Minute)
		if at := d.Memory.Time(); !at.IsZero() {
			t.Errorf("a time that is not known is kept: %v", at)
		}
		set.Store(true)
		time.Sleep(30 * time.Second)
		near := func(what string) {
			t.Helper()
			if d := wall().Sub(d.Memory.Time()); d < 0 || d > time.Minute {
				t.Errorf("%s: kept is %v before now", what, d)
			}
		}
		near("set")
		if s := d.status(r); s.Health.Clock != area.ClockSynced {
			t.Errorf("when it is set: %s", s.Health.Clock)
		}
		time.Sleep(6 * time.Hour)
		near("6 h later")
		time.Sleep(time.Hour)
		d.stop()
		near("at the end")
	})
}

func TestCalendar(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		built, kept, now time.Time
		synced           bool
		want             time.Time
		state            string
	}{
		"1970":                           {day(10), day(20), time.Unix(5, 0), false, day(20), area.ClockUnknown},
		"1970, and nothing kept":         {day(10), time.Time{}, time.Unix(5, 0), false, day(10), area.ClockUnknown},
		"a program that is newer":        {day(20), day(10), day(15), false, day(20), area.ClockUnknown},
		"a server that is wrong":         {day(10), day(20), time.Unix(5, 0), true, day(20), area.ClockUnknown},
		"before what was kept":           {day(10), day(20), day(15), false, day(20), area.ClockUnknown},
		"kept while the clock was wrong": {day(10), day(30), day(15), true, day(15), area.ClockSynced},
		"set":                            {day(10), day(20), day(21), false, day(21), area.ClockSet},
		"synced":                         {day(10), day(20), day(21), true, day(21), area.ClockSynced},
	} {
		cal := NewCalendar(c.built, c.kept, func() time.Time { return c.now }, func() bool { return c.synced })
		if got := cal.Now(); !got.Equal(c.want) || cal.State() != c.state {
			t.Errorf("%s: %v, %s, want %v, %s", name, got, cal.State(), c.want, c.state)
		}
	}
	if NewCalendar(day(1), day(1), time.Now, nil).State() == area.ClockSynced {
		t.Error("synced by nobody")
	}
}
