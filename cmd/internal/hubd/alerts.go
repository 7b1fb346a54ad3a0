package hubd

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/peers"
	"github.com/tacet-hub/tacet/broker/store"
)

// troubleLook is how often the store and the certificates are asked.
const troubleLook = 5 * time.Second

// watchDoors tells operators of what the broker's notices mean.
func (h *Hub) watchDoors(ctx context.Context) error {
	if h.broker == nil { // the doors are another's
		<-ctx.Done()
		return nil
	}
	w := h.broker.Watch(0)
	defer w.Close()
	for {
		n, err := w.Next(ctx)
		if err != nil {
			return nil // ctx has ended
		}
		if c, ok := causeOf(n); ok {
			h.alerts.Raise(c, n.N)
		}
	}
}

// said says what a kind of notice and a reason mean: who it is counted for, and
// the words, in which the client and its host come in turn.
type said struct {
	level string
	by    func(broker.Notice) string
	words string
	least int
}

func byClient(n broker.Notice) string { return n.Client }
func byHost(n broker.Notice) string   { return hostOf(n.Addr) }
func byNobody(broker.Notice) string   { return "" }

// flapping is how often in a minute a client id may be taken over.
const flapping = 5

// doors are the notices that an operator has to know of. What is left out, such
// as connections that say nothing, is everyday noise; the metrics count it.
var doors = map[broker.Kind]map[string]said{
	broker.RefusedConnect: {
		"password":    {bridge.AlertWarning, byHost, "%s was refused: wrong name, password, token or certificate, from %s", 0},
		"source":      {bridge.AlertWarning, byHost, "too many wrong passwords (the last for %s): %s has to wait", 0},
		"owner":       {bridge.AlertWarning, byHost, "client id %s was claimed by somebody else, from %s", 0},
		"auth":        {bridge.AlertError, byNobody, "it could not be found out who %s is, from %s", 0},
		"will":        {bridge.AlertWarning, byClient, "%s was refused, its last will is where it may not write; from %s", 0},
		"connections": {bridge.AlertError, byNobody, "the broker is full (limits.mqtt_connections): %s was refused, from %s", 0},
		"address":     {bridge.AlertWarning, byHost, "too many clients from one address (limits.mqtt_connections_per_address): %s was refused, from %s", 0},
		"sessions":    {bridge.AlertError, byNobody, "too many sessions are kept (limits.mqtt_sessions): %s was refused, from %s", 0},
		"half_open":   {bridge.AlertWarning, byNobody, "connections that do not come to their point were closed to make room; the last was %.0sfrom %s", 0},
		"tls":         {bridge.AlertWarning, byHost, "a TLS handshake failed, %.0sfrom %s", 0},
		"proxy":       {bridge.AlertError, byHost, "a load balancer sends no PROXY header, or a wrong one, %.0sfrom %s", 0},
	},
	broker.RefusedMessage: {
		"retained":       {bridge.AlertWarning, byClient, "%s may not retain more (limits.retained_per_device, retained_bytes_per_device)", 0},
		"retained_total": {bridge.AlertError, byNobody, "no more may be retained (limits.retained_bytes): a message of %s was refused", 0},
		"rights":         {bridge.AlertWarning, byClient, "%s publishes where it may not", 0},
	},
	broker.RefusedFilter: {
		"subscriptions": {bridge.AlertWarning, byClient, "%s may not subscribe to more (limits.subscriptions_per_device)", 0},
		"rights":        {bridge.AlertWarning, byClient, "%s subscribes to what it may not read", 0},
	},
	broker.Dropped: {
		"slow":        {bridge.AlertWarning, byClient, "%s does not read what it has subscribed to, and was cut", 0},
		"pending":     {bridge.AlertWarning, byClient, "%s missed messages: it does not keep up", 0},
		"queue":       {bridge.AlertWarning, byClient, "%s missed messages: its queue is full (limits.session_queue)", 0},
		"queue_bytes": {bridge.AlertWarning, byClient, "%s missed messages: its queue is full (limits.session_queue_bytes)", 0},
		"packet_ids":  {bridge.AlertWarning, byClient, "%s missed messages: it acknowledges none", 0},
	},
	broker.Braked:   {"rate": {bridge.AlertInfo, byClient, "%s sends faster than limits.messages_per_second, and is read more slowly", 0}},
	broker.TookOver: {"": {bridge.AlertWarning, byClient, "two devices seem to share the client id %s: each takes the connection from the other", flapping}},
}

