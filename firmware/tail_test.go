package firmware

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/sim"
)

// slow is a loudspeaker that has much in its buffer.
type slow struct{ Player }

const slowTail = 700 * time.Millisecond

func (slow) Tail() time.Duration { return slowTail }

// The hello of a new start frees what the one before has held: it is not said
// while the buffer of a dead process may still sound (§8.7).
func TestHelloAfterTheTail(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		for id, want := range map[area.DeviceID]time.Duration{"gate-1": 50 * time.Millisecond, "gate-2": slowTail} {
			began := time.Since(r.began)
			newDev(t, r, id, func(d *dev, _ *Config) {
				if id == "gate-2" {
					d.audio = slow{d.audio}
				}
			})
			hello := r.told(id, area.OpHello)
			if len(hello) != 1 || hello[0].at-began < want || hello[0].at-began > want+50*time.Millisecond {
				t.Errorf("%s started at %v with a tail of %v: hello = %+v", id, began, want, hello)
			}
		}
	})
}

// A device that is ended before that says nothing.
func TestEndsWithinTheTail(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		d.stop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a, err := New(d.cfg, d.Parts)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		synctest.Wait()
		if hello := r.told("gate-1", area.OpHello); len(hello) != 1 {
			t.Errorf("hello = %+v", hello)
		}
	})
}

// stalling is a loudspeaker whose process stands still for once, in the middle of a
// play.
type stalling struct {
	*sim.Audio
	calls int    // until then
	stall func() // what the time does to the process
}

func (s *stalling) Delay() (time.Duration, error) {
	if s.calls--; s.calls == 0 {
		s.stall()
	}
	return s.Audio.Delay()
}

// A device that stood still in the middle of a play tells when its last sample
// sounded, not when it noticed: the next one may have had the area in between.
func TestReportsNoSoundWhileItStoodStill(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		const calls, stood = 100, 20 * time.Second
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			d.audio = &stalling{d.audio.(*sim.Audio), calls, func() { d.clock.jump.Add(int64(stood)) }}
		})
		r.offer("gate-1", "o-1", 1, speech("one two three four"))
		time.Sleep(10 * time.Second)
		done := r.told("gate-1", area.OpDone)
		if len(done) == 0 || done[0].Sound == nil || done[0].Result != area.Stopped {
			t.Fatalf("done = %+v", done)
		}
		s := done[0].Sound
		heard := d.plays()[0]
		took, real := time.Duration(s.LastMs-s.FirstMs)*time.Millisecond, heard.to-heard.from
		if took < real || took > real+ahead+d.Player.Tail() || s.AtMs-s.LastMs < int64((stood-time.Second)/time.Millisecond) {
			t.Errorf("it tells of %v, %d ms later; it sounded for %v", took, s.AtMs-s.LastMs, real)
		}
	})
}
