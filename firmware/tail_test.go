package firmware

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
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
