package e2e

import (
	"math"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// seen is what the browser's scripts print.
type seen struct {
	Step, Title, Quiet, Loud, Text string
	Complaints                     []string
	Look                           string
	Checked, Sideways              int
	Violations                     []string
	Cookie, Seen                   string
	Box                            box
}

// box is where an element stands on the page, in CSS pixels.
type box struct{ X, Y, Width, Height float64 }

// middle tells whether the box stands in the middle of something that wide and high.
func (b box) middle(width, height float64) bool {
	return math.Abs(2*b.X+b.Width-width) <= 2 && math.Abs(2*b.Y+b.Height-height) <= 2
}

// browse runs a script of js/ with Debian's Chromium on the dashboard.
func (h *hub) browse(name string, more ...string) *program {
	h.t.Helper()
	return script(h.t, name, append([]string{h.ready.HTTP + "/", tool(h.t, "chromium", "chromium")}, more...)...)
}

func (p *program) step(name string) seen {
	p.t.Helper()
	v, _ := heard(p, 0, name, func(s seen) bool { return s.Step == name })
	return v
}

// looks are how the dashboard is judged.
var looks = []string{"light, 1440 px", "light, 390 px", "dark, 1440 px", "dark, 390 px"}

// judged expects that axe-core found nothing wrong in a look, and that the page does not
// scroll sideways.
func (p *program) judged(look string) seen {
	p.t.Helper()
	v, _ := heard(p, 0, look, func(s seen) bool { return s.Look == look && s.Checked > 0 })
	if len(v.Violations) > 0 || v.Sideways > 0 {
		p.t.Errorf("%s: %d rules hold, violated are %s; %d px sideways", look, v.Checked, brief(v.Violations), v.Sideways)
	}
	return v
}

// TestDashboard: an operator announces by the form, sees it speak and end, and
// sees what a sensor says.
func TestDashboard(t *testing.T) {
	t.Parallel()
	h := start(t)
	spoken := make(chan struct{})
	h.classic("gate-1", "north", "1", func() { <-spoken })
	p := h.browse("announce.mjs")
	same(t, "title", p.step("open").Title, "Tacet")
	if b := p.step("gate").Box; b.Height < 18 || b.Height > 30 || b.Width < 34 || b.Width > 150 {
		t.Errorf("the sign of a gate is no sign: %+v", b)
	}
	s := p.step("speaking")
	if s.Quiet == s.Loud {
		t.Errorf("a gate that speaks looks as one that does not: %s", s.Loud)
	}
	close(spoken)
	p.step("played")
	h.publish("home/north/hall/temperature", "21.5")
	if s := p.step("reading"); !strings.Contains(s.Text, "21.5") || !strings.Contains(s.Text, "°C") {
		t.Errorf("the north card shows %q", s.Text)
	}
	if c := p.step("end").Complaints; len(c) > 0 {
		t.Errorf("the browser complained: %s", brief(c))
	}
	same(t, "exit code", p.wait(), 0)
}

// TestInbox: a sensor that nobody has heard of is new on the first screen, and one
// choice puts it into an area, for good.
func TestInbox(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.publish("tele/plug/SENSOR", `{"ENERGY":{"Power":60}}`)
	p := h.browse("inbox.mjs")
	if s := p.step("new"); !strings.Contains(s.Text, "60 W") {
		t.Errorf("the inbox shows %q", s.Text)
	}
	s := h.sender() // one after the other
	s.publish("homeassistant/sensor/odd/config", oddConfig)
	s.publish("odd/state", "a 7 b")
	s.publish("zigbee2mqtt/north/remote", `{"action":"single"}`)
	if s := p.step("strange"); !strings.Contains(s.Text, "regex_replace") || !strings.Contains(s.Text, "a 7 b") {
		t.Errorf("of a template that is not understood the page says %q", s.Text)
	}
	if c := p.step("end").Complaints; len(c) > 0 {
		t.Errorf("the browser complained: %s", brief(c))
	}
	same(t, "exit code", p.wait(), 0)
	var d area.Device
	h.get("/devices/plug", &d)
	same(t, "area", d.Area, "north")
}

// TestDashboardForAll: axe-core finds nothing wrong, in light and dark, wide and
// narrow, while something is going on.
func TestDashboardForAll(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	spoken := make(chan struct{})
	h.classic("gate-1", "north", "1", func() { <-spoken })
	defer close(spoken)
	h.publish("tacet/area/north/submit", `{"v":1,"work":"w-1","location":"1","dur_ms":600000,"body":{"message":"Boarding at gate 1"}}`)
	h.announce(`{"to":{"area":"north"},"message":"Waits for the other","priority":"high"}`)
	h.announce(`{"to":{"location":"3"},"message":"Waits for a device"}`)
	h.publish("home/north/hall/temperature", "21.5")
	h.publish("home/north/hall/humidity", "wet")
	h.publish("zigbee2mqtt/window", `{"contact":false,"battery":80,"action":"opened"}`)
	w.order("w-1", func(o area.Order) bool { return o.State == area.OrderPlaying })
	p := h.browse("axe.mjs")
	for _, look := range looks {
		if v := p.judged(look); len(v.Complaints) > 0 {
			t.Errorf("%s: the browser complained: %s", look, brief(v.Complaints))
		}
	}
	same(t, "exit code", p.wait(), 0)
}
