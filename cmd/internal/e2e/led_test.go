package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// longText is said for longer than it takes to kill somebody, and to look around.
const longText = "This is a longer announcement, in the middle of which somebody dies, and the others go on."

// led is a hub whose area north has a leader of its own, in processes that find each
// other on the loopback interface.
type led struct {
	t         *testing.T
	data      string
	web, mqtt *door
	serve     *serve
	*hub      // seen through doors
	gates     []*gate
}

const ledFile = `
areas:
  - {id: north, name: North Wing, lease: 2s, topology: local, locations: [{id: "1", name: Gate 1}, {id: "2", name: Gate 2}]}
`

// startLed starts a hub and two devices, and waits until one of them leads.
func startLed(t *testing.T) (l *led, leads *gate, term uint64) {
	t.Helper()
	l = &led{t: t, data: t.TempDir(), web: newDoor(t), mqtt: newDoor(t)}
	l.start()
	for _, at := range []string{"1", "2"} {
		l.gates = append(l.gates, l.member("gate-"+at, at))
	}
	leads, term = l.leader(0)
	return l, leads, term
}

// start starts the hub, once more where it was killed.
func (l *led) start() {
	l.t.Helper()
	l.serve = startSite(l.t, l.data, ledFile)
	l.web.lead(l.t, l.serve.ready.HTTP)
	l.mqtt.lead(l.t, l.serve.ready.MQTT)
	l.hub = l.serve.through(l.web, l.mqtt)
}

// member starts a device that can lead its area.
func (l *led) member(id, at string) *gate {
	l.t.Helper()
	dir := l.t.TempDir()
	file := filepath.Join(dir, "device.yaml")
	text := fmt.Sprintf("device: %s\narea: north\nlocation: %q\nhub: [\"mqtt://%s\"]\ndata: %s\npeers: {bind: \"127.0.0.1:0\", listen: \"127.0.0.1:0\", web: \"127.0.0.1:0\"}\n",
		id, at, l.mqtt.addr(), filepath.Join(dir, "data"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	g := &gate{id: id, wav: filepath.Join(dir, "heard.wav")}
	g.program = run(l.t, tacetDevice(l.t), "run", "--sim", "--config", file, "--wav", g.wav)
	g.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device="+id) })
	return g
}

// leader waits until the hub says that a device leads, in a term after the given
// one, and answers which.
func (l *led) leader(after uint64) (leads *gate, term uint64) {
	l.t.Helper()
	sub := l.subscribe("-v", "-t", area.LeaderTopic("north"))
	sub.message(0, area.LeaderTopic("north"), func(p string) bool {
		var said area.Leader
		if json.Unmarshal([]byte(p), &said) != nil || said.Mode != area.LeaderLocal || said.Term <= after {
			return false
		}
		i := slices.IndexFunc(l.gates, func(g *gate) bool { return g.id == said.Host })
		if i < 0 {
			return false
		}
		leads, term = l.gates[i], said.Term
		return true
	})
	return leads, term
}

// but is the other one.
func (l *led) but(one *gate) *gate {
	if l.gates[0] == one {
		return l.gates[1]
	}
	return l.gates[0]
}

// alone orders a text of one device.
func (l *led) alone(g *gate, text string) area.WorkID {
	l.t.Helper()
	return l.announce(map[string]any{"to": map[string]string{"device": g.id}, "message": text})
}

// over waits until a device has played a work to the end, whoever hears of it, and
// answers how much of it was heard, in samples. A busy machine makes a play longer, by
// silence; what sounds of it stays as much.
func (g *gate) over(id area.WorkID) (heard int) {
	g.t.Helper()
	eventually(g.t, g.id+" has played "+string(id)+" to the end", func() bool {
		samples, list := g.recording()
		from := -1
		for _, l := range list {
			switch {
			case l.Work == nil || *l.Work != string(id):
			case l.Event == "start":
				from = l.Sample
			case from >= 0 && l.Sample <= len(samples): // the samples were read before the list
				heard = len(voiced(samples[from:l.Sample]))
				return true
			}
		}
		return false
	})
	return heard
}

// TestTheHubOfALedAreaIsKilled: with -9, while a device plays that its leader has
// granted the area. It plays to the end; what the hub had accepted is played once,
// and the hub that starts again finds the leader as it was.
func TestTheHubOfALedAreaIsKilled(t *testing.T) {
	t.Parallel()
	l, first, term := startLed(t)
	other := l.but(first)
	w := l.watch()
	played := w.ended(l.alone(other, longText)) // undisturbed: its length
	whole := other.over(played.ID)
	for range 2 {
		w = l.watch()
		id := l.alone(other, longText)
		w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
		next := l.alone(first, "Go")                                                    // not before: the leader's own device may be the quicker one
		w.order(next, func(o area.Order) bool { return o.State == area.OrderAssigned }) // by the leader, so he has it
		l.serve.signal(syscall.SIGKILL)
		l.serve.wait()
		if heard := other.over(id); heard < whole*3/4 { // who is cut off is so in his first half
			t.Errorf("%d samples of it were heard, undisturbed %d", heard, whole)
		}
		first.over(next)
		l.start()
		if now, in := l.leader(term - 1); now != first || in != term {
			t.Errorf("%s leads in term %d, before it was %s in term %d", now.id, in, first.id, term)
		}
		for _, one := range []area.WorkID{id, next} { // the leader may have told the hub before anybody watched it
			if o := l.endedAs(one); o.State != area.OrderPlayed || o.Attempt != 1 {
				t.Errorf("ended %s", story(o))
			}
		}
	}
	l.judge(2 + 2*2)
}

// TestOfTwoTheLeaderIsKilled: with -9, while the other plays; the other one leads,
// and every order has its end.
func TestOfTwoTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	l, first, term := startLed(t)
	other := l.but(first)
	w := l.watch()
	id := l.alone(other, longText)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
	first.signal(syscall.SIGKILL)
	first.wait()
	for now := first; now != other; { // by a term that it may have got before it died
		now, term = l.leader(term)
	}
	if o := w.ended(id); o.State != area.OrderPlayed {
		t.Errorf("what played when the leader died ended %s", story(o))
	}
	l.judge(2)
}

// judge orders once more, of whoever is there, and judges what was heard: so many
// works, one at a time.
func (l *led) judge(works int) {
	l.t.Helper()
	if o := l.endedAs(l.announce(`{"to":{"area":"north"},"message":"Go"}`)); o.State != area.OrderPlayed {
		l.t.Errorf("the last order ended %s", story(o))
	}
	oneVoice(l.t, nil, l.gates...)
	heard := map[string]bool{}
	for _, g := range l.gates {
		for _, p := range g.plays() {
			heard[p.work] = true
		}
	}
	same(l.t, "works that were heard", len(heard), works)
	l.proofAt("with the leader's record", func(v proof.Verdict) bool { return v.Plays >= uint64(works) })
	v, code := l.proof("--url", l.ready.HTTP)
	if code != 0 || v.Broken != "" || !v.OneVoice || v.Plays < uint64(works) {
		l.t.Errorf("proof: exit %d, %+v", code, v)
	}
}
