package firmware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// stopwatch is the clock of a device: time since the test began, and a jump.
type stopwatch struct {
	began time.Time
	jump  atomic.Int64
}

func (s *stopwatch) Now() time.Duration { return time.Since(s.began) + time.Duration(s.jump.Load()) }

// voice renders a text as loud sound of so many seconds as it has words.
type voice struct{}

func (voice) Render(_ context.Context, b area.Body, clip io.ReadSeeker) ([]byte, error) {
	if clip != nil {
		return io.ReadAll(clip)
	}
	if *b.Message == "mumble" {
		return nil, errors.New("cannot say it")
	}
	s := media.Silence(time.Duration(len(strings.Fields(*b.Message))) * time.Second)
	for i := range s {
		s[i] = 1000
	}
	return s.Bytes(), nil
}

// dev is one device of a test, with everything real but its hardware.
type dev struct {
	log *bytes.Buffer // what it logs; nil: nobody reads it
	*Agent
	t     *testing.T
	wav   string
	data  string
	board sim.Board
	clock *stopwatch
	audio Player
	clips Clips // nil: none

	network func() bool
	parts   Parts // of these Home, Calendar, Watchdog, Ring, Gauges and Commands
	fails   error // what Run is to end with
	early   bool  // it is not waited for until the hub has answered

	mu   sync.Mutex
	away bool
	conn net.Conn

	stop func()
}

func newDev(t *testing.T, r *referee, id area.DeviceID, change ...func(*dev, *Config)) *dev {
	t.Helper()
	d := &dev{t: t, data: t.TempDir(), clock: &stopwatch{began: time.Now()}}
	d.wav = filepath.Join(d.data, "sound.wav")
	d.audio = sim.NewAudio(sim.Config{WAV: d.wav})
	cfg := Config{Device: id, Area: north, Location: "1", Volume: 100, Rate: media.Rate, Audio: "sim", Version: "test"}
	for _, f := range change {
		f(d, &cfg)
	}
	log := slog.New(slog.DiscardHandler)
	if d.log != nil {
		log = slog.New(slog.NewTextHandler(d.log, nil))
	}
	if d.parts.Ring != nil {
		log = slog.New(d.parts.Ring.Handler(log.Handler()))
	}
	up, err := uplink.New(uplink.Config{Hubs: []string{"mqtt://hub"}, ClientID: string(id), Dial: func(context.Context, *url.URL) (net.Conn, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.away {
			return nil, errors.New("no route to the hub")
		}
		d.conn = r.b.Pipe(t)
		return d.conn, nil
	}}, log)
	if err != nil {
		t.Fatal(err)
	}
	m, err := OpenMemory(d.data)
	if err != nil {
		t.Fatal(err)
	}
	d.Agent, err = New(cfg, Parts{Uplink: up, Player: d.audio, Beacon: &d.board, Clock: d.clock, Renderer: voice{}, Clips: d.clips, Memory: m, Log: log, Network: d.network, Home: d.parts.Home,
		Calendar: d.parts.Calendar, Watchdog: d.parts.Watchdog, Ring: d.parts.Ring, Gauges: d.parts.Gauges, Commands: d.parts.Commands, Update: d.parts.Update})
	if err != nil {
		t.Fatal(err)
	}
	d.start(m)
	return d
}

func (d *dev) start(m *Memory) {
	ctx, cancel := context.WithCancel(context.Background())
	var agent sync.WaitGroup
	agent.Go(func() {
		if err := d.Run(ctx); !errors.Is(err, d.fails) || (err == nil) != (d.fails == nil) {
			d.t.Errorf("Run: %v, want %v", err, d.fails)
		}
	})
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			agent.Wait()
			if err := m.Close(); err != nil {
				d.t.Errorf("memory: %v", err)
			}
		})
	}
	d.t.Cleanup(d.stop)
	if !d.early {
		<-d.Ready()
	}
}

// cut takes the network away, or gives it back.
func (d *dev) cut(away bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
	if away {
		_ = d.conn.Close()
	}
}

// span is one play of a recording.
type span struct {
	work  string
	token uint64
	from  time.Duration // since the recording was opened
	to    time.Duration // 0: it has no end
}

func (d *dev) plays() (spans []span) {
	d.t.Helper()
	b, err := os.ReadFile(d.wav + ".jsonl")
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var l struct {
			Event, Work string
			Token       uint64
			Sample      int
		}
		if err := json.Unmarshal(line, &l); err != nil {
			d.t.Fatal(err)
		}
		switch at := media.Length(l.Sample); l.Event {
		case "start":
			spans = append(spans, span{work: l.Work, token: l.Token, from: at})
		case "end":
			spans[len(spans)-1].to = at
		}
	}
	return spans
}

