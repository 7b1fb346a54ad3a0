package e2e

import (
	"os/exec"
	"strings"
)

const mosquittoClients = "mosquitto-clients"

// publish publishes one message with mosquitto_pub, which must succeed. Unless more
// says otherwise it is of QoS 2, whose second half is answered once the first is
// done: when publish returns the broker has handed the message to all who want it,
// and what is published then comes after it. A message of QoS 1 is acknowledged
// before that, and the next one comes by another connection.
func (h *hub) publish(topic, payload string, more ...string) {
	h.t.Helper()
	if out, err := h.pub(append([]string{"-q", "2", "-t", topic, "-m", payload}, more...)...); err != nil {
		h.t.Fatalf("mosquitto_pub -t %s: %v: %s", topic, err, out)
	}
}

// pub runs mosquitto_pub and answers what it said.
func (h *hub) pub(args ...string) (string, error) {
	h.t.Helper()
	pub := tool(h.t, "mosquitto_pub", mosquittoClients)
	args = append([]string{"-h", "127.0.0.1", "-p", port(h.t, h.ready.MQTT), "-q", "1"}, args...)
	out, err := exec.CommandContext(h.t.Context(), pub, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// subscribe runs mosquitto_sub until the test ends, and returns when it has
// subscribed.
func (h *hub) subscribe(args ...string) *program {
	h.t.Helper()
	sub := tool(h.t, "mosquitto_sub", mosquittoClients)
	lines := tool(h.t, "stdbuf", "coreutils") // else it keeps lines back for fuller writes
	p := run(h.t, lines, append([]string{"-oL", sub, "-h", "127.0.0.1", "-p", port(h.t, h.ready.MQTT), "-q", "1", "-d"}, args...)...)
	p.line(0, "subscription", func(s string) bool { return strings.HasPrefix(s, "Subscribed ") })
	return p
}

// message waits for a message that mosquitto_sub -v shows.
func (p *program) message(mark int, topic string, fits func(payload string) bool) (string, int) {
	p.t.Helper()
	line, after := p.line(mark, "message on "+topic, func(s string) bool {
		payload, ok := strings.CutPrefix(s, topic+" ")
		return ok && fits(payload)
	})
	return strings.TrimPrefix(line, topic+" "), after
}

func anything(string) bool { return true }

func exactly(want string) func(string) bool { return func(s string) bool { return s == want } }
