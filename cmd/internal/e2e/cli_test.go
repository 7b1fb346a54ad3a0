package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// tacet runs the operator's tool to its end.
func (h *hub) tacet(args ...string) (out, errs string, code int) {
	h.t.Helper()
	p := run(h.t, tacet(h.t), args...)
	code = p.wait()
	return strings.Join(p.out.since(0), "\n"), strings.Join(p.errs.since(0), "\n"), code
}

// TestSay: an announcement from the command line to its end.
func TestSay(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.classic("gate-1", "north", "1", func() {})
	out, errs, code := h.tacet("say", "--url", h.ready.HTTP, "--area", "north", "hello", "--wait")
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 2 || len(strings.Fields(lines[0])) != 3 {
		t.Fatalf("say --wait exits %d, prints %q, and complains %q", code, out, errs)
	}
	id := strings.Fields(lines[0])[0]
	if last := strings.Fields(lines[1]); last[0] != id || last[1] != "played" {
		t.Errorf("the last line is %q", lines[1])
	}
	o := h.order(area.WorkID(id))
	if *o.Message != "hello" || o.State != area.OrderPlayed {
		t.Errorf("the order is %+v", o)
	}

	// The hub is found by its data directory; the order is REST's.
	out, errs, code = h.tacet("say", "--data", h.data, "--location", "1", "--priority", "high", "--chime", "two-tone", "--json", "--wait", "hello")
	if code != 0 || errs != "" {
		t.Fatalf("say --json --wait exits %d and complains %q", code, errs)
	}
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	rest := h.call("GET", "/orders/"+string(o.ID), nil)
	same(t, "the order", out, string(rest.body))
	if o.Priority != area.High || o.Chime != "two-tone" || o.State != area.OrderPlayed {
		t.Errorf("the order is %+v", o)
	}

	// What nobody plays ends, and say tells how.
	p := run(t, tacet(t), "say", "--url", h.ready.HTTP, "--area", "south", "--wait", "nobody there")
	first, _ := p.line(0, "the order", func(string) bool { return true })
	h.call("DELETE", "/orders/"+strings.Fields(first)[0], nil).want(t, 200, nil)
	same(t, "exit code of what was cancelled", p.wait(), 1)
}

// TestExitCodes: each way to fail has its code, and says why in one line.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	h := start(t)
	_, empty := seat(t)
	nobody := "http://" + empty
	for name, c := range map[string]struct {
		args []string
		code int
		errs string
	}{
		"no such area":   {[]string{"say", "--url", h.ready.HTTP, "--area", "west", "x"}, 4, "tacet: unknown_area: "},
		"no such order":  {[]string{"order", "show", "--url", h.ready.HTTP, "o-9"}, 4, "tacet: not_found: "},
		"no such chime":  {[]string{"say", "--url", h.ready.HTTP, "--area", "north", "--chime", "tuba", "x"}, 4, "tacet: invalid: "},
		"nobody there":   {[]string{"say", "--url", nobody, "--area", "north", "x"}, 3, "tacet: unreachable: "},
		"nobody to list": {[]string{"area", "list", "--url", nobody}, 3, "tacet: unreachable: "},
		"no target":      {[]string{"say", "--url", h.ready.HTTP, "x"}, 2, "tacet: usage: "},
		"no such flag":   {[]string{"say", "--colour", "red"}, 2, "tacet: usage: "},
		"no such verb":   {[]string{"sing"}, 2, "tacet: usage: "},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := h.tacet(c.args...)
			if code != c.code || out != "" || !strings.HasPrefix(errs, c.errs) || strings.Contains(errs, "\n") {
				t.Errorf("exits %d, prints %q, complains %q; want %d and %q…", code, out, errs, c.code, c.errs)
			}
		})
	}
}

// TestCommandLists: the lists of the command line are REST's.
func TestCommandLists(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.classic("gate-1", "north", "1", func() {})
	h.call("POST", "/schedules", `{"id":"mine","cron":"0 4 * * *","work":{"to":{"area":"north"},"message":"hello"}}`).want(t, 201, nil)
	id := string(h.announce(`{"to":{"area":"south"},"message":"waits"}`))
	w.device("gate-1", "presence", `"online"`)
	w.order(area.WorkID(id), func(o area.Order) bool { return o.State == area.OrderWaiting })
	for command, path := range map[string]string{"area list": "/areas", "device list": "/devices", "schedule list": "/schedules", "order show " + id: "/orders/" + id, "queue": "/areas", "queue --area south": "/areas/south"} {
		before, out, after := "", "", "other"
		h.until("nothing changes while it is listed", func() bool {
			before = string(h.call("GET", path, nil).body)
			var errs string
			var code int
			if out, errs, code = h.tacet(append(strings.Fields(command), "--json", "--url", h.ready.HTTP)...); code != 0 || errs != "" {
				t.Errorf("%s --json exits %d: %s", command, code, errs)
			}
			after = string(h.call("GET", path, nil).body)
			return before == after
		})
		same(t, command+" --json", out, after)
	}
	for command, want := range map[string][]string{
		"area list":     {"ID NAME STATE", "north North Wing idle", "south South Wing idle"},
		"device list":   {"ID NAME KIND", "gate-1 gate-1 player classic north 1 online"},
		"schedule list": {"ID RULE", "mine 0 4 * * *"},
		"queue":         {"AREA ORDER STATE", "south " + id},
	} {
		out, _, code := h.tacet(append(strings.Fields(command), "--url", h.ready.HTTP)...)
		lines := strings.Split(out, "\n")
		if code != 0 || len(lines) != len(want) {
			t.Errorf("%s exits %d and prints\n%s", command, code, out)
			continue
		}
		for i, begin := range want {
			if got := strings.Join(strings.Fields(lines[i]), " "); !strings.HasPrefix(got, begin) {
				t.Errorf("%s: line %d is %q, want %q…", command, i+1, got, begin)
			}
		}
	}
	if _, errs, code := h.tacet("stop", "--area", "south", "--url", h.ready.HTTP); code != 0 {
		t.Errorf("stop exits %d: %s", code, errs)
	}
	if o := w.ended(area.WorkID(id)); o.State != area.OrderCancelled || *o.Reason != area.EndStop {
		t.Errorf("what stop has cancelled ended %s", story(o))
	}
}
