package arbiter_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/broker/reign"
	"github.com/tacet-hub/tacet/broker/turn"
)

// reignLasts is how long a reign over north lasts without a word of the ledger, and
// settles how long its arbiter settles.
const (
	reignLasts = 5250 * time.Millisecond
	settles    = 1250 * time.Millisecond
)

func perNodeAreas() []arbiter.AreaConfig {
	list := slices.Clone(siteAreas)
	list[0].PerNode = true
	return list
}

// outage takes the ledger, and the wire between the nodes, away.
func (s *site) outage(away bool) {
	s.ledger.Away(away)
	s.losing(map[bool]float64{true: 1}[away])
}

func perNode(n *siteNode) bool { return n.service.Stats().PerNode == 1 }

// wantsAlways has a device want to sound again whenever it does not.
func wantsAlways(devices ...*device) {
	for _, d := range devices {
		if d.turn.Phase() == turn.Idle {
			d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		}
	}
}

// TestPerNode: while the ledger is away each node of an area that is set to per_node
// grants to its own devices, one at a time; before that what may be held has run out,
// and so has it when they join again.
func TestPerNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.areas = perNodeAreas()
		_, a, b := s.pair()
		defer s.close()
		d1, d2, d3 := a.quick(t, "gate-1", "1", 1), b.quick(t, "gate-2", "2", 1), b.quick(t, "gate-3", "", 1)
		all := []*device{d1, d2, d3}
		s.pass(time.Second, all...)
		d2.step(turn.Wish{Prio: area.Normal, Dur: 9 * time.Second})
		s.until("gate-2 plays", func() bool { return d2.turn.Phase() == turn.Playing }, all...)
		before := d2.turn.Token()

		s.outage(true)
		gone := time.Now()
		s.voices = 2
		plays := func(list ...*device) bool {
			wantsAlways(all...)
			return !slices.ContainsFunc(list, func(d *device) bool { return d.turn.Phase() != turn.Playing })
		}
		s.until("gate-1 plays", func() bool { return plays(d1) }, all...)
		if after := time.Since(gone); after < reignLasts-1200*time.Millisecond+settles { // the last renewal may be a second old
			t.Errorf("gate-1 plays %v after the ledger was gone", after)
		}
		s.until("both nodes' devices play", func() bool { return plays(d1) && (plays(d2) || plays(d3)) }, all...)
		for _, n := range []*siteNode{a, b} {
			st, _ := n.roster.Area("north")
			if l := st.Leader; !perNode(n) || n.service.Stats().Parted != 1 || l == nil || l.Alone == nil || l.Host != n.name || !l.Live {
				t.Errorf("%s: %+v, led by %+v", n.name, n.service.Stats(), l)
			}
		}
		for _, d := range all {
			if d.turn.Phase() == turn.Playing && d.turn.Token() <= before {
				t.Errorf("%s plays by token %d, after %d", d.id, d.turn.Token(), before)
			}
		}
		s.pass(20*time.Second, all...) // they go on
		last := max(a.busy(t, "north").Term, b.busy(t, "north").Term)

		s.outage(false)
		back := time.Now()
		s.until("all are silent", func() bool { return !plays(d1) && !plays(d2) && !plays(d3) }, all...)
		s.voices = 1
		s.until("the nodes have joined", func() bool { return !perNode(a) && !perNode(b) }, all...)
		s.until("a node has north", func() bool { return owner(a) != owner(b) && plays(d1) }, all...)
		if took := time.Since(back); took > 2*reignLasts+settles {
			t.Errorf("gate-1 plays %v after the ledger is back", took)
		}
		if d1.turn.Token().Term() <= last {
			t.Errorf("by token %d, though the nodes had the term %d", d1.turn.Token(), last)
		}
		for _, d := range []*device{d2, d3} {
			s.until("everybody's turn comes", func() bool {
				for _, o := range all {
					if o != d && o.turn.Phase() == turn.Playing {
						o.step(turn.Over{Result: area.Played})
					}
				}
				return plays(d)
			}, all...)
		}
		for _, n := range []*siteNode{a, b} {
			if got := n.declared(); !slices.Equal(got, []proof.Kind{proof.PerNode, proof.Joined}) {
				t.Errorf("%s has recorded %q", n.name, got)
			}
		}
	})
}

// declared is what a node has recorded of going on by itself.
func (n *siteNode) declared() (out []proof.Kind) {
	n.wit.mu.Lock()
	defer n.wit.mu.Unlock()
	for _, r := range n.wit.notes {
		if r.Is == proof.PerNode || r.Is == proof.Joined {
			out = append(out, r.Is)
		}
	}
	return out
}

// TestNotPerNode: an area that is not set to it stays silent.
func TestNotPerNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		d1, d2 := a.quick(t, "gate-1", "1", 1), b.quick(t, "gate-2", "2", 1)
		s.pass(time.Second, d1, d2)
		s.outage(true)
		s.pass(reignLasts, d1, d2)
		for range 300 {
			wantsAlways(d1, d2)
			s.pass(100*time.Millisecond, d1, d2)
			if d1.turn.Phase() == turn.Playing || d2.turn.Phase() == turn.Playing || perNode(a) || perNode(b) {
				t.Fatal("something was granted")
			}
		}
	})
}