func causeOf(n broker.Notice) (bridge.Cause, bool) {
	s, ok := doors[n.Kind][n.Reason]
	if !ok {
		return bridge.Cause{}, false
	}
	args := []any{cmp.Or(n.Client, "a client")}
	if n.Kind == broker.RefusedConnect {
		args = append(args, hostOf(n.Addr))
	}
	return bridge.Cause{
		Key:   string(n.Kind) + " " + n.Reason + " " + s.by(n),
		Alert: bridge.Alert{Level: s.level, Message: fmt.Sprintf(s.words, args...)},
		Least: s.least,
	}, true
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// watchTrouble tells operators of what is wrong with the disk, the certificates,
// the updates of devices, the leaders of areas and the nodes that have them, and of
// its end.
func (h *Hub) watchTrouble(ctx context.Context) error {
	tick := time.NewTicker(troubleLook)
	defer tick.Stop()
	var was trouble
	for {
		is := trouble{h.store.Stats(), h.certs.stats(), h.rollouts.Stats(), h.updates.stats(), h.arbiter.Stats(), h.peers.Stats(), h.oldBrokers(), 0}
		is.vacant = is.vacancy(was)
		for _, c := range is.since(was) {
			h.alerts.Raise(c, 1)
		}
		was = is
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// trouble is what those parts say of themselves.
type trouble struct {
	store    store.Stats
	certs    CertStats
	rollouts rollout.Stats
	updates  updateStats
	arbiter  arbiter.ServiceStats
	peers    peers.Stats
	old      int // outside brokers that speak no MQTT 5
	vacant   int // looks in a row at which an area was nobody's that had been some node's
}

// vacantLooks is how long an area is nobody's before that is told: a hand-over in
// order takes a second.
const vacantLooks = 2

func (t trouble) vacancy(was trouble) int {
	if t.arbiter.Vacant == 0 || t.arbiter.Vacated == 0 {
		return 0
	}
	return min(was.vacant+1, vacantLooks)
}

func (t trouble) since(was trouble) (out []bridge.Cause) {
	tell := func(when bool, key, level, message string) {
		if when {
			out = append(out, bridge.Cause{Key: key, Alert: bridge.Alert{Level: level, Message: message}})
		}
	}
	tell(t.store.DiskFull > was.store.DiskFull, "disk", bridge.AlertError, "the disk is full: what has to be stored is refused until there is space")
	tell(t.store.DiskFull < was.store.DiskFull && t.store.Dead == 0, "disk free", bridge.AlertInfo, "there is space on the disk again, everything is taken")
	tell(t.store.Dead > was.store.Dead, "store", bridge.AlertError, "the store has failed for good: nothing is granted or acknowledged until the hub is started again")
	tell(t.store.Corrupt > was.store.Corrupt, "corrupt", bridge.AlertError, "damaged records were found on the disk and set aside; the log names them")
	tell(t.certs.Faults > was.certs.Faults, "certificate", bridge.AlertError, "a certificate cannot be used, the old one stays; the log says why")
	tell(t.rollouts.Failed > was.rollouts.Failed, "update", bridge.AlertError, "a device could not be updated, and the rollout has ended; \"tacet update rollouts\" shows it")
	tell(t.updates.Damaged > was.updates.Damaged, "release", bridge.AlertError, "an update that is published cannot be served, it is damaged; the log says why")
	tell(t.arbiter.Splits > was.arbiter.Splits, "split", bridge.AlertError, "an area is split: its leader cannot be reached, the hub arbitrates what it reaches, and two may sound at once; the log names it")
	tell(t.arbiter.Silent > was.arbiter.Silent, "silent leader", bridge.AlertWarning, "the leader of an area is silent: nothing is granted to the hub's own devices there; the log names it")
	tell(t.arbiter.Replaced > was.arbiter.Replaced, "name", bridge.AlertWarning, "two machines answer to the name of one device: one of them is to get a name of its own; the log names it")
	tell(t.peers.Refused > was.peers.Refused, "members", bridge.AlertWarning, "a device cannot be a member of its area: all indices are given")
	silent := func(t trouble) bool { return t.vacant == vacantLooks }
	tell(silent(t) && !silent(was), "vacant", bridge.AlertError, "no node of the hub has an area: nothing is granted there until one could take it; the log names it")
	tell(silent(was) && t.vacant == 0, "vacant no more", bridge.AlertInfo, "every area is some node's again")
	tell(t.arbiter.Parted > was.arbiter.Parted, "per node", bridge.AlertError, "the server of the nodes is away, and an area is granted per node, as it is set to: devices of two nodes may sound at once; the log names it")
	tell(was.arbiter.PerNode > 0 && t.arbiter.PerNode == 0, "per node no more", bridge.AlertInfo, "no area is granted per node any more")
	tell(t.old > was.old, "old broker", bridge.AlertError, "an outside broker speaks no MQTT 5, which the hub needs; the log names it")
	soon := func(c CertStats) bool { return c.Left != 0 && c.Left < certWarn }
	tell(soon(t.certs) && !soon(was.certs), "certificate ends", bridge.AlertWarning, "a certificate ends in less than 14 days")
	return out
}
