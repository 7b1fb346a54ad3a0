package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
)

// assistant does with discovery what Home Assistant does: it reads the documents,
// follows the state topics that they name, and sends what they want to the command
// topics. It has no templates.
type assistant struct {
	t *testing.T
	s *sender

	mu       sync.Mutex
	devices  map[string]assisted // by the topic of the document
	states   map[string]string   // by topic
	messages map[string]int
	more     chan struct{} // closed when something came
}

// assisted is a device of the assistant's.
type assisted struct {
	Dev struct {
		IDs  []string
		Name string
		SA   string
	}
	O            struct{ Name string }
	Availability string `json:"avty_t"`
	Cmps         map[string]entity
}

type entity struct {
	P        string
	Unique   string   `json:"unique_id"`
	State    string   `json:"state_topic"`
	Command  string   `json:"command_topic"`
	On       string   `json:"payload_on"`
	Press    string   `json:"payload_press"`
	Tones    []string `json:"available_tones"`
	Min, Max float64
}

func (h *hub) assistant() *assistant {
	h.t.Helper()
	a := &assistant{t: h.t, s: h.sender(), devices: map[string]assisted{}, states: map[string]string{}, messages: map[string]int{}, more: make(chan struct{})}
	for _, f := range []string{"homeassistant/+/+/config", "tacet/ha/#", "tacet/area/+/busy/flag"} {
		a.s.await("subscribe", a.s.c.Subscribe(f, 1, a.heard))
	}
	return a
}

func (a *assistant) heard(_ mqtt.Client, m mqtt.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.messages[m.Topic()]++
	switch {
	case strings.HasSuffix(m.Topic(), "/config") && len(m.Payload()) == 0:
		delete(a.devices, m.Topic())
	case strings.HasSuffix(m.Topic(), "/config"):
		var d assisted
		if err := json.Unmarshal(m.Payload(), &d); err != nil {
			a.t.Errorf("%s: %v", m.Topic(), err)
		}
		a.devices[m.Topic()] = d
	case len(m.Payload()) == 0:
		delete(a.states, m.Topic())
	default:
		a.states[m.Topic()] = string(m.Payload())
	}
	close(a.more)
	a.more = make(chan struct{})
}

// until waits until the assistant has what is asked for.
func (a *assistant) until(what string, so func() bool) {
	a.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		a.mu.Lock()
		ok, more := so(), a.more
		a.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-more:
		case <-late.C:
			a.mu.Lock()
			defer a.mu.Unlock()
			a.t.Fatalf("waited in vain until %s; documents %v, states %v", what, slices.Sorted(maps.Keys(a.devices)), a.states)
		}
	}
}

// named is the device of a name.
func (a *assistant) named(name string) (d assisted, ok bool) {
	for _, d := range a.devices {
		if d.Dev.Name == name {
			return d, true
		}
	}
	return d, false
}

// device waits for a device that is available, and answers it.
func (a *assistant) device(name string) (d assisted) {
	a.t.Helper()
	a.until(name+" is available", func() (ok bool) {
		d, ok = a.named(name)
		return ok && a.states[d.Availability] == "online"
	})
	return d
}

// state waits until an entity has a state.
func (a *assistant) state(d assisted, key, want string) {
	a.t.Helper()
	a.until(d.Dev.Name+"'s "+key+" is "+want, func() bool { return a.states[d.Cmps[key].State] == want })
}