// TestANodeThatIsCutOff goes on with its own devices while the others have the area;
// an owner that is heard is not parted from though the ledger is away.
func TestANodeThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.areas = perNodeAreas()
		_, a, b := s.pair()
		defer s.close()
		d1, d2 := a.quick(t, "gate-1", "1", 1), b.quick(t, "gate-2", "2", 1)
		s.pass(time.Second, d1, d2)
		b.lane.away(true)
		s.pass(4*reignLasts, d1, d2)
		if perNode(a) || perNode(b) || !owner(a) {
			t.Fatal("hub-2 hears who has north, and has parted")
		}
		d2.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		s.until("gate-2 plays by hub-1's word", func() bool { return d2.turn.Phase() == turn.Playing }, d1, d2)
		d2.step(turn.Over{Result: area.Played})

		s.losing(1)
		s.voices = 2
		s.until("both play", func() bool {
			wantsAlways(d1, d2)
			return perNode(b) && !perNode(a) && d1.turn.Phase() == turn.Playing && d2.turn.Phase() == turn.Playing
		}, d1, d2)
		s.losing(0) // the ledger is still away
		s.until("hub-2 is one of the others", func() bool { return !perNode(b) }, d1, d2)
		s.voices = 1
		d1.step(turn.Over{Result: area.Played})
		s.until("gate-2 plays by hub-1's word", func() bool { wantsAlways(d2); return d2.turn.Phase() == turn.Playing }, d1, d2)
		if !owner(a) || d2.turn.Token().Term() != a.busy(t, "north").Term {
			t.Errorf("gate-2 plays by token %d, hub-1 shows %s", d2.turn.Token(), a.busy(t, "north").Encode())
		}
	})
}

// TestOrdersPerNode: what a node accepts while it goes on by itself is played by its own
// devices, once; what it has handed to another node waits for that.
func TestOrdersPerNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.areas = perNodeAreas()
		_, a, b := s.pair()
		defer s.close()
		submit := func(id area.WorkID, to area.DeviceID) {
			t.Helper()
			if err := b.service.Submit(t.Context(), area.Work{ID: id, Area: "north", Device: to, Prio: area.Normal, Dur: time.Second, Redo: area.RedoRetry, IfBusy: area.BusyQueue, Body: area.Body{Kind: "announce"}}); err != nil {
				t.Fatal(err)
			}
		}
		submit("handed", "gate-2") // who is not there yet
		s.pass(2 * time.Second)
		s.outage(true)
		s.until("hub-2 goes on by itself", func() bool { return perNode(a) && perNode(b) && b.busy(t, "north").State == area.Idle })
		d := b.quick(t, "gate-2", "2", 1)
		offers := brokertest.Subscribe(t, d.c, area.WorkTopic("gate-2"), 1)
		played, now := map[area.WorkID]int{}, area.WorkID("")
		work := func() {
			for _, m := range offers.Take(t, offers.Len()) {
				if o, err := area.ParseOffer(m.Payload); err == nil {
					d.do(turn.Take{Work: o.Work, Att: o.Att})
				}
			}
			for _, x := range d.did {
				if as, ok := x.(turn.Assigned); ok && d.turn.Phase() == turn.Idle {
					now = as.Work
					d.step(turn.Wish{Work: now, Att: as.Att, Prio: area.Normal, Dur: time.Second})
				}
			}
			d.did = nil
			if d.turn.Phase() == turn.Playing {
				played[now]++
				d.step(turn.Over{Result: area.Played})
			}
		}
		ended := func(id area.WorkID) func() bool {
			return func() bool {
				work()
				return b.reports.is(id, "played")
			}
		}
		s.pass(time.Second, d)
		submit("own", "gate-2")
		s.until("own is played", ended("own"), d)
		submit("back", "gate-2")
		if err := b.service.Cancel(t.Context(), "back", area.EndUser); err != nil {
			t.Fatal(err)
		}
		s.pass(5*time.Second, d)
		if st := b.reports.states("handed"); slices.Contains(st, "assigned") || played["handed"] != 0 {
			t.Errorf("a work in the hands of hub-1: %v", st)
		}
		if st := b.reports.states("back"); !b.reports.is("back", "cancelled user") {
			t.Errorf("a work that was taken back: %v", st)
		}
		b.service.Stored("north", "back")
		s.outage(false)
		s.until("handed is played", ended("handed"), d) // and own is Stored by nobody: it is not played again
		s.pass(5*time.Second, d)
		work()
		if played["own"] != 1 || played["handed"] != 1 {
			t.Errorf("played: %v", played)
		}
	})
}

// lane is one node's way to the ledger.
type lane struct {
	ledger *reign.Memory
	mu     sync.Mutex
	cut    bool
	n      uint64 // connections so far
}

func (l *lane) away(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.n = cut, l.n+1
}

// laneBits are those of a connection's number that are the ledger's own.
const laneBits = 32

func (l *lane) Heads(ctx context.Context, areas []area.Name) ([]string, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, 0, reign.ErrAway
	}
	heads, link, err := l.ledger.Heads(ctx, areas)
	return heads, link | l.n<<laneBits, err
}

func (l *lane) Swap(ctx context.Context, list []reign.Change) ([]reign.Result, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, 0, reign.ErrAway
	}
	list = slices.Clone(list)
	for i, c := range list {
		if c.Link == 0 {
			continue
		}
		if list[i].Link = c.Link & (1<<laneBits - 1); c.Link>>laneBits != l.n {
			list[i].Link = 1 << laneBits // no connection's
		}
	}
	out, link, err := l.ledger.Swap(ctx, list)
	return out, link | l.n<<laneBits, err
}
