package e2e

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestSensorsAreThereAfterARestart: sensors of several conventions, one of them new
// and in no area, are there after the hub ended and after it was killed, with
// names, units, channels and when they were heard; their values are stale and they
// are unknown, whatever the broker has retained, until they are heard.
func TestSensorsAreThereAfterARestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startProcess(t, data)
	s.call("PUT", "/devices/plug", `{"name":"Coffee"}`).want(t, 200, nil)
	for _, m := range [][2]string{
		{"zigbee2mqtt/north/climate", `{"temperature":21.5,"humidity":40}`},
		{"zigbee2mqtt/north/climate/availability", `{"state":"online"}`},
		{"tele/plug/LWT", "Online"},
		{"tele/plug/SENSOR", `{"ENERGY":{"Power":12,"Total":3.5}}`},
		{"homeassistant/sensor/x/config", `{"name":"T","state_topic":"x/state","unit_of_measurement":"°F","device_class":"temperature","device":{"ids":["x1"],"name":"Boiler","sa":"North"}}`},
		{"x/state", "70"},
	} {
		s.publish(m[0], m[1], "-r")
	}
	s.publish("shellies/door/sensor/temperature", "19") // only the hub remembers it
	ids := []string{"climate", "plug", "x1", "door"}
	sensor := func(id string) (d area.Device) {
		s.get("/devices/"+id, &d)
		return d
	}
	s.until("all are on disk", func() bool {
		return s.metric("tacet_registry_written") >= float64(len(ids)) && len(sensor("door").Readings) == 1
	})
	before := map[string]area.Device{}
	for _, id := range ids {
		before[id] = sensor(id)
		same(t, id, before[id].Presence, area.Online)
	}
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		s.signal(end)
		s.wait()
		s = startProcess(t, data)
		for _, id := range ids {
			was, is := before[id], sensor(id)
			about := fmt.Sprintf("%s after %s: ", id, end)
			same(t, about+"presence", is.Presence, area.PresenceUnknown)
			same(t, about+"last seen", fmt.Sprint(is.LastSeen), fmt.Sprint(was.LastSeen))
			same(t, about+"name, area, attributes", fmt.Sprint(is.Name, is.Area, is.Attributes), fmt.Sprint(was.Name, was.Area, was.Attributes))
			same(t, about+"readings", len(is.Readings), len(was.Readings))
			for i, r := range is.Readings {
				w := was.Readings[i]
				same(t, about+"quality", r.Quality, area.Stale)
				same(t, about+"reading", fmt.Sprint(r.Metric, text(r.Channel), text(r.Unit), r.Value, r.TS), fmt.Sprint(w.Metric, text(w.Channel), text(w.Unit), w.Value, w.TS))
			}
		}
	}
	var inbox struct{ Items []area.Device }
	s.get("/sensors?area=unassigned", &inbox)
	same(t, "sensors without an area", len(inbox.Items), 2) // plug and door
	s.publish("shellies/door/sensor/temperature", "19.5")
	s.until("the door is heard", func() bool {
		d := sensor("door")
		return d.Presence == area.Online && d.Readings[0].Quality == area.Good && d.LastSeen.After(before["door"].LastSeen.Time)
	})
	s.call("DELETE", "/devices/door", nil).want(t, 204, nil)
	s.signal(syscall.SIGKILL)
	s.wait()
	s = startProcess(t, data)
	s.get("/sensors?area=unassigned", &inbox)
	same(t, "sensors without an area, the door removed", len(inbox.Items), 1)
}

// TestSensorsOfAnOutsideBrokerAfterARestart: what an outside broker has retained is
// old news to a hub that begins again: the sensors that it knew stay unknown, their
// values stale, and last_seen where it was.
func TestSensorsOfAnOutsideBrokerAfterARestart(t *testing.T) {
	t.Parallel()
	o, data := mosquitto(t), t.TempDir()
	with := func(c *conf.Config) { c.MQTT.External.URL, c.Data = o.url(), data }
	h := start(t, with)
	w := h.watch()
	h.health("ready", "broker", true)
	h.publish("zigbee2mqtt/north/climate/availability", `{"state":"online"}`, "-r")
	h.publish("zigbee2mqtt/north/climate", `{"temperature":21.5}`, "-r")
	w.reading(0, func(r area.Reading) bool { return r.Device == "climate" })
	var was, is area.Device
	h.get("/devices/climate", &was)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	(&hub{t: t, ready: h.ready}).publish("zigbee2mqtt/north/climate", `{"temperature":22}`, "-r") // while no hub is there
	h = start(t, with)
	h.until("the retained value has come", func() bool {
		is = area.Device{}
		h.get("/devices/climate", &is)
		return len(is.Readings) == 1 && is.Readings[0].Value == 22.0
	})
	same(t, "presence", is.Presence, area.PresenceUnknown)
	same(t, "quality", is.Readings[0].Quality, area.Stale)
	same(t, "last seen", fmt.Sprint(is.LastSeen), fmt.Sprint(was.LastSeen))
}

func text(s *string) string {
	if s == nil {
		return "none"
	}
	return *s
}
