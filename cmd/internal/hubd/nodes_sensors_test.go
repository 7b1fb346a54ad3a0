package hubd

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// sayer publishes at a node.
func sayer(t *testing.T, r Ready, id string) func(topic, payload string) {
	t.Helper()
	c := paho(t, strings.Replace(r.MQTT, "mqtt", "tcp", 1), id, nil)
	return func(topic, payload string) {
		t.Helper()
		if token := c.Publish(topic, 1, false, payload); !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
}

// hasAll tells of a text whether it has all of these.
func hasAll(texts ...string) func(string) bool {
	return func(body string) bool {
		for _, text := range texts {
			if !strings.Contains(body, text) {
				return false
			}
		}
		return true
	}
}

// TestSensorsOfTwoNodes: what a sensor says at one node is the same at both, as long as
// that lives and after it was lost; what is removed at one is gone at both; and the
// course of its readings is that of all nodes, or says whose part is missing.
func TestSensorsOfTwoNodes(t *testing.T) {
	const readings = "/api/v1/readings"
	s := startServer(t)
	dir2 := t.TempDir()
	_, r1, stop1 := started(t, s.node("hub-1", t.TempDir()))
	_, r2, stop2 := started(t, s.node("hub-2", dir2))
	at1, at2 := sayer(t, r1, "one"), sayer(t, r2, "two")
	course := readings + "?step=24h&from=" + url.QueryEscape(time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano)) + "&device=hall"
	same := func(what, path string, is func(string) bool) {
		t.Helper()
		eventually(t, what, func() bool {
			_, a := get(t, r1.HTTP+path)
			_, b := get(t, r2.HTTP+path)
			return a == b && is(a)
		})
	}
	at1("home/north/hall/temperature", "21.5")
	at2("home/north/hall/humidity", "40")
	for _, v := range []int{30, 31, 32} {
		at1("home/north/attic/temperature", fmt.Sprint(v))
	}
	same("the readings are the same", readings, hasAll(`"value":21.5`, `"value":40`, `"value":32`, `"quality":"good"`))
	same("the course is that of both", course, func(b string) bool { return strings.Count(b, `"points":[[`) == 2 && !strings.Contains(b, "missing") })
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/devices/attic", hasAll(`"node":"hub-1"`, `"presence":"online"`))
	}
	mustWrite(t, "DELETE", r2.HTTP+"/api/v1/devices/attic", "")
	for _, r := range []Ready{r1, r2} {
		eventually(t, "the attic is gone at "+r.Node, func() bool { code, _ := get(t, r.HTTP+"/api/v1/devices/attic"); return code == http.StatusNotFound })
	}

	at1("home/north/hall/temperature", "22.5")
	until(t, r2.HTTP+readings, hasAll(`"value":22.5`))
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	until(t, r2.HTTP+readings, hasAll(`"value":22.5`, `"quality":"stale"`, `"value":40`))
	until(t, r2.HTTP+course, hasAll(`"missing":["hub-1"]`, `"points":[[`))
	if err := stop2(); err != nil {
		t.Fatal(err)
	}
	_, r2, _ = started(t, s.node("hub-2", dir2))
	until(t, r2.HTTP+readings, hasAll(`"value":22.5`, `"value":40`)) // after a start alone
}
