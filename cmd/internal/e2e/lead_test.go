package e2e

import (
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// says publishes again and again over one connection, until it is told to stop.
func (h *hub) says(topic, payload string) (stop func()) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), tool(h.t, "mosquitto_pub", mosquittoClients), "-h", "127.0.0.1", "-p", port(h.t, h.ready.MQTT), "-q", "1", "-t", topic, "-l")
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer in.Close()
		each := time.NewTicker(300 * time.Millisecond)
		defer each.Stop()
		for {
			if _, err := io.WriteString(in, payload+"\n"); err != nil {
				return
			}
			select {
			case <-each.C:
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		_ = cmd.Wait() // it ends with its input
	}
}

// TestWhoLeadsIsShown: the first screen says which device leads an area, how its
// members stand and what it owes, by the keyboard and to everybody; then that it is
// silent, and that the area is split. REST says the same.
func TestWhoLeadsIsShown(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *conf.Config) { c.Areas[0].Topology = area.TopologyLocal })
	member := func(id, peers string) {
		h.publish("tacet/device/"+id+"/status", `{"v":1,"online":true,"boot":1,"conn":1,"mid":"m-`+id+`","area":"north","name":"`+id+`","peers":{"rev":0,"addr":"127.0.0.1:7946","net":"127.0.0.0/8"},"health":{"peers":`+peers+`}}`, "-r")
	}
	member("pi-1", `{"follows":"leader","who":"pi-1","term":80,"members":2,"alive":2,"hub":true}`)
	member("pi-2", `{"follows":"via","who":"pi-1","members":2,"alive":2,"hub":true}`)
	north := func() (a area.Area) {
		h.get("/areas/north", &a)
		return a
	}
	h.until("both are members", func() bool { a := north(); return a.Peers != nil && len(a.Peers.Members) == 2 })
	stop := h.says("tacet/device/pi-1/trunk/up", `{"v":1,"op":"lead","area":"north","term":80,"life":"l1","addr":"10.0.0.5:1883","web":"http://:8080","alive_ms":6250,"owes":3}`)
	var l area.Lead
	h.until("it leads", func() bool {
		a := north()
		if a.Leader != nil {
			l = *a.Leader
		}
		return a.Leader != nil && l.Host == "pi-1"
	})
	if l.Mode != area.LeaderLocal || l.Term != 80 || l.Addr != "10.0.0.5:1883" || l.Owes != 3 || !l.Live || l.Since == nil {
		t.Errorf("REST says %+v", l)
	}
	p := h.browse("lead.mjs")
	same(t, "the card", p.step("led").Text, "pi-1 leads")
	for _, look := range []string{"light, 1440 px", "dark, 390 px"} {
		v := p.judged(look)
		for _, want := range []string{"pi-1, a device of the area", "10.0.0.5:1883", "80", "3 reports or records", "pi-2", "hub, through pi-1", "heard"} {
			if !strings.Contains(v.Text, want) {
				t.Errorf("%s: the window lacks %q: %s", look, want, v.Text)
			}
		}
	}
	stop()
	same(t, "the card", p.step("silent").Text, "pi-1 is silent")
	if s := p.step("split"); !strings.Contains(s.Text, "Split since") || !strings.Contains(s.Text, "pi-1, by term 80") || !strings.Contains(s.Text, "by term 128") {
		t.Errorf("of the split it says %q", s.Text)
	}
	if c := p.step("end").Complaints; len(c) > 0 {
		t.Errorf("the browser complained: %s", brief(c))
	}
	same(t, "exit code", p.wait(), 0)
	if s := north().Leader.Split; s == nil || s.Over != nil || s.Leader != "pi-1" || s.Term != 80 || s.Own != 128 {
		t.Errorf("REST says of the split %+v", s)
	}
}
