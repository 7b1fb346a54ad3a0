package arbiter

import (
	"maps"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// Nodes that all hear one broker, somebody else's. What devices say over it each of them
// hears, and what one publishes comes to the devices of all. So the node that has an area
// takes what they say there itself, and alone publishes what is the area's: the others
// hand on what they are told beside the broker, and show what it says to themselves.

// oneBroker tells whether all nodes hear the same broker.
func (s *Service) oneBroker() bool { return s.cfg.Nodes != nil && s.cfg.Nodes.Speaks != nil }

// speaks tells whether this node answers what is no area's to answer: where all hear the
// same one of them does.
func (s *Service) speaks() bool { return !s.oneBroker() || s.cfg.Nodes.Speaks() }

// overheard is what every node has heard itself.
type overheard struct{ Event }

// overBroker is what a device says over the broker.
func (s *Service) overBroker(ev Event) Event {
	if s.oneBroker() {
		return overheard{ev}
	}
	return ev
}

// overhear takes in what the owner has heard as well: he acts on it. While there is
// none, one of the nodes tells devices to wait.
func (o *outpost) overhear(ev Event, speaks bool, now area.Instant) []Action {
	o.out, o.now = o.out[:0], now
	switch ev := ev.(type) {
	case Set:
		o.holds.set(ev, o.live())
	case Heard:
		if speaks && !o.live() {
			o.waits(ev)
		}
	}
	return o.out
}

// mute tells whether what is the area's is another node's to publish.
func (d *desk) mute() bool { return d.nodes != nil && !d.nodes.own && d.s.oneBroker() }

// shownOtherwise is a state of the area that another than this node has published.
type shownOtherwise struct{ payload []byte }

func (shownOtherwise) event() {}

// heardBusy has the owner of an area show its state again where somebody else has shown
// another: a node that had the area before, and could not reach the broker until now.
func (s *Service) heardBusy(m area.Message) {
	if m.Node == "" && m.From == area.FromArbiter {
		return
	}
	s.mu.Lock()
	d := s.desks[area.ParseTopic(m.Topic).Area]
	s.mu.Unlock()
	if d != nil {
		d.box.hear(shownOtherwise{slices.Clone(m.Payload)})
	}
}

// correct publishes the area's state again, unless what was shown is it, or is of a later
// term: then another node has the area, and this one will hear of that.
func (d *desk) correct(ev shownOtherwise) {
	is, has := d.shown()
	was, err := area.ParseBusy(ev.payload)
	if !d.nodes.own || !has || err == nil && (was.Term > is.Term || was.Term == is.Term && was.Rev >= is.Rev) {
		return
	}
	if d.core != nil {
		d.put(area.LeaderTopic(d.name), d.ourself(is).Encode(), true)
	} else if d.mirror != nil {
		d.put(area.LeaderTopic(d.name), d.mirror.addr.Encode(), true)
	}
	d.showMirrored(is)
}

// reaching is whether this node reaches the broker that all hear.
type reaching struct{ ok bool }

func (reaching) event() {}

// Reach says whether this node reaches the broker that all hear, or as well as any other
// does: else it gives up the areas that it has, and takes none. It may be said again and
// again; it does not block.
func (s *Service) Reach(ok bool) {
	if !s.oneBroker() {
		return
	}
	s.mu.Lock()
	desks := slices.Collect(maps.Values(s.desks))
	s.mu.Unlock()
	for _, d := range desks {
		d.box.put(reaching{ok})
	}
}

// reach gives the area up, in order, where nobody hears this node say anything of it, and
// wants it again when somebody does. What was granted is in the record.
func (d *desk) reach(ok bool, reporter Reporter) {
	n := d.nodes
	if n.deaf.Swap(!ok) == !ok {
		return
	}
	if ok {
		d.mu.Lock()
		cfg := d.set
		d.mu.Unlock()
		d.refollow(cfg, 0)
		return
	}
	if n.own {
		d.s.log.Warn("area given up, the broker is not reached", "area", d.name, "node", n.post.self)
		d.stepCore(Close{}, reporter)
	}
	box := d.box
	d.s.cfg.Nodes.Reigns.GiveUp(d.name, func(err error) { box.put(gaveUp{err}) })
	if n.own {
		d.lose()
	}
}

// sharedLink is the connection of a player, where all nodes call it the same; empty:
// it is one node's own.
func sharedLink(link string) string {
	if strings.HasPrefix(link, "mqtt/") {
		return link
	}
	return ""
}
