package sensor

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A sensor that dies is told once, tried again at growing intervals, and set up
// anew when it is back; the others go on.
func TestDeadSensorIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChip()
		sys := tree(t, map[string]string{"class/thermal/thermal_zone0/type": "cpu-thermal", "class/thermal/thermal_zone0/temp": "50000"})
		parts := on(c)
		parts.Sys = sys
		told := make(chan string, 1000)
		s, err := New([]Config{{Driver: "bme280", Every: 10 * time.Second}, {Driver: "cpu", Every: time.Minute}}, parts, func(r Report) {
			line := fmt.Sprint(r.Name, r.Values)
			if r.Again {
				return
			}
			if r.Err != nil {
				line = fmt.Sprintf("%s %v %v", r.Sensor, r.Err, r.Metrics)
			}
			told <- line
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var ended atomic.Bool
		go func() { _ = s.Run(ctx); ended.Store(true) }()
		count := func(d time.Duration) map[string]int {
			time.Sleep(d)
			synctest.Wait()
			n := map[string]int{}
			for len(told) > 0 {
				n[<-told]++
			}
			return n
		}
		const good, warm = "[25.08 1006.5 32.9]", "cpu[50.0]"
		n := count(time.Minute - time.Millisecond)
		if n[good] != 6 || n[warm] != 1 || len(n) != 2 {
			t.Fatalf("in a minute: %v", n)
		}
		ids := c.read(regID)
		c.fail(errors.New("remote I/O error"))
		n = count(time.Hour)
		if n["bme280 bme280: bme280: remote I/O error [temperature humidity pressure]"] != 1 || n[warm] != 60 || len(n) != 2 {
			t.Errorf("in an hour without it: %v", n)
		}
		if f := s.Stats().Failed; f < 13 || f > 20 {
			t.Errorf("it was tried %d times in an hour", f)
		}
		if f := s.Faults(); len(f) != 1 || f["bme280"] == "" {
			t.Errorf("faults: %v", f)
		}
		c.fail(nil)
		n = count(10 * time.Minute)
		if n[good] < 28 || c.read(regID) != ids+1 || len(s.Faults()) != 0 {
			t.Errorf("it is back: %v, opened %d times, faults %v", n, c.read(regID)-ids, s.Faults())
		}
		if st := s.Stats(); st.Reopened != 1 {
			t.Errorf("%+v", st)
		}
		cancel()
		synctest.Wait()
		if !ended.Load() {
			t.Error("it goes on after the end")
		}
	})
}
