package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// TestRequests: REST answers over MQTT, to mosquitto_pub on the topic of the
// transaction, and to mosquitto_rr by MQTT 5.
func TestRequests(t *testing.T) {
	t.Parallel()
	h := start(t)
	sub := h.subscribe("-v", "-t", "tacet/response/#")
	h.publish("tacet/request/areas/get", `{"transaction":"t1","id":"north"}`)
	text, _ := sub.message(0, "tacet/response/t1", anything)
	var got struct {
		Transaction string
		Status      int
		Body        struct{ ID, Name string }
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Transaction != "t1" || got.Status != 200 || got.Body.Name != "North Wing" {
		t.Errorf("answered %s, %v", text, err)
	}
	h.publish("tacet/request/orders/create", `{"transaction":"t2","body":{"id":"o-7","to":{"area":"north"},"message":"hello"}}`)
	sub.message(0, "tacet/response/t2", func(s string) bool { return strings.Contains(s, `"status":202,"body":{"id":"o-7"`) })
	same(t, "the order", string(h.order("o-7").ID), "o-7")
	h.publish("tacet/request/areas/get", `{"transaction":"t3","id":"west"}`)
	sub.message(0, "tacet/response/t3", func(s string) bool {
		return strings.Contains(s, `"status":404`) && strings.Contains(s, `"error":{"code":"not_found"`)
	})

	rr := tool(t, "mosquitto_rr", mosquittoClients)
	out, err := exec.CommandContext(t.Context(), rr, "-V", "5", "-h", "127.0.0.1", "-p", port(t, h.ready.MQTT), "-W", "90",
		"-t", "tacet/request/areas/list", "-e", "my/answers", "-D", "publish", "correlation-data", "c1", "-F", "%D %p", "-m", `{}`).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), `c1 {"transaction":"","status":200,"body":{"items":[{"id":"north"`) {
		t.Errorf("mosquitto_rr: %v: %s", err, out)
	}
}