// TestHomeAssistant: a consumer that follows discovery, availability and birth
// finds the area and its loudspeaker, announces, rings, sets the volume and stops.
func TestHomeAssistant(t *testing.T) {
	t.Parallel()
	h := start(t)
	w, ha := h.watch(), h.assistant()
	g := h.gate("gate-1", "north", "1")
	var shown area.Device
	h.awaitPresent("gate-1")
	h.get("/devices/gate-1", &shown)
	north, gate := ha.device("North Wing"), ha.device(shown.Name)
	if gate.Dev.SA != "North Wing" || gate.O.Name != "Tacet" || len(gate.Dev.IDs) != 1 {
		t.Errorf("the loudspeaker is %+v", gate)
	}
	ha.state(gate, "connected", "ON")
	late := h.subscribe("-F", "%r %q %t", "-t", "homeassistant/device/+/config", "-t", gate.Availability) // retained, and with QoS 1
	for _, topic := range []string{"homeassistant/device/" + gate.Dev.IDs[0] + "/config", "homeassistant/device/" + north.Dev.IDs[0] + "/config", gate.Availability} {
		late.line(0, "what is shown of "+topic, exactly("1 1 "+topic))
	}
	ha.state(north, "busy", "0")

	some := func(what string, fits func(area.Order) bool) (o area.Order) {
		t.Helper()
		w.await(what, func(e told) bool {
			o = area.Order{}
			return e.event == "OrderChanged" && e.read(&o) && fits(o)
		})
		return o
	}
	said := func(text string) area.Order {
		t.Helper()
		return some(text, func(o area.Order) bool { return o.Message != nil && *o.Message == text })
	}
	long := strings.TrimSpace(strings.Repeat("Boarding at gate one, please have your cards ready, all of you. ", 3)) // sounds until it is stopped
	ha.s.publish(gate.Cmps["announce"].Command, long)
	o := said(long)
	ha.state(gate, "busy", "ON")
	ha.state(gate, "saying", long)
	ha.state(north, "busy", north.Cmps["busy"].On)
	ha.s.publish(gate.Cmps["stop"].Command, gate.Cmps["stop"].Press)
	if o = w.ended(o.ID); o.State != area.OrderCancelled {
		t.Errorf("what was stopped ended %s", o.State)
	}
	ha.state(gate, "busy", "OFF")
	ha.s.publish(north.Cmps["announce"].Command, "To the whole wing")
	if o := w.ended(said("To the whole wing").ID); o.State != area.OrderPlayed || o.To.Area == nil {
		t.Errorf("the announcement to the area ended %s", story(o))
	}
	siren := gate.Cmps["chime"]
	ha.s.publish(siren.Command, `{"state":"ON","tone":"`+siren.Tones[0]+`","duration":2,"volume_level":0.4}`)
	ring := some("the chime", func(o area.Order) bool { return o.Kind == "play" && o.State.Ended() })
	if ring.State != area.OrderPlayed || ring.Volume == nil || *ring.Volume != 40 || ring.Repeat < 1 {
		t.Errorf("the chime is %s", story(ring))
	}
	ha.s.publish(gate.Cmps["volume"].Command, "55")
	ha.state(gate, "volume", "55")

	// A value of ours is nobody's sensor.
	var sensors struct{ Items []area.Device }
	h.get("/sensors", &sensors)
	same(t, "sensors", len(sensors.Items), 0)

	ha.mu.Lock()
	clear(ha.messages)
	topics := len(ha.devices)
	ha.mu.Unlock()
	ha.s.publish("homeassistant/status", "online")
	ha.until("everything came again", func() bool {
		n := 0
		for topic := range ha.messages {
			if strings.HasSuffix(topic, "/config") {
				n++
			}
		}
		return n == topics && ha.messages[gate.Availability] > 0 && ha.messages[gate.Cmps["volume"].State] > 0
	})

	g.signal(syscall.SIGTERM)
	g.wait()
	ha.until("the loudspeaker is gone", func() bool { return ha.states[gate.Availability] == "offline" })
	h.call("DELETE", "/devices/gate-1", nil).want(t, http.StatusNoContent, nil)
	ha.until("nothing of it is left", func() bool {
		_, there := ha.named(shown.Name)
		return !there && !slices.ContainsFunc(slices.Collect(maps.Keys(ha.states)), func(s string) bool { return strings.Contains(s, "gate-1") })
	})
	h.until("no topic of it is left", func() bool {
		var left struct{ Items []area.TopicValue }
		h.get("/topics?filter=homeassistant/%23", &left)
		return !slices.ContainsFunc(left.Items, func(v area.TopicValue) bool { return strings.Contains(v.Topic, "gate-1") })
	})
	h.call("GET", "/devices/gate-1", nil).want(t, http.StatusNotFound, nil)
}
