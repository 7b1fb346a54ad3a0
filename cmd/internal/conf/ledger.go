package conf

import (
	"strconv"

	"github.com/tacet-hub/tacet/broker/area"
)

// What an area may be set to for the time in which the server of several nodes is
// away.
const (
	Stop    = "stop"     // nothing is granted
	PerNode = "per_node" // each node grants to its own devices
)

// ledgerLoss checks what goes with granting per node.
func (k *check) ledgerLoss() {
	for i, a := range k.Areas {
		key := "areas[" + strconv.Itoa(i) + "].on_ledger_loss"
		k.oneOf(key, a.OnLedgerLoss, Stop, PerNode)
		if a.OnLedgerLoss != PerNode {
			continue
		}
		k.that(a.Mode != area.ModeStrict, key, "per_node does not go with mode strict, which promises that nobody sounds beside another")
		k.that(a.Topology != area.TopologyLocal, key, "per_node does not go with topology local: what leads the area there goes on without the hub")
		k.that(k.MQTT.External.URL == "", key, "per_node does not go with mqtt.external.url: each node would grant to all devices of the broker")
	}
}

// givenUp warns of what granting per node gives up.
func (c *Config) givenUp() {
	for i, a := range c.Areas {
		if a.OnLedgerLoss != PerNode {
			continue
		}
		f := c.Faultf("areas["+strconv.Itoa(i)+"].on_ledger_loss", "while the server of the nodes is away one voice is kept per node, not in the area: devices at two nodes may sound at once")
		if c.Redis.URL == "" {
			f = c.Faultf("areas["+strconv.Itoa(i)+"].on_ledger_loss", "per_node has no effect without redis.url: there is one node")
		}
		c.Warnings = append(c.Warnings, f.String())
	}
}
