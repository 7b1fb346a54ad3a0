package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// outside is somebody else's broker, which can be killed and started again.
type outside struct {
	t       *testing.T
	port    int
	command []string
	env     []string
	dir     string // what it may drop files into
	cmd     *exec.Cmd
}

// newOutside is a broker that has a port and no program yet.
func newOutside(t *testing.T) *outside {
	t.Helper()
	port, _ := seat(t)
	return &outside{t: t, port: port, dir: t.TempDir(), cmd: &exec.Cmd{}}
}

// mosquitto is Debian's, which keeps nothing when it is killed.
func mosquitto(t *testing.T) *outside {
	t.Helper()
	o := newOutside(t)
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %d 127.0.0.1\nallow_anonymous true\nuser root\n", o.port), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	o.command = []string{path, "-c", conf}
	t.Cleanup(o.kill)
	o.start()
	return o
}

func (o *outside) start() {
	o.t.Helper()
	o.cmd = exec.Command(o.command[0], o.command[1:]...)
	o.cmd.Dir = o.dir
	o.cmd.Env = append(os.Environ(), o.env...)
	if err := o.cmd.Start(); err != nil {
		o.t.Fatalf("%v: install the Debian packages of .ci/tools (make test does)", err)
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-again.C {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", o.port)); err == nil {
			_ = c.Close()
			return
		}
	}
	o.t.Fatalf("%s does not listen", o.command[0])
}

func (o *outside) kill() {
	if o.cmd.Process != nil && o.cmd.ProcessState == nil {
		_ = o.cmd.Process.Kill()
		_ = o.cmd.Wait()
	}
}

func (o *outside) url() string { return fmt.Sprintf("mqtt://127.0.0.1:%d", o.port) }

// health waits until /readyz says what it should.
func (h *hub) health(status, part string, ok bool) {
	h.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); ; <-again.C {
		a := h.call("GET", h.ready.HTTP+"/readyz", nil)
		var is struct {
			Status string
			Parts  map[string]struct {
				OK   bool
				Mode string
			}
		}
		if json.Unmarshal(a.body, &is) == nil && is.Status == status && is.Parts[part].OK == ok {
			same(h.t, "status code", a.status, http.StatusOK)
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("/readyz says %s, want %s and %s %t", a.body, status, part, ok)
		}
	}
}

// TestExternalBroker: with Mosquitto in the place of the embedded broker devices
// take turns, sensors are read, groups are mirrored, works are taken and requests
// answered; it is killed, and everything goes on when it is back.
func TestExternalBroker(t *testing.T) {
	t.Parallel()
	o := mosquitto(t)
	h := start(t, func(c *conf.Config) { c.MQTT.External.URL = o.url() })
	same(t, "the broker that the hub names", h.ready.MQTT, o.url())
	h.health("ready", "broker", true)
	w, page, sub := h.watch(), h.npm(), h.subscribe("-v", "-t", "tacet/#")
	gates := []*gate{h.gate("gate-1", "north", "1"), h.gate("gate-2", "north", "2")}

	play := func(n int) {
		t.Helper()
		var ids []area.WorkID
		for i := range n {
			ids = append(ids, h.announce(fmt.Sprintf(`{"to":{"location":"%d"},"message":"Go"}`, 1+i%2)))
		}
		for _, id := range ids {
			if o := w.ended(id); o.State != area.OrderPlayed || o.Attempt != 1 {
				t.Errorf("order %s ended %s: %s", id, o.State, story(o))
			}
		}
	}
	play(3)

	h.publish("home/north/hall/temperature", "21.5", "-r")
	w.reading(0, func(r area.Reading) bool { return r.Device == "hall" && r.Value == 21.5 })
	page.invoke("JoinGroup", "g")
	h.publish("tacet/group/g/Down", "1")
	page.invoke("SendToGroup", "g", "Up", 2)
	page.event(0, "Down", hears(t, 1))
	page.event(0, "Up", hears(t, 2))
	sub.message(0, "tacet/group/g/Up", exactly("[2]"))
	h.publish("tacet/group/g/End", "3")
	page.event(0, "End", hears(t, 3)) // whatever comes twice has come
	if n := strings.Count(strings.Join(page.out.since(0), "\n"), `"event":"Up"`); n != 1 {
		t.Errorf("the group's event came %d times", n)
	}

	const n = 50 // said while the broker stands still
	_ = o.cmd.Process.Signal(syscall.SIGSTOP)
	for i := range n {
		page.invoke("SendToGroup", "g", "Stalled", i)
	}
	_ = o.cmd.Process.Signal(syscall.SIGCONT)
	for mark, i := 0, 0; i < n; i++ {
		var payload string
		payload, mark = sub.message(mark, "tacet/group/g/Stalled", anything)
		same(t, "in its turn, once", payload, fmt.Sprintf("[%d]", i))
	}
	h.publish("tacet/area/north/submit", `{"v":1,"work":"w-1","location":"1","body":{"message":"Go"}}`)
	w.ended("w-1")
	h.publish("tacet/request/areas/get", `{"transaction":"t1","id":"north"}`)
	sub.message(0, "tacet/response/t1", func(s string) bool { return strings.Contains(s, `"status":200`) })
	h.publish("tacet/request/schedules/list", `{"transaction":"t2"}`)
	sub.message(0, "tacet/response/t2", func(s string) bool { return strings.Contains(s, `"status":200`) })

	o.kill()
	h.health("degraded", "broker", false)
	o.start()
	h.health("ready", "broker", true)
	again := h.subscribe("-v", "-t", "tacet/area/north/busy")
	again.message(0, "tacet/area/north/busy", anything) // the hub's, which the broker had forgotten
	h.awaitPresent("gate-1", "gate-2")
	play(2)
	oneVoice(t, nil, gates...)
	same(t, "overlaps that the hub counted", h.metric("tacet_arbiter_conflicts")+h.metric("tacet_arbiter_intruders"), 0)
	if h.metric("tacet_external_connects") != 2 || h.metric("tacet_external_stuck_count") != 0 {
		t.Errorf("%v connections to the broker", h.metric("tacet_external_connects"))
	}
}