func (d *dev) sound() media.Sound {
	d.t.Helper()
	b, err := os.ReadFile(d.wav)
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := media.DecodeWAV(b)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *dev) status(r *referee) (s area.Status) {
	d.t.Helper()
	synctest.Wait()
	kept := r.b.Retained(area.StatusTopic(d.cfg.Device), 1)
	if len(kept) != 1 {
		d.t.Fatalf("%d retained statuses", len(kept))
	}
	s, err := area.ParseStatus(kept[0].Payload)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// inBubble runs a test with a referee, in a bubble of its own time.
func inBubble(t *testing.T, f func(t *testing.T, r *referee)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newReferee(t)) })
}

func TestOneWork(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		if s := d.status(r); !s.Online || s.Boot != 1 || s.Conn != 1 || s.State != "idle" || s.Area != "north" || s.Location != "1" ||
			s.Name != "gate-1" || *s.Volume != 100 || s.Audio != "sim" || s.Version != "test" || s.MID == "" {
			t.Errorf("status = %+v", s)
		}
		began := time.Now()
		r.offer("gate-1", "o-1", 1, speech("gate one closes"))
		time.Sleep(time.Second)
		if s := d.status(r); s.State != "playing" || !d.board.Relay.On() || !d.board.Busy.On() {
			t.Errorf("while it plays: state %s, relay %v, lamp %v", s.State, d.board.Relay.On(), d.board.Busy.On())
		}
		time.Sleep(4 * time.Second)
		if s := d.status(r); s.State != "idle" || !d.board.Relay.On() || d.board.Busy.On() {
			t.Errorf("after it: state %s, relay %v, lamp %v", s.State, d.board.Relay.On(), d.board.Busy.On())
		}
		time.Sleep(2 * time.Second)
		if d.board.Relay.On() {
			t.Error("2 s after a play the amplifier is on")
		}
		p := d.plays()
		if len(p) != 1 || p[0].work != "o-1" || p[0].token != 7000001 || p[0].to-p[0].from != 3*time.Second {
			t.Fatalf("plays = %+v", p)
		}
		if on := d.board.Relay.Changes()[0].At.Sub(d.clock.began); on > p[0].from+time.Millisecond {
			t.Errorf("amplifier on at %v, sound at %v", on, p[0].from)
		}
		if late := d.clock.began.Add(p[0].from).Sub(began); late > 300*time.Millisecond {
			t.Errorf("from the offer to the sound: %v", late)
		}
		wants := r.told("gate-1", area.OpWant)
		if wants[0].Playing || wants[0].Dur != 3*time.Second || wants[0].Work != "o-1" || !wants[1].Playing || wants[1].at-wants[0].at > 10*time.Millisecond {
			t.Errorf("wants = %+v", wants)
		}
		if done := r.told("gate-1", area.OpDone); len(done) != 1 || done[0].Result != area.Played || done[0].Token != 7000001 || done[0].Att != 1 {
			t.Errorf("done = %+v", done)
		}
		// Again, as after a hub that has lost the end: it is answered, not played.
		r.offer("", "o-1", 2, speech("gate one closes"))
		time.Sleep(10 * time.Second)
		if done := r.told("gate-1", area.OpDone); len(done) != 2 || done[1].Result != area.Played || done[1].Att != 2 || len(d.plays()) != 1 {
			t.Errorf("done = %+v after %d plays", done, len(d.plays()))
		}
		if st := d.Stats(); st.Played != 1 || st.Repeated != 1 || st.Takes != 2 || st.Dropped != 0 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

func TestDevicesTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		devices := []*dev{newDev(t, r, "gate-1"), newDev(t, r, "gate-2"), newDev(t, r, "gate-3")}
		offset := map[*dev]time.Duration{}
		for _, d := range devices {
			offset[d] = d.clock.began.Sub(r.began)
		}
		works := []area.WorkID{"o-1", "o-2", "o-3", "o-4", "o-5", "o-6", "o-7", "o-8", "o-9"}
		for range 60 { // every second to all, as the dispatcher does
			for _, w := range works {
				r.offer("", w, 1, speech("one two three"))
			}
			time.Sleep(time.Second)
		}
		var all []span
		played := map[string]int{}
		for _, d := range devices {
			if len(d.plays()) == 0 {
				t.Errorf("%s has played nothing", d.cfg.Device)
			}
			for _, p := range d.plays() {
				if p.to-p.from != 3*time.Second {
					t.Errorf("%s played %v of %s", d.cfg.Device, p.to-p.from, p.work)
				}
				played[p.work]++
				all = append(all, span{work: p.work, from: p.from + offset[d], to: p.to + offset[d]})
			}
		}
		for _, w := range works {
			if played[string(w)] != 1 {
				t.Errorf("%s was played %d times", w, played[string(w)])
			}
		}
		for i, p := range all {
			for _, q := range all[:i] {
				if p.from < q.to && q.from < p.to {
					t.Errorf("%+v and %+v overlap", p, q)
				}
			}
		}
	})
}

