package arbiter

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestDevicesThatCannotSound: b has nothing to sound by. What is for the area goes to
// its neighbour, also at b's own location; where there is none the order says so, and
// waits for one.
func TestDevicesThatCannotSound(t *testing.T) {
	submit := func(w area.Work, expires area.Instant) Submit {
		w.ID, w.Area, w.Prio, w.IfBusy = "w1", "north", area.Normal, area.BusyQueue
		return Submit{Work: w, Expires: expires}
	}
	silent := DeviceUp{Device: "b", Location: "2", Silent: true}
	for _, c := range []struct {
		name string
		does func(d *stand)
	}{
		{"a neighbour can", func(d *stand) {
			d.want(silent, "")
			d.want(DeviceUp{Device: "a", Location: "1"}, "")
			d.want(submit(area.Work{Location: "2"}, area.Never), "offer(w1>,1) report(w1,offered,1)")
		}},
		{"nobody can, until somebody comes", func(d *stand) {
			d.want(silent, "")
			d.want(submit(area.Work{}, area.Never), "report(w1,waiting,1,device_error)")
			d.want(silent, "") // it says its status again
			d.want(DeviceUp{Device: "a"}, "offer(w1>,1) report(w1,offered,1)")
			d.want(DeviceUp{Device: "a", Silent: true}, "report(w1,waiting,1,device_error)")
			d.want(DeviceUp{Device: "b"}, "offer(w1>,1) report(w1,offered,1)")
		}},
		{"nobody comes", func(d *stand) {
			d.want(silent, "")
			d.want(submit(area.Work{}, d.now.Add(time.Minute)), "report(w1,waiting,1,device_error)")
			d.at(time.Minute, "report(w1,failed,1,device_error)")
		}},
		{"nobody is there at all", func(d *stand) {
			d.want(submit(area.Work{}, d.now.Add(time.Minute)), "report(w1,waiting,1)")
			d.at(time.Minute, "report(w1,failed,1,no_device)")
		}},
		{"it is asked itself, and for what does not sound", func(d *stand) {
			d.want(silent, "")
			d.want(submit(area.Work{Device: "b"}, area.Never), "offer(w1>b,1) report(w1,offered,1)")
			d.want(Submit{Work: area.Work{ID: "w2", Area: "north", Prio: area.Normal, Location: "2", Body: area.Body{Kind: area.KindDownload}}, Expires: area.Never}, "offer(w2>b,1) report(w2,offered,1)")
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.does(idle(t)) })
	}
}
