package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestSensorSaysWhyItIsAway: a sensor that the broker lost, one that took its leave
// with the same word, and one that sleeps are told apart, by what mosquitto_sub and
// mosquitto_pub do and nothing else.
func TestSensorSaysWhyItIsAway(t *testing.T) {
	t.Parallel()
	h := start(t)
	is := func(id string, p area.Presence, why string) {
		t.Helper()
		h.until(id+" is "+string(p)+" for "+why, func() bool {
			var d area.Device
			a := h.call("GET", "/devices/"+id, nil)
			return a.status == http.StatusOK && json.Unmarshal(a.body, &d) == nil && d.Presence == p && d.Reason != nil && *d.Reason == why
		})
	}
	const lwt = "tele/plug/LWT"
	lost := h.subscribe("-i", "plug", "-t", "cmnd/plug/#", "--will-topic", lwt, "--will-payload", "Offline", "--will-retain", "--will-qos", "1")
	h.publish(lwt, "Online", "-r")
	is("plug", area.Online, area.PresentConnected)
	lost.signal(syscall.SIGKILL)
	is("plug", area.Offline, area.PresentWill)
	h.publish(strings.Replace(lwt, "plug", "lamp", 1), "Online", "-r")
	is("lamp", area.Online, area.PresentConnected)
	h.publish(strings.Replace(lwt, "plug", "lamp", 1), "Offline", "-r")
	is("lamp", area.Offline, area.PresentGoodbye)
	h.publish("homie/5/door/$description", `{"homie":"5.0","version":1,"nodes":{}}`, "-r")
	h.publish("homie/5/door/$state", "sleeping", "-r")
	is("door", area.Asleep, area.PresentAsleep)
	h.publish("homie/5/door/$state", "lost", "-r")
	is("door", area.Offline, area.PresentWill)
}
