package conf

import (
	"strings"
	"testing"
)

func TestPerNode(t *testing.T) {
	const redis = "redis: {url: \"redis://x\"}\n"
	for name, c := range map[string]struct{ text, fault, warning string }{
		"several nodes": {redis + "areas: [{id: a, on_ledger_loss: per_node}, {id: b}]", "", "areas[0].on_ledger_loss: while the server of the nodes is away one voice is kept per node, not in the area: devices at two nodes may sound at once"},
		"stop":          {redis + "areas: [{id: a, on_ledger_loss: stop}]", "", ""},
		"one node":      {"areas: [{id: a, on_ledger_loss: per_node}]", "", "areas[0].on_ledger_loss: per_node has no effect without redis.url: there is one node"},
		"strict":        {"areas: [{id: a, mode: strict, on_ledger_loss: per_node}]", "per_node does not go with mode strict, which promises that nobody sounds beside another", ""},
		"local":         {"areas: [{id: a, topology: local, on_ledger_loss: per_node}]", "per_node does not go with topology local: what leads the area there goes on without the hub", ""},
		"outside broker": {"mqtt: {external: {url: \"mqtt://x\"}}\nareas: [{id: a, on_ledger_loss: per_node}]",
			"per_node does not go with mqtt.external.url: each node would grant to all devices of the broker", ""},
		"another word": {"areas: [{id: a, on_ledger_loss: go}]", `"go" is none of stop, per_node`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			is, err := load(t, c.text, Flags{})
			switch {
			case c.fault != "":
				if err == nil || !strings.HasSuffix(err.Error(), "areas[0].on_ledger_loss: "+c.fault) {
					t.Errorf("got %v, want %s", err, c.fault)
				}
			case err != nil:
				t.Error(err)
			case c.warning == "" && len(is.Warnings) > 0, c.warning != "" && (len(is.Warnings) != 1 || !strings.HasSuffix(is.Warnings[0], c.warning)):
				t.Errorf("warnings %q, want %q", is.Warnings, c.warning)
			}
		})
	}
}
