package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
)

// serve is a hub in a process of its own.
type serve struct {
	*hub
	*program
	file string // its configuration
}

const siteFile = `
areas:
  - {id: north, name: North Wing, lease: 4s, locations: [{id: "1", name: Gate 1}, {id: "2", name: Gate 2}]}
mappings:
  - {topic: barrier, group: barrier, event: Barrier}
`

// startProcess starts tacet serve with a data directory, and returns when it
// says that it is ready.
func startProcess(t *testing.T, data string) *serve { return startSite(t, data, siteFile) }

// startSite is startProcess with a configuration.
func startSite(t *testing.T, data, site string) *serve {
	t.Helper()
	return startWith(t, data, site, tacet(t))
}

// startWith is startProcess with a configuration, and the words that run tacet.
func startWith(t *testing.T, data, site string, command ...string) *serve {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tacet.yaml")
	if err := os.WriteFile(file, []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(command[1:], "serve", "--config", file, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	s := &serve{file: file, program: run(t, command[0], args...)}
	line, _ := s.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready ") })
	raw, err := os.ReadFile(filepath.Join(data, "ready.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r hubd.Ready
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	same(t, "the ready line", line, fmt.Sprintf("ready http=%s mqtt=%s node=%s", r.HTTP, r.MQTT, r.Node))
	same(t, "pid", r.PID, s.cmd.Process.Pid)
	same(t, "node", r.Node, "hub-1")
	s.hub = &hub{t: t, ready: r, data: data, web: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	t.Cleanup(s.web.CloseIdleConnections)
	return s
}

// through is the same hub seen through doors.
func (s *serve) through(web, mqtt *door) *hub {
	h := *s.hub
	h.ready.HTTP, h.ready.MQTT = "http://"+web.addr(), "mqtt://"+mqtt.addr()
	return &h
}

// startBehindDoors starts a hub process, the first of those to which two doors lead; h
// is the hub behind them, whichever that is.
func startBehindDoors(t *testing.T, data string) (h *hub, first *serve, web, mqtt *door) {
	t.Helper()
	web, mqtt = newDoor(t), newDoor(t)
	first = startProcess(t, data)
	web.lead(t, first.ready.HTTP)
	mqtt.lead(t, first.ready.MQTT)
	return first.through(web, mqtt), first, web, mqtt
}

// settleMs is how long the arbiter of north said that it settles, in a term after
// the given one: what the arbiter before it said is retained, until this one
// speaks.
func (h *hub) settleMs(after uint64) (l area.Leader) {
	h.t.Helper()
	sub := h.subscribe("-v", "-t", "tacet/area/north/leader")
	sub.message(0, "tacet/area/north/leader", func(p string) bool { return json.Unmarshal([]byte(p), &l) == nil && l.Term > after })
	return l
}

// TestServe: a process says where it listens, drains when it is told to end,
// and its clients come back to the next one, which has nothing to settle.
func TestServe(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	h, first, web, mqtt := startBehindDoors(t, data)
	before := h.settleMs(0)
	if before.SettleMs == 0 {
		t.Errorf("the first hub of a directory says %+v: it knows of no clean end", before)
	}
	w := h.watch()
	n := h.npm()
	gate := h.classicProgram("gate-1", "north", "1", 50)
	play := func(w *watcher, h *hub, what string) {
		t.Helper()
		id := h.announce(`{"to":{"location":"1"},"message":"Boarding"}`)
		if o := w.ended(id); o.State != area.OrderPlayed {
			t.Errorf("%s: the order ended %s", what, story(o))
		}
	}
	play(w, h, "the first hub")

	mark := gate.out.mark()
	first.signal(syscall.SIGTERM)
	same(t, "exit code", first.wait(), 0)
	if _, err := os.Stat(filepath.Join(data, "ready.json")); !os.IsNotExist(err) {
		t.Errorf("ready.json is still there (%v)", err)
	}
	heard(n.program, 0, "the loss", func(l line) bool { return l.State == "reconnecting" })

	second := startProcess(t, data)
	web.lead(t, second.ready.HTTP)
	mqtt.lead(t, second.ready.MQTT)
	heard(n.program, 0, "the way back", func(l line) bool { return l.State == "reconnected" })
	h = second.through(web, mqtt)
	if l := h.settleMs(before.Term); l.SettleMs != 0 {
		t.Errorf("after a clean end the second hub says %+v", l)
	}
	heard(gate, mark, "the way back", func(l line) bool { return l.Busy != nil })
	play(h.watch(), h, "the second hub")
	n.invoke("Echo", "still here")
}

// TestKilledHub: a hub that was killed settles when it starts again, and goes
// on with higher terms and tokens; nobody talks over another.
func TestKilledHub(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	h, first, web, mqtt := startBehindDoors(t, data)
	w := h.watch()
	one, two := h.gate("gate-1", "north", "1"), h.gate("gate-2", "north", "2")
	id := h.announce(`{"to":{"location":"1"},"message":"This is a longer announcement, in the middle of which the hub dies."}`)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
	before, _ := w.busy(0, "north", heldBy("gate-1"))
	first.signal(syscall.SIGKILL)
	first.wait()

	second := startProcess(t, data)
	web.lead(t, second.ready.HTTP)
	mqtt.lead(t, second.ready.MQTT)
	h = second.through(web, mqtt)
	if l := h.settleMs(before.Term); l.SettleMs < 4000 {
		t.Errorf("after the kill the second hub says %+v, before it was term %d", l, before.Term)
	}
	w = h.watch()
	sub := h.subscribe("-v", "-t", "tacet/area/north/busy")
	id = h.announce(`{"to":{"area":"north"},"message":"Go"}`)
	if o := w.ended(id); o.State != area.OrderPlayed {
		t.Errorf("the order after the kill ended %s", story(o))
	}
	after, _ := sub.busyMessage(0, "north", func(b area.Busy) bool { return b.Work != nil && *b.Work == id })
	if !after.Newer(before) || *after.Token <= *before.Token {
		t.Errorf("%+v came after %+v", after, before)
	}
	oneVoice(t, nil, one, two)
}

// TestHoldOutlivesHub: what a classic program holds is still held when a hub
// that was killed starts again, until the program says false.
func TestHoldOutlivesHub(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first := startProcess(t, data)
	n := first.npm()
	n.invoke("ReceiveDeviceConnected", "gate-1", "north", 1)
	n.invoke("BroadcastWorkStatus", "north", true)
	first.signal(syscall.SIGKILL)
	first.wait()
	n.signal(syscall.SIGKILL) // it would come back to whoever has the hub's port then

	second := startProcess(t, data)
	sub := second.subscribe("-v", "-t", "tacet/area/north/busy")
	_, at := sub.busyMessage(0, "north", heldBy("gate-1"))
	other := second.npm()
	other.invoke("ReceiveDeviceConnected", "gate-2", "north", 2)
	other.event(0, "ReceiveWorkStatus", hears(t, true))
	waits := other.begin("invoke", "BroadcastWorkStatus", "north", true)
	_, at = sub.busyMessage(at, "north", func(b area.Busy) bool { return heldBy("gate-1")(b) && b.Queued == 1 })
	back := second.npm()
	back.invoke("ReceiveDeviceConnected", "gate-1", "north", 1)
	back.invoke("BroadcastWorkStatus", "north", false)
	sub.busyMessage(at, "north", heldBy("gate-2"))
	if l := other.finish(waits); l.Error != nil {
		t.Errorf("the claim that waited failed: %s", *l.Error)
	}
}

// TestReload: SIGHUP brings a new area, and no connection is lost; a file with a
// fault changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	s := startProcess(t, t.TempDir())
	w := s.watch()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mark := s.errs.mark()
	write(siteFile + "\ncolour: red\n")
	s.signal(syscall.SIGHUP)
	s.errs.await(t, mark, "the fault", func(line string) bool { return strings.Contains(line, "colour") })
	write(strings.Replace(siteFile, "areas:", "areas:\n  - {id: west, name: West Wing}", 1))
	s.signal(syscall.SIGHUP)
	w.await("the new area", func(e told) bool {
		var d area.Delta
		return e.event == "AreaChanged" && e.read(&d) && *d.Area == "west"
	})
	w.call("Echo", "still here")
	s.signal(syscall.SIGTERM)
	same(t, "exit code", s.wait(), 0)
}