// The hub vanishes in the middle of a play: the sound ends with the lease, and
// the device says so when the hub is back.
func TestDeadlineStopsSound(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		time.Sleep(2 * time.Second)
		d.cut(true)
		lost := time.Since(d.clock.began)
		time.Sleep(20 * time.Second)
		p := d.plays()
		if len(p) != 1 || p[0].to == 0 || p[0].to > lost+r.lease || p[0].to < lost+r.lease/2 {
			t.Fatalf("lost the hub at %v with a lease of %v: plays = %+v", lost, r.lease, p)
		}
		if end := len(d.sound()); media.Length(end) > p[0].to+time.Millisecond {
			t.Errorf("recorded sound up to %v, ended at %v", media.Length(end), p[0].to)
		}
		d.cut(false)
		time.Sleep(20 * time.Second)
		if done := r.told("gate-1", area.OpDone); len(done) == 0 || done[0].Result != area.Stopped {
			t.Errorf("done = %+v", done)
		}
		if s := d.status(r); s.Conn < 2 || !s.Online || s.State != "idle" {
			t.Errorf("status = %+v", s)
		}
		if d.board.Relay.On() {
			t.Error("the amplifier is on")
		}
	})
}

// A short loss of the connection does not interrupt a play.
func TestPlayOutlivesConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 10)))
		time.Sleep(2 * time.Second)
		d.cut(true)
		time.Sleep(time.Second)
		d.cut(false)
		time.Sleep(20 * time.Second)
		if p := d.plays(); len(p) != 1 || p[0].to-p[0].from != 10*time.Second {
			t.Errorf("plays = %+v", p)
		}
		if hello := r.told("gate-1", area.OpHello); len(hello) != 2 || hello[1].From == nil || hello[1].From.Arbiter != "hub-1" {
			t.Errorf("hello = %+v", hello)
		}
	})
}

// A term that the neighbours have told of is said to whoever comes next, so that he
// settles for the leader who has it, though the device never spoke to that one; one of
// another area is not.
func TestTermOfTheNeighboursIsSaid(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		d.cut(true)
		d.HeardTerm(north, 273)
		d.HeardTerm("south", 900)
		time.Sleep(time.Second)
		d.cut(false)
		time.Sleep(5 * time.Second)
		if hello := r.told("gate-1", area.OpHello); len(hello) != 2 || hello[0].Term >= 273 || hello[1].Term != 273 {
			t.Errorf("hello = %+v", hello)
		}
	})
}

// A device that lost its hub for good says how its play ended, though there is
// nobody to tell.
func TestEndIsLoggedWithoutTheHub(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		var log bytes.Buffer
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) { d.log = &log })
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		time.Sleep(2 * time.Second)
		d.cut(true)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if text := log.String(); !strings.Contains(text, `msg="sound over, the hub cannot be told now" work=o-1 err=stopped`) {
			t.Errorf("the log is %s", text)
		}
	})
}

// The process is stopped in the middle of a play, and goes on a minute later:
// not one more chunk sounds.
func TestStoppedProcessIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		time.Sleep(2 * time.Second)
		stopped := time.Since(d.clock.began)
		d.clock.jump.Store(int64(time.Minute))
		time.Sleep(10 * time.Second)
		if p := d.plays(); len(p) != 1 || p[0].to == 0 || p[0].to > stopped+ahead {
			t.Errorf("stopped at %v: plays = %+v", stopped, p)
		}
		if done := r.told("gate-1", area.OpDone); len(done) != 1 || done[0].Result != area.Stopped {
			t.Errorf("done = %+v", done)
		}
	})
}

func TestRevokeStopsInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		const stop = 150 * time.Millisecond
		d := newDev(t, r, "gate-1")
		for _, c := range []struct {
			work   area.WorkID
			reason string
			want   area.Result
		}{{"o-1", area.ReasonPreempt, area.Preempted}, {"o-2", area.ReasonAdmin, area.Cancelled}} {
			r.offer("gate-1", c.work, 1, speech(strings.Repeat("word ", 30)))
			time.Sleep(2 * time.Second)
			r.revoke(stop, c.reason)
			revoked := time.Since(d.clock.began)
			time.Sleep(5 * time.Second)
			p := d.plays()
			if last := p[len(p)-1]; last.to == 0 || last.to > revoked+stop {
				t.Errorf("%s: revoked at %v: %+v", c.reason, revoked, last)
			}
			done := r.told("gate-1", area.OpDone)
			if last := done[len(done)-1]; last.Result != c.want || last.Work != c.work {
				t.Errorf("%s: done = %+v", c.reason, last)
			}
		}
	})
}

// An emergency for the device that is itself playing goes first (§8.15).
func TestEmergencyEndsOwnPlay(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		time.Sleep(2 * time.Second)
		r.do(func() { r.prio = area.Emergency })
		began := time.Since(d.clock.began)
		r.offer("gate-1", "o-2", 1, speech("fire"))
		time.Sleep(5 * time.Second)
		p := d.plays()
		if len(p) != 2 || p[1].work != "o-2" || p[1].from-began > 300*time.Millisecond || p[0].to > p[1].from {
			t.Errorf("emergency at %v: plays = %+v", began, p)
		}
		if done := r.told("gate-1", area.OpDone); len(done) != 2 || done[0].Result != area.Preempted || done[1].Result != area.Played {
			t.Errorf("done = %+v", done)
		}
	})
}

func TestLeavesInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		for _, w := range []area.WorkID{"o-1", "o-2", "o-3"} {
			r.offer("gate-1", w, 1, speech(strings.Repeat("word ", 30)))
			time.Sleep(time.Second)
		}
		began := time.Now()
		d.stop()
		if took := time.Since(began); took > leaveTime {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if done := r.told("gate-1", area.OpDone); len(done) != 1 || done[0].Result != area.Stopped || done[0].Work != "o-1" {
			t.Errorf("done = %+v", done)
		}
		if declined := r.told("gate-1", area.OpDecline); len(declined) != 2 {
			t.Errorf("declined = %+v", declined)
		}
		if s := d.status(r); s.Online || s.Conn != 1 || s.State != "idle" {
			t.Errorf("status = %+v", s)
		}
		if d.board.Relay.On() || d.board.Busy.On() {
			t.Error("something is switched on")
		}
		if s := d.sound(); media.Length(len(s)) < 3*time.Second || media.Length(len(s)) > 4*time.Second {
			t.Errorf("recorded %v", media.Length(len(s)))
		}
	})
}

// Nobody answers: the device connects again after four refreshes, with a new
// Will, and says what it wants.
func TestDeafDeviceConnectsAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.do(func() { r.silent = true })
		r.offer("gate-1", "o-1", 1, speech("one"))
		time.Sleep(9 * time.Second)
		if s := d.status(r); s.Conn != 2 || d.Stats().Deaf != 1 {
			t.Errorf("connection %d, deaf %d times", s.Conn, d.Stats().Deaf)
		}
		r.do(func() { r.silent = false })
		time.Sleep(10 * time.Second)
		if p := d.plays(); len(p) != 1 || p[0].to == 0 {
			t.Errorf("plays = %+v", p)
		}
	})
}

func TestBootIsHandedOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		r.do(func() { r.boots["gate-1"] = 42 })
		d := newDev(t, r, "gate-1")
		if s := d.status(r); s.Boot != 42 {
			t.Errorf("boot %d in the status", s.Boot)
		}
		d.stop()
		if m := memory(t, d.data); m.Boot() != 43 {
			t.Errorf("the next start is %d, want 43", m.Boot())
		}
	})
}

