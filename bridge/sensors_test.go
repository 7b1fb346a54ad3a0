package bridge

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/broker/area"
)

// publishAs sends a message as a client with a user name.
func (w *world) publishAs(t *testing.T, user, topic, payload string) {
	t.Helper()
	must(t, w.bus.Publish(t.Context(), area.Message{Topic: topic, Payload: []byte(payload), From: "client", User: user}))
}

func (w *world) sensors() (list []area.DeviceID) {
	for _, d := range w.reg.Devices() {
		list = append(list, d.ID)
	}
	return list
}

func TestConventionsReachTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		w.publish(t, "zigbee2mqtt/north/hall", `{"temperature":21.5,"action":"single"}`)
		w.publish(t, "zigbee2mqtt/north/hall/availability", `{"state":"online"}`)
		w.publishAs(t, "probe", "v1/devices/me/telemetry", `{"humidity":40}`)
		w.publishAs(t, "", "v1/devices/me/telemetry", `{"humidity":41}`)
		synctest.Wait()
		if got := w.sensors(); !slices.Equal(got, []area.DeviceID{"client", "hall", "probe"}) {
			t.Errorf("sensors: %q", got)
		}
		d, _ := w.reg.Device("hall")
		if d.Area != "north" || d.Presence != area.Online || len(d.Readings) != 1 || d.Attributes["convention"] != "zigbee2mqtt" {
			t.Errorf("%+v", d)
		}
		want := `DeviceEvent[{"device":"hall","area":"north","event":"action","channel":null,"value":"single","ts":946684800000,"topic":"zigbee2mqtt/north/hall"}]`
		if got := events(w.hub.of("area:north", eventMoment)); got != want {
			t.Errorf(" got %s\nwant %s", got, want)
		}
		if s := w.pump.Stats(); s.Moments != 1 {
			t.Errorf("%+v", s)
		}
		w.close()
	})
}

// TestAButtonIsHeard: a sensor that says nothing but what happens is there when
// something does, and a retained copy of that is old news.
func TestAButtonIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		b.retained["zigbee2mqtt/bell"] = area.Message{Topic: "zigbee2mqtt/bell", Payload: []byte(`{"action":"single"}`), Retain: true}
		w := newWorld(t, b)
		w.publish(t, "tele/wall/LWT", "Offline")
		w.publish(t, "zigbee2mqtt/button", `{"action":"single"}`)
		synctest.Wait()
		if d, _ := w.reg.Device("button"); d.LastSeen == nil || d.Presence != area.Online {
			t.Errorf("button: %s", encode(d))
		}
		if d, ok := w.reg.Device("bell"); ok && (d.LastSeen != nil || d.Presence != area.PresenceUnknown) {
			t.Errorf("bell: %s", encode(d))
		}
		w.publish(t, "stat/wall/RESULT", `{"Button1":{"Action":"SINGLE"}}`)
		synctest.Wait()
		if d, _ := w.reg.Device("wall"); d.LastSeen == nil || d.Presence != area.Offline {
			t.Errorf("wall: %s", encode(d))
		}
		w.close()
	})
}

func TestAnnouncementExplainsWhatCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		w.publish(t, "zigbee2mqtt/hall", `{"temperature":21.5}`)
		w.publish(t, "zigbee2mqtt/hall/availability", "online")
		synctest.Wait()
		if got := w.sensors(); !slices.Equal(got, []area.DeviceID{"hall"}) {
			t.Fatalf("before: %q", got)
		}
		const config = `{"state_topic":"zigbee2mqtt/hall","availability_topic":"zigbee2mqtt/hall/availability","device_class":"temperature","value_template":"{{ value_json.temperature }}","device":{"identifiers":["0x01"],"name":"Hall"}}`
		w.publish(t, "homeassistant/sensor/0x01/temperature/config", config)
		synctest.Wait()
		if got := w.sensors(); !slices.Equal(got, []area.DeviceID{"0x01"}) {
			t.Fatalf("after: %q", got)
		}
		d, _ := w.reg.Device("0x01")
		if d.Name != "Hall" || d.Presence != area.Online || len(d.Readings) != 1 || d.Readings[0].Quality != area.Stale || d.LastSeen != nil {
			t.Errorf("%+v", d)
		}
		w.publish(t, "zigbee2mqtt/hall", `{"temperature":22.5}`)
		w.publish(t, "homeassistant/sensor/0x01/temperature/config", config) // as after each birth of Home Assistant
		synctest.Wait()
		if d, _ := w.reg.Device("0x01"); len(d.Readings) != 1 || d.Readings[0].Quality != area.Good || d.Readings[0].Value != 22.5 {
			t.Errorf("announced again: %+v", d)
		}
		w.publish(t, "homeassistant/sensor/0x01/temperature/config", "")
		synctest.Wait()
		if got := w.sensors(); len(got) != 0 {
			t.Errorf("taken away: %q", got)
		}
		w.close()
	})
}
