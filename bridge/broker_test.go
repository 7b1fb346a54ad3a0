package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// The tests of this file have a real broker, and real clients on it.

func TestSensorToWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		sensor := b.Dial(t, "sensor")
		sensor.Publish("home/south/yard/co2", 1, true, "400").Wait()
		synctest.Wait() // the broker acknowledges before it tells its subscribers
		w := newWorld(t, b, mapping.Rule{Topic: "meters/{device}", Format: mapping.JSON, Fields: map[string]string{"p": "power"}})
		sensor.Publish("home/north/hall/temperature", 1, false, "21.5").Wait()
		sensor.Publish("meters/m1", 1, false, `{"p":"7","q":8}`).Wait()
		synctest.Wait()
		for group, want := range map[string]string{
			"area:south":      "co2 400 stale",
			"area:north":      "temperature 21.5 good",
			"area:unassigned": "power 7 good",
		} {
			list := w.hub.of(group, eventReading)
			if len(list) != 1 {
				t.Errorf("%s got %d readings, want 1", group, len(list))
				continue
			}
			var r []area.Reading
			must(t, json.Unmarshal([]byte(list[0].args), &r))
			if got := fmt.Sprintln(r[0].Metric, r[0].Value, r[0].Quality); got != want+"\n" {
				t.Errorf("%s got %s, want %s", group, got, want)
			}
		}
		// A reconnected bridge hears the retained value again: still no sign of life.
		time.Sleep(time.Minute)
		w.close()
		if d, _ := w.reg.Device("yard"); d.LastSeen != nil || d.Presence != area.PresenceUnknown {
			t.Errorf("yard was never heard live: %s", encode(d))
		}
		items, _, err := w.pump.Topics(t.Context(), "home/#")
		must(t, err)
		if len(items) != 2 || items[0].Retained || !items[1].Retained {
			t.Errorf("topics: %s", encode(items))
		}
	})
}

func TestMirrorOnARealBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		w := newWorld(t, b)
		client := b.Dial(t, "client")
		heard := brokertest.Subscribe(t, client, "tacet/group/#", 1)
		const n = 50
		for i := range n {
			client.Publish("tacet/group/g/FromTopic", 1, false, fmt.Sprint(i)).Wait()
			w.pump.GroupSent(area.FromHub+":c1", "g", "FromHub", fmt.Appendf(nil, "[%d]", i))
			w.pump.GroupSent("client", "g", "FromHub", []byte("[0]")) // not the hub
		}
		synctest.Wait()
		group := w.hub.of("g", "")
		if len(group) != n {
			t.Errorf("the group got %d events, want %d", len(group), n)
		}
		for i, s := range group {
			if s.event != "FromTopic" || s.args != fmt.Sprintf("[%d]", i) {
				t.Errorf("event %d: %s%s", i, s.event, s.args)
			}
		}
		next := map[string]int{}
		for _, m := range heard.Take(t, heard.Len()) {
			want := map[string]string{"tacet/group/g/FromTopic": "%d", "tacet/group/g/FromHub": "[%d]"}[m.Topic]
			if string(m.Payload) != fmt.Sprintf(want, next[m.Topic]) {
				t.Errorf("%s: %s after %d", m.Topic, m.Payload, next[m.Topic])
			}
			next[m.Topic]++
		}
		if next["tacet/group/g/FromTopic"] != n || next["tacet/group/g/FromHub"] != n || w.pump.Stats().MirrorRefused != n {
			t.Errorf("topics got %v, %d refused; want %d each", next, w.pump.Stats().MirrorRefused, n)
		}
	})
}

func TestBusyOfARealBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		busy := area.IdleBusy("north", 3, 1, time.Second)
		say := func() {
			must(t, b.Publish(context.Background(), area.Message{Topic: area.BusyTopic("north"), Payload: busy.Encode(), QoS: 1, Retain: true, From: area.FromArbiter}))
		}
		say()
		w := newWorld(t, b)
		if a, _ := w.view.Area("north"); string(a.Busy) != string(busy.Encode()) {
			t.Errorf("retained busy: %s", encode(a))
		}
		busy.Rev, busy.State = 2, area.Held
		say()
		synctest.Wait()
		if a, _ := w.view.Area("north"); string(a.Busy) != string(busy.Encode()) || a.Seq != 2 {
			t.Errorf("live busy: %s", encode(a))
		}
		// An outside client cannot say it.
		b.Dial(t, "liar").Publish(area.BusyTopic("north"), 1, true, area.IdleBusy("north", 9, 9, time.Second).Encode()).Wait()
		synctest.Wait()
		if a, _ := w.view.Area("north"); a.Seq != 2 || w.view.Speaking() != 1 {
			t.Errorf("a lie reached the view: %s", encode(a))
		}
	})
}
