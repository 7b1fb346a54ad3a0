package hubd

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/peers"
	"github.com/tacet-hub/tacet/broker/store"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestAlertsReachTheOperators: a client that is refused for want of room, as a
// browser hears of it.
func TestAlertsReachTheOperators(t *testing.T) {
	_, r, _ := started(t, func(c *conf.Config) { c.Limits.MQTTConnectionsPerAddr = 1 })
	got := alertsOf(t, r)
	url := "tcp://" + strings.TrimPrefix(r.MQTT, "mqtt://")
	paho(t, url, "gate-1", nil)
	second := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("gate-2").SetConnectRetry(false))
	if token := second.Connect(); !token.WaitTimeout(time.Minute) || token.Error() == nil {
		t.Fatal("a second client was let in")
	}
	select {
	case a := <-got:
		if a.Level != bridge.AlertWarning || !strings.Contains(a.Message, "gate-2 was refused, from 127.0.0.1") || !strings.Contains(a.Message, "mqtt_connections_per_address") {
			t.Errorf("alert %+v", a)
		}
	case <-time.After(time.Minute):
		t.Fatal("no alert came")
	}
}

// TestAilingDeviceReachesTheOperators: a device that says it is in safe mode, by
// MQTT.
func TestAilingDeviceReachesTheOperators(t *testing.T) {
	_, r, _ := started(t, func(*conf.Config) {})
	got := alertsOf(t, r)
	c := paho(t, "tcp://"+strings.TrimPrefix(r.MQTT, "mqtt://"), "gate-1", nil)
	s := area.Status{V: 1, Online: true, Boot: 1, Conn: 1, MID: "m", Area: "north", Health: &area.Health{BootReason: area.BootCrash, SafeMode: true}}
	c.Publish(area.StatusTopic("gate-1"), 1, true, s.Encode())
	for _, want := range []string{"device gate-1 crashed", "device gate-1 is in safe mode"} {
		select {
		case a := <-got:
			if !strings.Contains(a.Message, want) {
				t.Errorf("alert %+v, want %s", a, want)
			}
		case <-time.After(time.Minute):
			t.Fatal("no alert came")
		}
	}
}

// alertsOf is what a browser hears of alerts.
func alertsOf(t *testing.T, r Ready) <-chan bridge.Alert {
	t.Helper()
	got := make(chan bridge.Alert, 10)
	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{On: map[string]func([]json.RawMessage){
		"ReceiveSystemAlert": func(args []json.RawMessage) {
			var a bridge.Alert
			if len(args) != 1 || json.Unmarshal(args[0], &a) != nil {
				t.Errorf("an alert of %s", args)
			}
			got <- a
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Invoke(t.Context(), "JoinGroup", "alerts", nil); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestEveryAlertHasItsWords: none has a hole, or a client's name in the place
// of an address.
func TestEveryAlertHasItsWords(t *testing.T) {
	for kind, reasons := range doors {
		for reason := range reasons {
			c, ok := causeOf(broker.Notice{Kind: kind, Reason: reason, Client: "CLIENT", Addr: "192.0.2.7:4711", N: 1})
			if !ok || strings.Contains(c.Message, "%!") || strings.Contains(c.Message, "4711") {
				t.Errorf("%s %s: %+v", kind, reason, c)
			}
			if strings.Contains(c.Message, "from CLIENT") || kind == broker.RefusedConnect && !strings.Contains(c.Message, "192.0.2.7") {
				t.Errorf("%s %s: %q", kind, reason, c.Message)
			}
		}
	}
	for _, n := range []broker.Notice{{Kind: broker.Connected}, {Kind: broker.Ended, Reason: broker.Lost}, {Kind: broker.RefusedConnect, Reason: "silent"}} {
		if c, ok := causeOf(n); ok {
			t.Errorf("%+v makes %+v", n, c)
		}
	}
}

func TestTroubleIsToldOnceAndItsEnd(t *testing.T) {
	full, fine := trouble{store: store.Stats{DiskFull: 1}}, trouble{}
	late := trouble{certs: CertStats{Left: time.Hour}}
	for name, c := range map[string]struct {
		was, is trouble
		want    string
	}{
		"nothing":           {fine, fine, ""},
		"disk full":         {fine, full, "error disk"},
		"still full":        {full, full, ""},
		"space again":       {full, fine, "info disk free"},
		"failed for good":   {full, trouble{store: store.Stats{Dead: 1}}, "error store"},
		"damaged":           {fine, trouble{store: store.Stats{Corrupt: 2}}, "error corrupt"},
		"certificate wrong": {fine, trouble{certs: CertStats{Faults: 1}}, "error certificate"},
		"update failed":     {fine, trouble{rollouts: rollout.Stats{Failed: 1, Confirmed: 3}}, "error update"},
		"updates go well":   {trouble{rollouts: rollout.Stats{Failed: 1}}, trouble{rollouts: rollout.Stats{Failed: 1, Confirmed: 4}}, ""},
		"release damaged":   {fine, trouble{updates: updateStats{Damaged: 1}}, "error release"},
		"area split":        {fine, trouble{arbiter: arbiter.ServiceStats{MirrorCounts: arbiter.MirrorCounts{Splits: 1, Silent: 0}}}, "error split"},
		"leader silent":     {fine, trouble{arbiter: arbiter.ServiceStats{MirrorCounts: arbiter.MirrorCounts{Silent: 1}}}, "warning silent leader"},
		"one name twice":    {fine, trouble{arbiter: arbiter.ServiceStats{Counts: arbiter.Counts{Replaced: 1}}}, "warning name"},
		"no index left":     {fine, trouble{peers: peers.Stats{Refused: 1}}, "warning members"},
		"old broker":        {fine, trouble{old: 1}, "error old broker"},
		"certificate ends":  {fine, late, "warning certificate ends"},
		"still does":        {late, late, ""},
		"handed on":         {fine, trouble{vacant: 1}, ""},
		"nobody has it":     {trouble{vacant: 1}, trouble{vacant: 2}, "error vacant"},
		"still nobody":      {trouble{vacant: 2}, trouble{vacant: 2}, ""},
		"somebody has it":   {trouble{vacant: 2}, fine, "info vacant no more"},
	} {
		var got []string
		for _, cause := range c.is.since(c.was) {
			got = append(got, cause.Level+" "+cause.Key)
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}
