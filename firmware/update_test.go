package firmware

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Where an update is, is told at once; a device that sounds is not idle; and one
// that ends for an update knows at its next start why it was started.
func TestUpdateIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		var now atomic.Pointer[area.Update]
		now.Store(&area.Update{State: area.UpdateIdle})
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			d.parts.Update = func() area.Update { return *now.Load() }
			d.fails = ErrUpdate
		})
		machine := Machine{Kernel: "k", Now: time.Now(), Clock: area.ClockSet}
		if _, err := d.Memory.Begin(machine, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if u := d.status(r).Update; u == nil || u.State != area.UpdateIdle || !d.Idle() {
			t.Errorf("at first it says %+v, idle %v", u, d.Idle())
		}
		now.Store(&area.Update{State: area.UpdateDownloading, Percent: 40})
		d.Refresh()
		synctest.Wait()
		if u := d.status(r).Update; u == nil || u.Percent != 40 {
			t.Errorf("then it says %+v", u)
		}
		r.offer("gate-1", "o-1", 1, speech("one two three"))
		time.Sleep(time.Second)
		if d.Idle() {
			t.Error("it is idle while it plays")
		}
		time.Sleep(5 * time.Second)
		if !d.Idle() {
			t.Error("it is not idle after the play")
		}
		d.End(ErrUpdate)
		time.Sleep(5 * time.Second)
		if s := d.status(r); s.Online {
			t.Errorf("after the end its status is %+v", s)
		}
		d.stop()
		m, err := OpenMemory(d.data)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		start, err := m.Begin(machine, "")
		if err != nil || start.Reason != area.BootUpdate {
			t.Errorf("the next start is %+v, %v", start, err)
		}
	})
}
