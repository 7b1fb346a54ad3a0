package e2e

import (
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// TestNodesOfOneOutsideBroker: two nodes have Mosquitto for their broker, and devices of
// the area are connected to nothing else. The node that has the area, and the say over what
// is nobody's, is killed while an announcement plays: the other one goes on, what was
// submitted before it knew is done too, and never do two sound.
func TestNodesOfOneOutsideBroker(t *testing.T) {
	t.Parallel()
	o, l := mosquitto(t), startLedger(t)
	l.north = `lease: 3s, locations: [{id: "1"}, {id: "2"}]`
	external := "mqtt: {external: {url: \"" + o.url() + "\"}}\nspeech: {engine: tone}"
	one := l.node("hub-1", t.TempDir(), external)
	arbiter(one)
	two := l.node("hub-2", t.TempDir(), external)
	same(t, "who has north", arbiter(one, two).Host, "hub-1")
	gates := []*gate{two.gate("gate-1", "north", "1"), two.gate("gate-2", "north", "2")}
	for _, n := range []*serve{one, two} {
		n.live("gate-1")
		n.live("gate-2")
	}
	w := two.watch()
	played := func(ids ...area.WorkID) {
		t.Helper()
		for _, id := range ids {
			if o := two.shows(id, "ended", func(o area.Order) bool { return o.State.Ended() }); o.State != area.OrderPlayed {
				t.Error(story(o))
			}
		}
	}
	two.publish(area.SubmitTopic("north"), `{"v":1,"work":"w-1","location":"1","body":{"message":"Go"}}`)
	orders := []area.WorkID{one.announce(`{"to":{"location":"2"},"message":"Go"}`), two.announce(`{"to":{"location":"1"},"message":"Go"}`)}
	w.ended("w-1")
	played(append(orders, "w-1")...)

	long := two.announce(`{"to":{"location":"1"},"message":"This is a long announcement, and the node that has granted it is killed meanwhile."}`)
	two.shows(long, "playing", ended(area.OrderPlaying))
	one.signal(syscall.SIGKILL)
	one.wait()
	two.publish(area.SubmitTopic("north"), `{"v":1,"work":"w-2","location":"2","body":{"message":"Go"}}`) // nobody has the say
	next := two.announce(`{"to":{"location":"2"},"message":"Go"}`)
	played(long, "w-2", next)
	same(t, "who has north", arbiter(two).Host, "hub-2")
	two.proofAt("after the kill", func(v proof.Verdict) bool { return v.OneVoice && v.Plays >= 6 })
	plays := map[string]int{}
	for _, g := range gates {
		for _, p := range g.plays() {
			plays[p.work]++
		}
	}
	for work, n := range plays {
		if n != 1 && work != string(long) { // which was cut short
			t.Errorf("%s was played %d times", work, n)
		}
	}
	oneVoice(t, nil, gates...)
}