// awaitPresent waits until devices have come back: they say hello to a broker that
// was away.
func (h *hub) awaitPresent(devices ...string) {
	h.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); len(devices) > 0; {
		var d area.Device
		h.get("/devices/"+devices[0], &d)
		if d.Presence == area.Online {
			devices = devices[1:]
			continue
		}
		if time.Now().After(end) {
			h.t.Fatalf("%s is %s", devices[0], d.Presence)
		}
		<-again.C
	}
}

// TestBridgeToAnotherBroker: what the configuration says is carried, both ways,
// also what came while the other broker was away.
func TestBridgeToAnotherBroker(t *testing.T) {
	t.Parallel()
	o := mosquitto(t)
	h := start(t, func(c *conf.Config) {
		c.MQTT.Bridges = []conf.Bridge{{Name: "plant-1", URL: o.url(), BufferBytes: 1 << 20, Topics: []conf.BridgedTopic{
			{Filter: "#", Direction: "out", LocalPrefix: "hall/", RemotePrefix: "site/hall/", QoS: 2},
			{Filter: "#", Direction: "in", LocalPrefix: "home/", RemotePrefix: "site/sensors/", QoS: 1},
		}}}
	})
	h.health("ready", "bridge_plant-1", true)
	w := h.watch()
	there := &hub{t: t, ready: h.ready}
	there.ready.MQTT = o.url()
	sub := there.subscribe("-v", "-t", "site/hall/#")
	h.publish("hall/x", "1")
	sub.message(0, "site/hall/x", exactly("1"))
	there.publish("site/sensors/north/yard/temperature", "5")
	w.reading(0, func(r area.Reading) bool { return r.Device == "yard" && r.Area == "north" && r.Value == 5.0 })

	o.kill()
	h.health("degraded", "bridge_plant-1", false)
	h.publish("hall/y", "2", "-r")
	o.start()
	h.health("ready", "bridge_plant-1", true)
	late := there.subscribe("-v", "-t", "site/hall/#")
	late.message(0, "site/hall/y", exactly("2"))
	if n := h.metric("tacet_bridge_plant_1_dropped"); n != 0 {
		t.Errorf("%v dropped", n)
	}
}

// TestBridgeKeepsItsWordOverAKill: what waits for another broker that is away is on
// disk: it goes out, once each and in order, when hub and broker are there, though
// the hub ended and was killed with -9 meanwhile.
func TestBridgeKeepsItsWordOverAKill(t *testing.T) {
	t.Parallel()
	const n = 50
	o, data := mosquitto(t), t.TempDir()
	site := siteFile + "mqtt: {bridges: [{name: plant, url: \"" + o.url() + "\", topics: [{filter: \"#\", direction: out, local_prefix: hall/, remote_prefix: site/, qos: 2}]}]}\n"
	o.kill()
	s := startSite(t, data, site)
	s.health("degraded", "bridge_plant", false)
	for i := range n {
		s.publish("hall/n", fmt.Sprint(i))
	}
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		same(t, "messages that wait", s.metric("tacet_bridge_plant_waiting"), float64(n))
		s.signal(end)
		s.wait()
		if end == syscall.SIGTERM {
			s = startSite(t, data, site)
		}
	}
	o.start()
	there := &hub{t: t, ready: s.ready}
	there.ready.MQTT = o.url()
	sub := there.subscribe("-v", "-t", "site/#")
	s = startSite(t, data, site)
	s.publish("hall/end", "1") // whatever comes twice comes before this
	for mark, i := 0, 0; i < n; i++ {
		var payload string
		payload, mark = sub.message(mark, "site/n", anything)
		same(t, "in its turn, once", payload, fmt.Sprint(i))
	}
	sub.message(0, "site/end", anything)
	if came := strings.Count(strings.Join(sub.out.since(0), "\n"), "site/n "); came != n {
		t.Errorf("%d messages came, want %d", came, n)
	}
	s.until("nothing waits", func() bool { return s.metric("tacet_bridge_plant_waiting") == 0 })
	same(t, "messages that were dropped", s.metric("tacet_bridge_plant_dropped"), 0.0)
}
