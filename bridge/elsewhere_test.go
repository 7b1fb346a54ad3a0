package bridge

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// TestMessagesOfOtherNodes: what follows from a message is done by the node where it
// came in alone, but what a sensor announces of itself counts at every node; the
// readings of other nodes are shown as their registry tells them; and old news goes to
// the connections of this node alone.
func TestMessagesOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		must(t, b.Publish(t.Context(), area.Message{Topic: "plant/gate/door", Payload: []byte("open"), Retain: true}))
		must(t, b.Publish(t.Context(), area.Message{Topic: "plant/yard/door", Payload: []byte("open"), Retain: true, Node: "b"}))
		w := newWorld(t, newBus())
		rules, err := mapping.Compile([]mapping.Rule{{Topic: "plant/{device}/door", Group: "doors", Event: "Door"}})
		must(t, err)
		hub, here := newWatcher(), newWatcher()
		p, err := New(Config{}, Parts{Bus: b, Hub: hub, Here: here, Mappings: rules, Readings: w.reg, Areas: w.site, Now: time.Now}, quietLog())
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { must(t, p.Run(ctx)) })
		defer run.Wait()
		defer stop()
		synctest.Wait()
		if got, near := events(hub.of("doors", "")), events(here.of("doors", "")); got != "" || near != `Door[{"topic":"plant/gate/door","payload":"open","retained":true,"captures":{"device":"gate"}}]` {
			t.Errorf("of old news all nodes are told %q, this one %q", got, near)
		}
		say := func(node, topic, payload string) {
			t.Helper()
			must(t, b.Publish(t.Context(), area.Message{Topic: topic, Payload: []byte(payload), Node: node}))
			synctest.Wait()
		}
		say("b", "plant/gate/door", "shut")
		say("b", "home/north/hall/temperature", "20")
		say("b", "zigbee2mqtt/button", `{"action":"single"}`)
		if got := events(hub.of("doors", "")) + events(hub.of("area:north", eventReading)) + events(hub.of(All, eventMoment)); got != "" || len(w.reg.Devices()) != 0 {
			t.Errorf("of what came in at b is told %q, and known %+v", got, w.reg.Devices())
		}
		say("b", "homeassistant/sensor/boiler/config", `{"unique_id":"boiler","name":"Boiler","state_topic":"any/boiler","unit_of_measurement":"°C","device_class":"temperature","device":{"identifiers":["boiler"],"suggested_area":"north"}}`)
		say("", "any/boiler", "60")
		if list := w.reg.Devices(); len(list) != 1 || len(list[0].Readings) != 1 || list[0].Readings[0].Value != 60.0 {
			t.Errorf("what was announced at b does not count here: %+v", list)
		}
		say("", "plant/gate/door", "open")
		if got := events(hub.of("doors", "")); got != `Door[{"topic":"plant/gate/door","payload":"open","retained":false,"captures":{"device":"gate"}}]` {
			t.Errorf("of what came in here all nodes are told %q", got)
		}

		before := len(hub.of("area:south", eventReading))
		for i := range 3 {
			p.Show(area.Reading{Device: "far", Area: "south", Metric: "co2", Value: float64(i)})
		}
		synctest.Wait()
		if list := events(hub.of("area:south", eventReading)[before:]); !strings.Contains(list, `"device":"far","area":"south","metric":"co2","channel":null,"value":2`) {
			t.Errorf("readings of other nodes are shown as %s", list)
		}
		stop()
		run.Wait()
		for i := range mostElsewhere + 3 {
			p.Show(area.Reading{Device: area.DeviceID(fmt.Sprint(i)), Metric: "co2"})
		}
		if s := p.Stats(); s.ShownDropped != 3 {
			t.Errorf("%d readings found no place, want 3", s.ShownDropped)
		}
	})
}
