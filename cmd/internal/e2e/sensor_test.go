package e2e

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

type readings struct{ Items []area.Reading }

// TestSensor: what mosquitto_pub publishes is a reading for everybody who looks.
func TestSensor(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.publish("home/north/hall/temperature", "21.5")
	got, _ := w.reading(0, func(area.Reading) bool { return true })
	unit := "°C"
	want := area.Reading{Device: "hall", Area: "north", Metric: "temperature", Value: 21.5, Unit: &unit, Quality: area.Good, TS: got.TS, Topic: "home/north/hall/temperature"}
	check := func(who string, r area.Reading) {
		t.Helper()
		if r.Unit == nil || *r.Unit != unit || r.TS == 0 {
			t.Errorf("%s: %+v has no unit or time", who, r)
		}
		r.Unit = want.Unit // the same word at another address
		same(t, who, r, want)
	}
	check("the watcher's reading", got)
	var list readings
	h.get("/readings?area=north", &list)
	if len(list.Items) != 1 {
		t.Fatalf("%d readings, want 1", len(list.Items))
	}
	check("REST's reading", list.Items[0])
	var d area.Device
	h.get("/devices/hall", &d)
	if d.Kind != "sensor" || d.Area != "north" || len(d.Readings) != 1 {
		t.Errorf("the sensor is %+v", d)
	}
	var sensors struct{ Items []area.Device }
	h.get("/sensors?area=north", &sensors)
	if len(sensors.Items) != 1 || sensors.Items[0].ID != "hall" {
		t.Errorf("sensors of north: %+v", sensors.Items)
	}
	var course struct {
		Items []struct {
			Device, Metric string
			Points         [][2]float64
		}
	}
	h.get("/readings?device=hall&step=1m", &course)
	if len(course.Items) != 1 || len(course.Items[0].Points) != 1 || course.Items[0].Points[0][1] != 21.5 {
		t.Errorf("the course is %+v, want one mean of 21.5", course.Items)
	}
	// The watcher of another area is told nothing of it.
	south := h.connect()
	south.call("JoinArea", "south")
	south.call("JoinGroup", "barrier")
	s := h.sender()
	s.publish("home/north/hall/temperature", "22")
	south.barrier(s)
	if slices.ContainsFunc(south.told.since(0), func(e told) bool { return e.event == "Reading" }) {
		t.Errorf("the watcher of south was told %s", brief(south.told.since(0)))
	}
}

// TestRetainedReading: who comes late learns from the hub what came live, and
// from the broker what it kept.
func TestRetainedReading(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.publish("home/north/hall/temperature", "19", "-r")
	live, _ := w.reading(0, func(area.Reading) bool { return true })
	same(t, "quality of what came live", live.Quality, area.Good)
	var list readings
	h.get("/readings?device=hall", &list)
	same(t, "quality for who comes late", list.Items[0].Quality, area.Good)
	late := h.subscribe("-t", "home/#", "-F", "%r %t %p")
	late.message(0, "1 home/north/hall/temperature", exactly("19"))
}

// TestManyReadings: readings of one sensor stay in order, and none is invented.
func TestManyReadings(t *testing.T) {
	t.Parallel()
	const n = 200
	h := start(t)
	w := h.watch()
	pub := run(t, tool(t, "mosquitto_pub", mosquittoClients), "-h", "127.0.0.1", "-p", port(t, h.ready.MQTT), "-q", "1", "-l", "-t", "home/north/counter/count")
	for i := range n {
		if _, err := pub.stdin.Write([]byte(strconv.Itoa(i) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	_ = pub.stdin.Close()
	same(t, "exit code of mosquitto_pub", pub.wait(), 0)
	w.reading(0, func(r area.Reading) bool { return r.Value == float64(n-1) })
	last := -1.0
	for _, e := range w.told.since(0) {
		var r area.Reading
		if e.event != "Reading" || !e.read(&r) {
			continue
		}
		v, ok := r.Value.(float64)
		if !ok || v <= last {
			t.Fatalf("reading %v came after %v", r.Value, last)
		}
		last = v
	}
}

// oddConfig announces a sensor with a template that the hub does not understand.
const oddConfig = `{"state_topic":"odd/state","device_class":"temperature","unit_of_measurement":"°C","value_template":"{{ value | regex_replace('a', '') }}","device":{"ids":["odd"],"sa":"North Wing"}}`

// TestStrangeTemplate: of a template that is not understood the raw value is shown,
// and what was not understood is named, to REST and to who asks tacet, until the
// sensor announces another.
func TestStrangeTemplate(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.publish("homeassistant/sensor/odd/config", oddConfig, "-r")
	h.publish("odd/state", "a 7 b")
	w.reading(0, func(r area.Reading) bool { return r.Device == "odd" && r.Value == "a 7 b" && r.Quality == area.Bad })
	var d area.Device
	h.get("/devices/odd", &d)
	if what := d.Attributes["not_understood"]; !strings.HasPrefix(what, "odd: ") || !strings.Contains(what, "regex_replace") || d.Area != "north" {
		t.Errorf("the sensor is %+v", d)
	}
	out, errs, code := h.tacet("sensor", "show", "odd", "--url", h.ready.HTTP)
	if code != 0 || !strings.Contains(out, "not understood  odd: ") || !strings.Contains(out, "regex_replace") || !strings.Contains(out, "temperature/odd a 7 b °C (bad) at ") {
		t.Errorf("sensor show exits %d, prints\n%s\nand complains %q", code, out, errs)
	}
	h.publish("homeassistant/sensor/odd/config", strings.Replace(oddConfig, "regex_replace('a', '')", "float", 1), "-r")
	h.publish("odd/state", "7")
	w.reading(0, func(r area.Reading) bool { return r.Device == "odd" && r.Value == 7.0 && r.Quality == area.Good })
	d = area.Device{}
	h.get("/devices/odd", &d)
	if what, there := d.Attributes["not_understood"]; there {
		t.Errorf("what is understood now is %q", what)
	}
}
