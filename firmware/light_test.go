package firmware

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// The light tells the life of a device: boot, play, mute, a hub that is gone, a
// network that is gone, and what somebody else has to say.
func TestLight(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		var unplugged atomic.Bool
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) { d.network = func() bool { return !unplugged.Load() } })
		step := func(want string) {
			t.Helper()
			synctest.Wait()
			if s := d.board.Status.State(); s != want {
				t.Errorf("it shows %q, want %q", s, want)
			}
		}
		step(LightOK)
		r.offer("gate-1", "o-1", 1, speech("one two"))
		time.Sleep(time.Second)
		step(LightPlaying)
		d.ToggleMute()
		step(LightMuted)
		d.ToggleMute()
		step(LightPlaying)
		time.Sleep(3 * time.Second)
		step(LightOK)
		d.cut(true)
		time.Sleep(2 * time.Second)
		step(LightNoHub)
		unplugged.Store(true)
		time.Sleep(2 * time.Second)
		step(LightNoNetwork)
		d.Alert(LightSafeMode)
		step(LightSafeMode)
		d.enqueue(func() { d.identify() })
		step(LightPlaying)
		time.Sleep(identify + time.Second)
		step(LightSafeMode)
		d.Alert("")
		step(LightNoNetwork)
		d.cut(false)
		time.Sleep(time.Minute)
		step(LightOK)
		d.stop()
		step("")
		if s := d.board.Status.States(); s[0] != LightBooting {
			t.Errorf("first it showed %q", s[0])
		}
	})
}

// A device that nobody answers is booting for a while, and then has no hub.
func TestLightOfADeviceWithoutHub(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		r.do(func() { r.silent = true })
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) { d.early = true })
		time.Sleep(bootTime - time.Second)
		if s := d.board.Status.State(); s != LightBooting {
			t.Errorf("it shows %q", s)
		}
		time.Sleep(3 * time.Second)
		if s := d.board.Status.State(); s != LightNoHub {
			t.Errorf("after %v it shows %q", bootTime, s)
		}
	})
}

// refusing is an uplink whose hub takes no credential of this device.
type refusing struct {
	Uplink
	refused atomic.Bool
}

func (r *refusing) Refused() bool { return r.refused.Load() }

// A credential that is refused is a fault of the configuration, until it is taken.
func TestLightOfARefusedCredential(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		up := &refusing{Uplink: d.Agent.Uplink}
		d.Agent.enqueue(func() { d.Agent.Uplink = up })
		up.refused.Store(true)
		d.cut(true)
		time.Sleep(30 * time.Second)
		if s := d.board.Status.State(); s != LightConfigError {
			t.Errorf("it shows %q", s)
		}
		up.refused.Store(false)
		d.cut(false)
		time.Sleep(30 * time.Second)
		if s := d.board.Status.State(); s != LightOK {
			t.Errorf("after it was taken it shows %q", s)
		}
	})
}

// A muted device is silent, but for an emergency.
func TestEmergencyIsHeardInSpiteOfAMute(t *testing.T) {
	for _, prio := range []area.Priority{area.Normal, area.High, area.Emergency} {
		t.Run(fmt.Sprint(prio), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *referee) {
				d := newDev(t, r, "gate-1")
				d.ToggleMute()
				r.prio = prio
				r.offer("gate-1", "o-1", 1, speech("one"))
				time.Sleep(500 * time.Millisecond)
				want := map[bool]string{true: LightPlaying, false: LightMuted}[prio >= area.Emergency]
				if s := d.board.Status.State(); s != want {
					t.Errorf("it shows %q, want %q", s, want)
				}
				time.Sleep(3 * time.Second)
				if !d.status(r).Muted {
					t.Error("the status does not say that it is muted")
				}
				loud := 0
				for _, v := range d.sound() {
					if v != 0 {
						loud++
					}
				}
				if heard := media.Length(loud); (heard > 0) != (prio >= area.Emergency) {
					t.Errorf("at priority %d %v were heard", prio, heard)
				}
			})
		})
	}
}

// What is held out to the whole area is left to a neighbour who can be heard;
// where there is none, the muted device takes it.
func TestMutedDeviceIsTheLastToTake(t *testing.T) {
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprint(both), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *referee) {
				a, b := newDev(t, r, "gate-1"), newDev(t, r, "gate-2")
				a.ToggleMute()
				if both {
					b.ToggleMute()
				}
				for n := range 5 {
					r.offer("", area.WorkID(fmt.Sprint("o-", n)), 1, speech("one"))
					time.Sleep(5 * time.Second)
				}
				if p := len(a.plays()); p != 0 && !both {
					t.Errorf("the muted device has played %d works, its neighbour none", p)
				}
				if p := len(a.plays()) + len(b.plays()); p != 5 {
					t.Errorf("%d of 5 works were played", p)
				}
			})
		})
	}
}

// silent is a player that has no way to sound, while it says so.
type silent struct {
	Player
	mute atomic.Bool
}

func (s *silent) Using() string {
	if s.mute.Load() {
		return ""
	}
	return "alsa"
}

// A device that is connected and cannot sound says so, by its light and in its
// status.
func TestLightWithoutSound(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		var s *silent
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			s = &silent{Player: d.audio}
			d.audio = s
		})
		for _, c := range []struct {
			mute         bool
			light, audio string
		}{{false, LightOK, "alsa"}, {true, LightNoSound, "none"}, {false, LightOK, "alsa"}} {
			s.mute.Store(c.mute)
			d.Look()
			synctest.Wait()
			if light, using := d.board.Status.State(), d.status(r).Audio; light != c.light || using != c.audio {
				t.Errorf("mute %v: light %q, audio %q, want %q, %q", c.mute, light, using, c.light, c.audio)
			}
		}
	})
}

// What is held out to the whole area is left to a neighbour who can sound, however
// much that has to do; what is for this device fails here.
func TestDeviceWithoutSoundTakesNothingOfTheArea(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		mute := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			s := &silent{Player: d.audio}
			s.mute.Store(true)
			d.audio = s
		})
		other := newDev(t, r, "gate-2")
		r.prio = area.Emergency
		for n := range 5 {
			r.offer("", area.WorkID(fmt.Sprint("o-", n)), 1, speech("one"))
			time.Sleep(5 * time.Second)
		}
		r.offer("gate-1", "o-9", 1, speech("one"))
		time.Sleep(5 * time.Second)
		if s := mute.Stats(); s.Takes != 1 || s.Unfit != 5 {
			t.Errorf("it has taken %d works and left %d", s.Takes, s.Unfit)
		}
		if n := mute.Stats().Declined; n != 1 || len(r.told("gate-1", area.OpWant)) != 0 {
			t.Errorf("it has given %d back, and wanted the area for what it cannot sound", n)
		}
		if n := other.Stats().Played; n != 5 {
			t.Errorf("its neighbour has played %d", n)
		}
	})
}
