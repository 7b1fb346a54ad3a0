package firmware

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/sim"
)

// What a device measures and what happens at its inputs is published; states are
// said again when the hub was away, readings and events are not.
func TestReports(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		heard := make(chan area.Message, 100)
		for _, filter := range []string{"tacet/device/+/tele/#", "tacet/device/+/event/#"} {
			cancel, err := r.b.Subscribe(filter, func(m area.Message) { heard <- m })
			if err != nil {
				t.Fatal(err)
			}
			defer cancel()
		}
		d := newDev(t, r, "gate-1")
		want := func(lines ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for len(heard) > 0 {
				m := <-heard
				got = append(got, fmt.Sprint(strings.TrimPrefix(m.Topic, "tacet/device/gate-1/"), " ", string(m.Payload)))
			}
			slices.Sort(got)
			if !slices.Equal(got, lines) {
				t.Errorf("published %q, want %q", got, lines)
			}
		}
		kept := func(topic string, want int) {
			t.Helper()
			if n := len(r.b.Retained("tacet/device/gate-1/"+topic, 10)); n != want {
				t.Errorf("%d messages are kept on %s, want %d", n, topic, want)
			}
		}
		say := func() {
			d.Measured("cpu/temperature", "41.5")
			d.State("door", "true")
			d.Event("door", true, "")
			d.Event("door", true, "stuck")
		}
		at := time.Now().UnixMilli()
		say()
		want(fmt.Sprintf(`event/door {"on":true,"fault":"stuck","ts":%d}`, at), fmt.Sprintf(`event/door {"on":true,"ts":%d}`, at), "tele/cpu/temperature 41.5", "tele/door true")
		kept("tele/door", 1)
		kept("tele/cpu/temperature", 0)
		kept("event/door", 0)
		d.cut(true)
		time.Sleep(time.Second)
		say()
		d.State("door", "false")
		want()
		d.cut(false)
		time.Sleep(time.Minute)
		want("tele/door false")
	})
}

// heardBy notes when the first sample of each play was written.
type heardBy struct {
	*sim.Audio
	first []time.Time
	began bool
}

func (h *heardBy) Began(work string, token uint64) { h.began = true; h.Audio.Began(work, token) }

func (h *heardBy) Write(p []byte) (int, error) {
	if h.began {
		h.began = false
		h.first = append(h.first, time.Now())
	}
	return h.Audio.Write(p)
}

// The amplifier is on for its lead before the first sample, stays on for its hold
// after the last, and needs no lead while it is on.
func TestAmplifierLeadsAndHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		const lead = 30 * time.Millisecond
		var ear *heardBy
		d := newDev(t, r, "gate-1", func(d *dev, c *Config) {
			ear = &heardBy{Audio: d.audio.(*sim.Audio)}
			d.audio, c.AmpLead, c.AmpHold = ear, lead, 5*time.Second
		})
		r.offer("gate-1", "o-1", 1, speech("one"))
		time.Sleep(3 * time.Second)
		r.offer("gate-1", "o-2", 1, speech("one"))
		time.Sleep(20 * time.Second)
		changes := d.board.Relay.Changes()
		if len(changes) != 2 || !changes[0].On || changes[1].On || len(ear.first) != 2 {
			t.Fatalf("the amplifier: %v, first samples: %v", changes, ear.first)
		}
		if got := ear.first[0].Sub(changes[0].At); got != lead {
			t.Errorf("the first sample is %v after the amplifier, want %v", got, lead)
		}
		if got := changes[1].At.Sub(ear.first[1]); got < 6*time.Second || got > 6100*time.Millisecond {
			t.Errorf("it goes off %v after the first sample of the last second, want 6 s", got)
		}
		wants := r.told("gate-1", area.OpWant)
		claim := slices.IndexFunc(wants, func(c claimed) bool { return c.Work == "o-2" })
		if got := ear.first[1].Sub(r.began.Add(wants[claim].at)); got >= lead {
			t.Errorf("the amplifier was on, and the first sample came %v after the claim", got)
		}
	})
}