func TestCommands(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		command := func(name, payload string) {
			r.do(func() {
				r.publish(area.Message{Topic: "tacet/device/gate-1/cmd/" + name, Payload: []byte(payload), QoS: 1})
			})
			synctest.Wait()
		}
		for _, c := range []struct {
			name, payload string
			volume        int
			muted         bool
		}{
			{"volume", "30", 30, false}, {"volume", `{"volume":50}`, 50, false}, {"volume", "101", 50, false}, {"volume", "loud", 50, false}, {"volume", "", 50, false},
			{"mute", "true", 50, true}, {"mute", "0", 50, false}, {"mute", `{"muted":true}`, 50, true}, {"mute", "maybe", 50, true}, {"frobnicate", "", 50, true},
		} {
			command(c.name, c.payload)
			if s := d.status(r); *s.Volume != c.volume || s.Muted != c.muted {
				t.Errorf("%s %q: volume %d, muted %v, want %d, %v", c.name, c.payload, *s.Volume, s.Muted, c.volume, c.muted)
			}
		}
		command("identify", "")
		time.Sleep(10 * time.Second)
		if n := len(d.board.Busy.Changes()); n < 18 || n > 22 || d.board.Busy.On() {
			t.Errorf("identify: %d changes of the lamp, on %v", n, d.board.Busy.On())
		}
		// The button acts at once, in the middle of a play.
		r.offer("gate-1", "o-1", 1, speech("one two three four"))
		time.Sleep(time.Second)
		d.ToggleMute()
		time.Sleep(time.Second)
		d.ToggleMute()
		time.Sleep(5 * time.Second)
		quiet, loud := 0, 0
		plays := d.plays()
		for _, v := range d.sound()[media.Samples(plays[len(plays)-1].from):] {
			switch v {
			case 0:
				quiet++
			case 500:
				loud++
			default:
				t.Fatalf("a sample is %d, want 0 or 500", v)
			}
		}
		if q, l := media.Length(quiet), media.Length(loud); q < 2900*time.Millisecond || l < 900*time.Millisecond || l > 1100*time.Millisecond {
			t.Errorf("muted for 3 s of 4 s: %v quiet, %v loud", q, l)
		}
	})
}

func TestVolumeOfTheOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1", func(_ *dev, c *Config) { c.Volume = 50 })
		b, percent := speech("one"), 80
		b.Volume = &percent
		r.offer("gate-1", "o-1", 1, b)
		time.Sleep(3 * time.Second)
		if s := d.sound(); s[len(s)-1] != 400 {
			t.Errorf("amplitude %d of 1000 at 80 %% of 50 %%, want 400", s[len(s)-1])
		}
	})
}

// broken is a loudspeaker that fails after a second of sound.
type broken struct {
	*sim.Audio
	left int
}

func (b *broken) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errors.New("the card is gone")
	}
	return b.Audio.Write(p)
}

func TestFailures(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			d.audio = &broken{Audio: d.audio.(*sim.Audio), left: 50}
		})
		r.offer("gate-1", "o-1", 1, speech("one two three"))
		r.offer("gate-1", "o-2", 1, speech("mumble"))
		clip := "sha256:00"
		r.offer("gate-1", "o-3", 1, area.Body{Kind: "play", Clip: &clip})
		time.Sleep(10 * time.Second)
		if done := r.told("gate-1", area.OpDone); len(done) != 1 || done[0].Result != area.Failed || done[0].Work != "o-1" {
			t.Errorf("done = %+v", done)
		}
		if declined := r.told("gate-1", area.OpDecline); len(declined) != 1 || declined[0].Work != "o-2" {
			t.Errorf("declined = %+v", declined)
		}
		if d.Memory.Played("o-1") {
			t.Error("a play that failed is in the journal")
		}
		if st := d.Stats(); st.Failed != 1 || st.Declined != 1 || st.Unfit != 1 || st.Takes != 2 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

// A loudspeaker that takes nothing at all ends a play with a report that can be
// read: else nobody hears that the area is free.
func TestNothingIsTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		newDev(t, r, "gate-1", func(d *dev, _ *Config) { d.audio = &broken{Audio: d.audio.(*sim.Audio)} })
		time.Sleep(5 * time.Second)
		r.offer("gate-1", "o-1", 1, speech("one two three"))
		time.Sleep(10 * time.Second)
		done := r.told("gate-1", area.OpDone)
		if len(done) != 1 || done[0].Result != area.Failed {
			t.Fatalf("done = %+v", done)
		}
		if _, err := area.ParseClaim(done[0].Encode()); err != nil {
			t.Errorf("its done cannot be read: %v", err)
		}
	})
}

