package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/drivers/media"
)

// neighbours starts devices that give each other their clips, and waits until
// each knows where the others do.
func (h *hub) neighbours(ids ...string) street {
	h.t.Helper()
	s := street{h: h, ids: ids}
	for _, id := range ids {
		s.data = append(s.data, h.t.TempDir())
		s.gates = append(s.gates, h.gateOf(id, "north", "", s.data[len(s.data)-1]))
	}
	h.until("all give clips, and know it of each other", func() bool {
		revs := map[uint64]bool{}
		for _, id := range ids {
			st := h.statusOf(id)
			if st.Peers == nil || st.Peers.Clips == "" || st.Peers.Rev == 0 {
				return false
			}
			revs[st.Peers.Rev] = true
		}
		return len(revs) == 1
	})
	return s
}

// statusOf is what a device says of itself; zero: nothing.
func (h *hub) statusOf(id string) (st area.Status) {
	h.t.Helper()
	var topics struct{ Items []area.TopicValue }
	h.get("/topics?filter="+area.StatusTopic(area.DeviceID(id)), &topics)
	if len(topics.Items) == 1 {
		if err := json.Unmarshal(topics.Items[0].Payload, &st); err != nil {
			h.t.Fatal(err)
		}
	}
	return st
}

// until looks again and again whether something has become so.
func (h *hub) until(what string, ok func() bool) {
	h.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			h.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// street is devices that give each other their clips.
type street struct {
	h     *hub
	ids   []string
	gates []*gate
	data  []string
}

// all fails the test where a device has not the clip, or the hub has sent it more
// than once.
func (s street) all(c clip, file []byte) {
	t := s.h.t
	t.Helper()
	for i, id := range s.ids {
		if b, err := os.ReadFile(filepath.Join(s.data[i], "clips", c.SHA256)); err != nil || !bytes.Equal(b, file) {
			t.Errorf("%s has %d bytes, %v", id, len(b), err)
		}
	}
	s.h.sent(len(file))
}

// sent fails the test unless the hub has sent so many bytes of clips, as it counts when
// somebody has them.
func (h *hub) sent(bytes int) {
	h.t.Helper()
	h.until("what the hub sent is counted", func() bool { return h.metric("tacet_clips_web_bytes") >= float64(bytes) })
	same(h.t, "bytes that the hub sent", h.metric("tacet_clips_web_bytes"), float64(bytes))
}

// told waits for the event of a download, which all devices have.
func (s street) told(p *program, work area.WorkID) {
	t := s.h.t
	t.Helper()
	var e struct {
		On    bool
		Work  area.WorkID
		Has   []string
		Lacks []string
	}
	line, _ := p.line(0, "the event", func(text string) bool { return json.Unmarshal([]byte(text), &e) == nil && e.Work == work })
	slices.Sort(e.Has)
	if !e.On || !slices.Equal(e.Has, s.ids) || len(e.Lacks) != 0 {
		t.Errorf("the event: %s", line)
	}
}

// One order brings a clip to all devices of an area, over one transfer from the
// hub; what each has is told once.
func TestDownloadComesFromTheHubOnce(t *testing.T) {
	h := start(t, func(c *conf.Config) { c.Areas[0].Topology = area.TopologyDirect })
	s := h.neighbours("gate-1", "gate-2", "gate-3")
	said := h.subscribe("-t", "tacet/device/+/event/download")
	file := media.EncodeWAV(sweep(5 * time.Second))
	c := h.upload(file)
	id := h.announce(map[string]any{"to": map[string]string{"area": "north"}, "kind": "download", "clip": "sha256:" + c.SHA256, "expires": "120s"})
	o := h.endedAs(id)
	if o.State != area.OrderPlayed || o.Device == nil || !slices.Contains(s.ids, string(*o.Device)) || o.Attempt != 1 || o.DurationMs != 0 {
		t.Errorf("the order: %s", story(o))
	}
	s.all(c, file)
	s.told(said, id)
}

// It is so as well where a device leads the area: its orders are done through its
// broker, and clips come from the hub.
func TestDownloadUnderALeader(t *testing.T) {
	h := start(t, func(c *conf.Config) { c.Areas[0].Topology = area.TopologyLocal })
	s := h.neighbours("gate-1", "gate-2", "gate-3")
	broker := ""
	h.until("the devices follow one leader", func() bool {
		leaders := map[string]bool{}
		for _, g := range s.gates {
			broker = ""
			for _, line := range g.errs.since(0) { // the last counts: there may have been another before
				if _, rest, ok := strings.Cut(line, "msg=connected"); ok && strings.Contains(rest, " who=") {
					_, rest, _ = strings.Cut(rest, " node=")
					broker, _, _ = strings.Cut(rest, " ")
				}
			}
			leaders[broker] = true
		}
		return len(leaders) == 1 && broker != ""
	})
	host, at, err := net.SplitHostPort(broker)
	if err != nil {
		t.Fatal(err)
	}
	mosquitto := func(name string, args ...string) *program {
		return run(t, tool(t, "stdbuf", "coreutils"), append([]string{"-oL", tool(t, name, mosquittoClients), "-h", host, "-p", at, "-q", "1"}, args...)...)
	}
	said := mosquitto("mosquitto_sub", "-d", "-t", "tacet/device/+/event/download")
	said.line(0, "subscription", func(s string) bool { return strings.HasPrefix(s, "Subscribed ") })
	file := media.EncodeWAV(sweep(5 * time.Second))
	c := h.upload(file)
	work := fmt.Sprintf(`{"v":1,"work":"w-1","ttl_ms":120000,"body":{"kind":"download","clip":"sha256:%s"}}`, c.SHA256)
	if code := mosquitto("mosquitto_pub", "-t", "tacet/area/north/submit", "-m", work).wait(); code != 0 {
		t.Fatalf("mosquitto_pub ended with %d", code)
	}
	s.told(said, "w-1")
	s.all(c, file)

	// An order at the hub goes to the leader, and comes back ended.
	other := media.EncodeWAV(sweep(4 * time.Second))
	sent := len(file) + len(other)
	c = h.upload(other)
	o := h.endedAs(h.announce(map[string]any{"to": map[string]string{"area": "north"}, "kind": "download", "clip": "sha256:" + c.SHA256, "expires": "120s"}))
	if o.State != area.OrderPlayed || o.Attempt != 1 {
		t.Errorf("the order: %s", story(o))
	}
	h.sent(sent)
	s.told(said, o.ID)
}

// A clip that is to be played comes from a neighbour that has it, even where the
// hub has it no more.
func TestClipOfANeighbour(t *testing.T) {
	h := start(t, func(c *conf.Config) { c.Areas[0].Topology = area.TopologyDirect })
	h.neighbours("gate-1", "gate-2")
	file := media.EncodeWAV(sweep(time.Second))
	c := h.upload(file)
	for i, to := range []string{"gate-1", "gate-2"} {
		kind := []string{"download", "play"}[i]
		o := h.endedAs(h.announce(map[string]any{"to": map[string]string{"device": to}, "kind": kind, "clip": "sha256:" + c.SHA256, "expires": "60s"}))
		if o.State != area.OrderPlayed {
			t.Fatalf("%s", story(o))
		}
	}
	h.sent(len(file))
}

// What a download cannot have is refused at once, with every fault.
func TestDownloadOfNothing(t *testing.T) {
	h := start(t)
	a := h.call("POST", "/orders", map[string]any{"to": map[string]string{"area": "north"}, "kind": "download", "message": "hello", "if_busy": "skip"})
	a.want(t, http.StatusUnprocessableEntity, nil)
	for _, field := range []string{`"clip"`, `"message"`, `"if_busy"`} {
		if !bytes.Contains(a.body, []byte(field)) {
			t.Errorf("%s is not in %s", field, a.body)
		}
	}
}
