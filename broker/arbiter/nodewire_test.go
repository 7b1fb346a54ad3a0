package arbiter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Load implements Ledger.
func (n *simNode) Load(a area.Name) ([]byte, error) { return n.disk[a], nil }

// Commit implements Ledger.
func (n *simNode) Commit(a area.Name, rec []byte, done func(error)) {
	w, life := n.w, n.life
	n.inDisk = max(n.inDisk, w.now+w.rng.Int64N(5e6))
	w.in(time.Duration(n.inDisk-w.now), func() {
		if !n.up || n.life != life {
			if w.rng.IntN(2) == 0 {
				return
			}
		}
		if !w.bug.forgets {
			n.disk[a] = rec
		}
		n.do(life, func() { done(nil); n.pump() })
	})
}

// Connections implements Links.
func (n *simNode) Connections(func(uint64, string)) (cancel func()) { return func() {} }

// Disconnect implements Links.
func (n *simNode) Disconnect(client, _ string) bool {
	for _, d := range n.w.devices {
		if string(d.id) == client && d.at == n {
			n.w.in(0, func() { d.lost(n) })
		}
	}
	return true
}

// Subscribe implements area.Bus; what devices say is handed in.
func (n *simNode) Subscribe(string, func(area.Message)) (cancel func(), err error) {
	return func() {}, nil
}

// Publish implements area.Bus.
func (n *simNode) Publish(_ context.Context, batch ...area.Message) error {
	for _, m := range batch {
		t := area.ParseTopic(m.Topic)
		switch t.Kind {
		case area.KindBusy:
			if b, err := area.ParseBusy(m.Payload); err == nil {
				n.w.log("%s shows %s", n.name, m.Payload)
				n.toDevices("", func(d *nodeDevice) { d.shown(b) })
			}
		case area.KindPoll:
			p, err := area.ParsePoll(m.Payload)
			if err != nil {
				panic(err)
			}
			n.toDevices("", func(d *nodeDevice) { d.polled(p) })
		case area.KindWork, area.KindAreaWork:
			o, err := area.ParseOffer(m.Payload)
			if err != nil {
				panic(err)
			}
			n.w.log("%s offers %s %s", n.name, t.Device, m.Payload)
			n.toDevices(t.Device, func(d *nodeDevice) { d.offered(o) })
		case area.KindGrant:
			a, err := area.ParseAnswer(m.Payload)
			if err != nil {
				panic(err)
			}
			n.w.log("%s says %s %s", n.name, t.Device, m.Payload)
			n.w.granted(t.Device, a)
			n.toDevices(t.Device, func(d *nodeDevice) { d.heard(a) })
		}
	}
	return nil
}

func (n *simNode) toDevices(id area.DeviceID, what func(*nodeDevice)) {
	for _, d := range n.w.devices {
		if d.at != n || id != "" && d.id != id {
			continue
		}
		link := d.link
		n.w.in(n.w.delay(), func() {
			if d.at == n && d.link == link {
				what(d)
			}
		})
	}
}

// Send implements Wire: in its order, or not at all.
func (n *simNode) Send(node string, b []byte) error {
	w := n.w
	i := slices.IndexFunc(w.nodes, func(o *simNode) bool { return o.name == node })
	if i < 0 || i == n.i {
		return fmt.Errorf("no node %s", node)
	}
	to, wait := w.nodes[i], w.delay()
	blocked := n.isCut() || to.isCut() || w.now < w.server.away || w.now < w.server.still
	switch {
	case blocked && w.rng.IntN(2) == 0, !w.calm && w.rng.IntN(50) == 0:
		return nil
	case blocked:
		wait += w.upTo(10 * time.Second)
	}
	at := max(w.now+int64(wait), n.fed[i])
	n.fed[i] = at
	w.in(time.Duration(at-w.now), func() {
		to.do(to.life, func() { to.service.Hear(n.name, b); to.pump() })
	})
	return nil
}

// Spread implements Wire.
func (n *simNode) Spread(b []byte) error {
	for _, o := range n.w.nodes {
		if o != n {
			_ = n.Send(o.name, b)
		}
	}
	return nil
}
