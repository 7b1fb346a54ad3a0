package arbiter

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// Nodes joins the arbiters of several hub nodes to one: see the package comment.
type Nodes struct {
	Hub    string // name of all of them together, as devices repeat it in "from"
	Reigns Reigns
	Wire   Wire
	// Speaks is set where all nodes hear one broker that is somebody else's, and tells
	// whether this one answers what is no area's to answer, of which one of them is to. It
	// must not block. nil: each node has a broker of its own.
	Speaks func() bool
}

// Reigns is the ledger of areas; [reign.Keeper] is one. It must run before the
// service does, and until that has ended.
type Reigns interface {
	Follow(a area.Name, ttl time.Duration, term uint64, told func(reign.State))
	Drop(a area.Name)
	Commit(a area.Name, c reign.Commit, done func(error))
	GiveUp(a area.Name, done func(error))
}

// Wire carries words between the nodes; what comes goes to [Service.Hear]. It may
// lose some: everything that matters is said again. Its methods must not block.
type Wire interface {
	Send(node string, b []byte) error
	Spread(b []byte) error // to every other node
}

// hereEvery is how often every node says who is live there, beside at each change.
const hereEvery = 10 * time.Second

// hereRest is the least between two lists of one node.
const hereRest = 100 * time.Millisecond

// nodes is what the service knows of the other nodes.
type nodes struct {
	wake chan struct{} // holds one signal: who is live here has changed, or is to be said again

	mu    sync.Mutex
	live  []string
	anew  bool                                  // everything is to be said again
	heard map[string]map[area.Name][]herePlayer // who is live at each
}

func newNodes() *nodes {
	return &nodes{wake: make(chan struct{}, 1), heard: map[string]map[area.Name][]herePlayer{}}
}

func (n *nodes) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// name is the name of this arbiter: where there are several nodes, of all together,
// since one at a time has an area, and devices need not tell them apart.
func (s *Service) name() string {
	if s.cfg.Nodes != nil {
		return s.cfg.Nodes.Hub
	}
	return s.cfg.Node
}

// nodeLink is how the roster calls the connections of another node.
func nodeLink(node string) string { return nodePrefix + node }

const nodePrefix = "node/"

// nodeOfLink is the node whose connection it is; empty: ours.
func nodeOfLink(link string) string {
	if node, ok := strings.CutPrefix(link, nodePrefix); ok {
		return node
	}
	return ""
}

