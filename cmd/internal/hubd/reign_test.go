package hubd

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/firmware/leader"
	"github.com/tacet-hub/tacet/firmware/leader/host"
	"github.com/tacet-hub/tacet/firmware/leader/trunk"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// aSecond renders everything into a second.
type aSecond struct{}

func (aSecond) Duration(area.OrderRequest) (time.Duration, error) { return time.Second, nil }

// alongside runs a part until the test ends.
func alongside(t *testing.T, part func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := part(ctx); err != nil {
			t.Errorf("a part ends with %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// reigns has gate-1 really lead north, with all that a device runs for that, and
// answers the address of its broker.
func reigns(t *testing.T, r Ready) (addr string, stop func()) {
	t.Helper()
	d := able(t, r, "gate-1", "")
	d.says("north", 1)
	doc := d.until(func(p area.Peers) bool { return len(p.Members) == 1 && p.Topology == area.TopologyLocal })
	silent := slog.New(slog.DiscardHandler)
	link, err := trunk.New(trunk.Config{Device: "gate-1", Uplink: uplink.Config{Hubs: []string{r.MQTT}}}, silent)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	h, err := host.New(host.Config{Device: "gate-1", Dir: t.TempDir(), Listen: "127.0.0.1:0", Web: "127.0.0.1:0"}, host.Parts{
		Link: link, Renderer: aSecond{}, Clock: func() area.Instant { return area.Instant(time.Since(start)) + 1 }, Now: time.Now, Log: silent,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	alongside(t, link.Run)
	alongside(t, h.Run)
	ready := make(chan string, 8)
	stop = alongside(t, func(ctx context.Context) error {
		return h.Lead(ctx, leader.Reign{
			Peers: doc, Term: 64, Changed: make(chan area.Peers), Rivals: make(chan uint64),
			Ready: func(addr, _ string, _ uint64) { ready <- addr }, Heard: func(uint64) {}, Document: func([]byte) {},
		})
	})
	return <-ready, stop
}

// player is a device at a broker, that takes what it is offered and plays it in no
// time.
func player(t *testing.T, mqttURL string, id area.DeviceID) {
	t.Helper()
	c := paho(t, strings.Replace(mqttURL, "mqtt", "tcp", 1), string(id), nil)
	begin := time.Now()
	tr := turn.New(turn.Config{Area: "north", Device: id, MID: "m-" + string(id), Boot: 1, Nonce: func() string { return "n" }})
	heard := brokertest.NewInbox()
	for _, topic := range []string{area.GrantTopic(id), area.WorkTopic(id), area.AreaWorkTopic("north")} {
		c.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) { heard.Put(area.Message{Topic: m.Topic(), Payload: m.Payload()}) }).Wait()
	}
	c.Publish(area.StatusTopic(id), 1, true, area.Status{Online: true, Boot: 1, Conn: 1, MID: "m-" + string(id), Area: "north"}.Encode()).Wait()
	alongside(t, func(ctx context.Context) error {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		var do func(ev turn.Event)
		do = func(ev turn.Event) {
			for _, a := range append([]turn.Action(nil), tr.Step(ev, area.Instant(time.Since(begin)))...) {
				switch a := a.(type) {
				case turn.Send:
					c.Publish(area.ClaimTopic("north", id), 1, false, a.Claim.Encode())
				case turn.Assigned:
					do(turn.Wish{Work: a.Work, Att: a.Att, Prio: area.Normal, Dur: 200 * time.Millisecond})
				case turn.Start:
					do(turn.Over{Result: area.Played})
				}
			}
		}
		do(turn.Up{})
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			for _, m := range heard.Take(t, heard.Len()) {
				if area.ParseTopic(m.Topic).Kind != area.KindGrant {
					if o, err := area.ParseOffer(m.Payload); err == nil {
						do(turn.Take{Work: o.Work, Att: o.Att})
					}
				} else if a, err := area.ParseAnswer(m.Payload); err == nil {
					do(turn.Heard{Answer: a})
				}
			}
			do(turn.Tick{})
		}
	})
}

// until asks the hub until what it answers fits.
func until(t *testing.T, url string, fits func(body string) bool) {
	t.Helper()
	var body string
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		if _, body = get(t, url); fits(body) {
			return
		}
	}
	t.Fatalf("%s still answers %s", url, body)
}

// A hub and the leader that a device runs, both as they are: orders of the hub are
// played by devices of the leader's and end once at the hub; a classic program at
// the hub has its turn beside them.
func TestAHubAndARealLeader(t *testing.T) {
	_, r, _ := started(t, func(c *conf.Config) {
		localNorth(c.Data)(c)
		c.Areas[0].Lease = time.Second
	})
	addr, stop := reigns(t, r)
	_, port, _ := net.SplitHostPort(addr) // on the address that the member told, which is not of this machine
	player(t, "mqtt://127.0.0.1:"+port, "gate-2")
	until(t, r.HTTP+"/api/v1/topics?filter=tacet/area/north/leader", func(b string) bool { return strings.Contains(b, `"gate-1"`) && strings.Contains(b, addr) })
	until(t, r.HTTP+"/api/v1/devices/gate-2", func(b string) bool { return strings.Contains(b, `"presence":"online"`) })
	for _, id := range []string{"o-1", "o-2"} {
		write(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"`+id+`","to":{"area":"north"},"message":"hello","expires":"600s"}`)
	}
	for _, id := range []string{"o-1", "o-2"} {
		until(t, r.HTTP+"/api/v1/orders/"+id, func(b string) bool {
			return strings.Contains(b, `"state":"played","reason"`) && strings.Contains(b, `"device":"gate-2"`)
		})
	}

	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "old-1", "north", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Invoke(t.Context(), "BroadcastWorkStatus", "north", true); err != nil {
		t.Fatalf("true is answered %v", err)
	}
	until(t, r.HTTP+"/api/v1/areas/north", func(b string) bool {
		var a struct{ Busy area.Busy }
		return json.Unmarshal([]byte(b), &a) == nil && a.Busy.Holder != nil && *a.Busy.Holder == "old-1" && a.Busy.Term%64 == 16
	})
	if _, err := c.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
		t.Fatal(err)
	}
	until(t, r.HTTP+"/api/v1/areas/north", func(b string) bool { return strings.Contains(b, `"state":"idle"`) })
	plays(t, r, 3)

	stop()
	until(t, r.HTTP+"/api/v1/devices/gate-2", func(b string) bool { return strings.Contains(b, `"presence":"offline"`) })
}