// No more works are taken than can wait; an emergency still is.
func TestQueueIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		r.do(func() { r.settles = true })
		d := newDev(t, r, "gate-1")
		for _, w := range []area.WorkID{"o-1", "o-2", "o-3", "o-4", "o-5"} {
			r.offer("gate-1", w, 1, speech("one"))
			time.Sleep(100 * time.Millisecond)
		}
		if st := d.Stats(); st.Takes != 3 || st.Full != 2 {
			t.Errorf("Stats = %+v", st)
		}
		r.offer("gate-1", "o-2", 2, speech("one")) // its assignment was given up: it may be taken anew
		time.Sleep(100 * time.Millisecond)
		r.do(func() { r.prio = area.Emergency })
		r.offer("gate-1", "o-6", 1, speech("fire"))
		time.Sleep(100 * time.Millisecond)
		if st := d.Stats(); st.Takes != 5 {
			t.Errorf("Stats = %+v", st)
		}
		r.do(func() { r.settles = false })
		time.Sleep(20 * time.Second)
		p := d.plays()
		if len(p) != 3 || p[0].work != "o-6" || p[1].work != "o-3" || p[2].work != "o-2" { // o-1 was pre-empted
			t.Errorf("plays = %+v", p)
		}
	})
}

func TestStrangeMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.do(func() {
			for _, topic := range []string{area.GrantTopic("gate-1"), area.WorkTopic("gate-1"), area.AreaWorkTopic(north), area.BusyTopic(north)} {
				for _, payload := range []string{"", "null", "{", `{"op":"dance"}`, `[]`, "\xff\x00"} {
					r.publish(area.Message{Topic: topic, Payload: []byte(payload), QoS: 1})
				}
			}
			for _, reason := range []string{area.ReasonLocationConflict, area.ReasonUnknownArea} {
				r.answer("gate-1", area.Claim{Boot: 1, MID: d.Memory.MID()}, area.Answer{Op: area.OpRefused, Reason: reason})
			}
			b := area.IdleBusy(north, 7, 1<<50, time.Microsecond)
			r.publish(area.Message{Topic: area.BusyTopic(north), Payload: b.Encode(), QoS: 1})
		})
		r.offer("gate-1", "o-1", 1, speech("one"))
		time.Sleep(5 * time.Second)
		if p := d.plays(); len(p) != 1 || p[0].to == 0 {
			t.Errorf("plays = %+v", p)
		}
		if n := len(r.told("", area.OpWant)); n > 10 {
			t.Errorf("%d wants in 5 s", n)
		}
	})
}

func TestConfigTellsAllFaults(t *testing.T) {
	err := Config{Device: "a b", Area: "", Volume: 101, Rate: 1, Queue: 100, AmpHold: -1, Name: strings.Repeat("n", 200)}.Validate()
	for _, want := range []string{`"a b"`, "area id", "volume 101", "rate 1", "queue 100", "negative", "128 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want it to name %s", err, want)
		}
	}
	if _, err := New(Config{Device: "a", Area: "b", Rate: media.Rate}, Parts{}); err == nil {
		t.Error("without parts: no error")
	}
	if (Boottime{}).Now() <= 0 {
		t.Error("the clock stands at 0")
	}
}

// Consumers drop a busy that is older than what they have (COORDINATION.md
// §3.4): two relays may bring them out of order.
func TestOlderBusyIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		newDev(t, r, "gate-1")
		say := func(term, rev uint64, lease time.Duration) {
			r.do(func() {
				b := area.IdleBusy(north, term, rev, lease)
				r.publish(area.Message{Topic: area.BusyTopic(north), Payload: b.Encode(), QoS: 1})
			})
			synctest.Wait()
		}
		say(7, 1<<50, 40*time.Second)
		say(7, 1<<49, time.Second)
		say(6, 1<<51, time.Second)
		r.offer("gate-1", "o-1", 1, speech("one two three four five six seven eight nine"))
		time.Sleep(8 * time.Second)
		if n := len(r.told("", area.OpWant)); n > 2 {
			t.Errorf("%d wants in 8 s: the lease of an older busy counts", n)
		}
	})
}

// §3.5, 2: a device waits before it takes, for each work that it has; so of
// those that are asked the idle one wins.
func TestTheIdleDeviceTakes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		newDev(t, r, "gate-1")
		newDev(t, r, "gate-2")
		r.offer("gate-1", "o-1", 1, speech("one two three four five six seven"))
		r.offer("gate-1", "o-2", 1, speech("one"))
		time.Sleep(2 * time.Second)
		for n := range 3 {
			id := area.WorkID("o-" + string(rune('3'+n)))
			r.offer("", id, 1, speech("one"))
			time.Sleep(40 * time.Millisecond)
			r.do(func() {
				if d := r.takers[id]; d != "gate-2" && n == 0 {
					t.Errorf("%s has taken %s, and has two works", d, id)
				}
			})
		}
		time.Sleep(time.Minute) // all of it is played
	})
}