// Owned lists the areas that this node arbitrates, sorted.
func (s *Service) Owned() (list []area.Name) {
	s.mu.Lock()
	desks := maps.Clone(s.desks)
	s.mu.Unlock()
	for name, d := range desks {
		if d.own() {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Reign is the number of the reign of this node over an area, where there are several;
// 0: it has none. No two are equal.
func (s *Service) Reign(a area.Name) uint64 {
	s.mu.Lock()
	d := s.desks[a]
	s.mu.Unlock()
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reign
}

// SendsTo tells whether this node, of several, is the one that publishes what goes to
// a device: it is connected here, or to a leader of an area that is this node's. Of
// one that is not connected nobody knows.
func (s *Service) SendsTo(d area.DeviceID) bool {
	link := s.roster.linkOf(d)
	if sharedLink(link) != "" && !s.speaks() {
		return false
	}
	if !isTrunkLink(link) {
		return nodeOfLink(link) == ""
	}
	p, _ := s.roster.Player(d)
	return s.Reign(p.Area) != 0
}

// Hear takes in a word of another node. It does not block: over an area's bound it
// is dropped and counted.
func (s *Service) Hear(from string, b []byte) {
	if s.nodes == nil {
		return
	}
	s.count.words.Add(1)
	w, err := parseWord(b)
	if err != nil {
		s.count.malformed.Add(1)
		s.log.Warn("word of another node dropped", "node", from, "n", len(b), "err", err)
		return
	}
	switch {
	case w.Here != nil:
		s.hearHere(from, w.Area, *w.Here)
	case w.Cut != "":
		s.disconnect(w.Cut)
	case w.Led != nil:
		s.roster.led(*w.Led)
	default:
		s.mu.Lock()
		d := s.desks[w.Area]
		s.mu.Unlock()
		if d != nil {
			d.box.hear(told{from, w})
		}
	}
}

// NodesLive says which nodes live, this one included. Who was live at one that is
// gone is not any more. It does not block.
func (s *Service) NodesLive(names []string) {
	if s.nodes == nil {
		return
	}
	n := s.nodes
	n.mu.Lock()
	var gone []string
	for node := range n.heard {
		if !slices.Contains(names, node) {
			gone = append(gone, node)
			delete(n.heard, node)
		}
	}
	n.live, n.anew = slices.Clone(names), true
	n.mu.Unlock()
	n.signal()
	for _, node := range gone {
		s.log.Warn("node is gone, and who was connected to it", "node", node)
		s.roster.Lost(nodeLink(node), area.PresentTimeout)
	}
	s.mu.Lock()
	desks := slices.Collect(maps.Values(s.desks))
	s.mu.Unlock()
	for _, d := range desks {
		d.box.put(nodesLive{slices.Clone(names)})
	}
}

// Missed says that words of a node were lost: everything is said again.
func (s *Service) Missed(string) {
	if s.nodes == nil {
		return
	}
	s.nodes.mu.Lock()
	s.nodes.anew = true
	s.nodes.mu.Unlock()
	s.nodes.signal()
}

// hearHere takes in who is live at another node.
func (s *Service) hearHere(from string, in area.Name, list []herePlayer) {
	n := s.nodes
	n.mu.Lock()
	if n.heard[from] == nil {
		n.heard[from] = map[area.Name][]herePlayer{}
	}
	before := n.heard[from][in]
	n.heard[from][in] = list
	n.mu.Unlock()
	changed, gone := playersOf(list, before)
	for _, p := range changed {
		s.roster.registerFrom(from, in, p)
	}
	for _, d := range gone {
		s.roster.lostFrom(from, in, d)
	}
}

// tellNodes says who is live here, at each change and now and again, until ctx ends.
func (s *Service) tellNodes(ctx context.Context) {
	defer s.roster.Watch(s.nodes.signal)()
	every := time.NewTicker(hereEvery)
	defer every.Stop()
	said := map[area.Name][]herePlayer{}
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			all = true
		case <-s.nodes.wake:
			all = s.nodes.again()
		}
		said = s.sayHere(said, all)
		rest := time.NewTimer(hereRest)
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

func (n *nodes) again() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	anew := n.anew
	n.anew = false
	return anew
}

// sayHere spreads the lists that have changed, or all.
func (s *Service) sayHere(said map[area.Name][]herePlayer, all bool) map[area.Name][]herePlayer {
	now := s.roster.here()
	for a := range said {
		if _, is := now[a]; !is {
			now[a] = []herePlayer{}
		}
	}
	for _, a := range slices.Sorted(maps.Keys(now)) {
		list := now[a]
		if !s.oneBroker() {
			for i := range list {
				list[i].Link = ""
			}
		}
		changed, gone := playersOf(list, said[a])
		if all || len(changed)+len(gone) > 0 {
			s.wire("", word{Area: a, Here: &list})
		}
		if len(list) == 0 && !all {
			delete(now, a)
		}
	}
	return now
}

// wire sends a word to a node; to all where none is named.
func (s *Service) wire(node string, w word) {
	w.Life = s.cfg.Life
	var err error
	if node == "" {
		err = s.cfg.Nodes.Wire.Spread(w.encode())
	} else {
		err = s.cfg.Nodes.Wire.Send(node, w.encode())
	}
	if err != nil {
		s.count.unsent.Add(1)
		s.log.Debug("word to another node not sent", "area", w.Area, "node", node, "err", err)
	}
}
