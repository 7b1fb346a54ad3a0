package arbiter_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/reign"
	"github.com/tacet-hub/tacet/broker/turn"
)

// site is a hub of several nodes in a bubble: each has a broker of its own, and all
// of them a ledger and a wire that may lose what it carries.
type site struct {
	t      *testing.T
	ledger reign.Memory
	start  time.Time
	areas  []arbiter.AreaConfig
	led    map[string]*leaders // by node; nil: none may lead
	reigns arbiter.Reigns      // in place of keepers; nil: none
	one    *brokertest.Broker  // that all nodes hear; nil: each has its own
	voices int                 // most that may sound at once, of which no two are at one node; 0: one

	mu    sync.Mutex
	nodes map[string]*siteNode
	dice  *rand.Rand
	loses float64 // of the words between nodes
}

type siteNode struct {
	*hub
	name string
	disk *ledger
	wit  wit
	lane lane
	stop func() // in order
	kill func() // without a last word to the other nodes, or to the ledger
	dead sync.Once
}

func newSite(t *testing.T) *site {
	return &site{t: t, start: time.Now(), areas: siteAreas, nodes: map[string]*siteNode{}, dice: rand.New(rand.NewPCG(1, 2))}
}

// wire is one node's end of the wire.
type wire struct {
	s    *site
	self string
}

func (w wire) Send(node string, b []byte) error {
	w.s.mu.Lock()
	to, from := w.s.nodes[node], w.s.nodes[w.self]
	lost := w.s.dice.Float64() < w.s.loses
	w.s.mu.Unlock()
	if to == nil || from == nil {
		return fmt.Errorf("no node %s", node)
	}
	if !lost {
		to.service.Hear(w.self, b)
	}
	return nil
}

func (w wire) Spread(b []byte) error {
	for _, n := range w.s.names() {
		if n != w.self {
			_ = w.Send(n, b)
		}
	}
	return nil
}

// losing has this part of the words between nodes be lost.
func (s *site) losing(part float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loses = part
}

func (s *site) names() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.nodes {
		list = append(list, n)
	}
	return list
}

// quiet is a ledger of areas that can be cut off from its node.
type quiet struct {
	*reign.Keeper
	mu   sync.Mutex
	dead bool
}

func (q *quiet) Commit(a area.Name, c reign.Commit, done func(error)) {
	if !q.isDead() {
		q.Keeper.Commit(a, c, done)
	}
}

func (q *quiet) GiveUp(a area.Name, done func(error)) {
	if !q.isDead() {
		q.Keeper.GiveUp(a, done)
		return
	}
	done(nil)
}

func (q *quiet) isDead() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dead
}

var siteAreas = []arbiter.AreaConfig{{ID: "north", Volume: -1, Lease: time.Second, Locations: []arbiter.Place{{ID: "1"}, {ID: "2"}}}}

func (s *site) join(name string, index uint64, disk *ledger) *siteNode {
	s.t.Helper()
	h := &hub{Broker: s.one}
	if s.one == nil {
		h.Broker = brokertest.New(s.t)
	}
	n := &siteNode{hub: h, name: name, disk: disk, lane: lane{ledger: &s.ledger}}
	clock := func() area.Instant { return area.Instant(time.Since(s.start)) + 1 }
	life := fmt.Sprint(name, "-", time.Since(s.start).Nanoseconds())
	keeper, err := reign.New(reign.Config{Node: name, Life: life, Index: index}, &n.lane, clock)
	if err != nil {
		s.t.Fatal(err)
	}
	if h.roster, err = arbiter.NewRoster(arbiter.RosterConfig{Node: name, Areas: s.areas}, time.Now); err != nil {
		s.t.Fatal(err)
	}
	q := &quiet{Keeper: keeper}
	cfg := arbiter.Config{Node: name, Index: index, Life: life, Witness: &n.wit, Nodes: &arbiter.Nodes{Hub: "hub", Reigns: q, Wire: wire{s, name}}}
	if s.reigns != nil {
		cfg.Nodes.Reigns = s.reigns
	}
	var bus area.Bus = h.Broker
	var connections arbiter.Links = links{h.Broker}
	if s.one != nil {
		bus, connections, cfg.Nodes.Speaks = oneBus{h.Broker, name}, unlinked{}, func() bool { return s.eldest() == name }
	}
	if s.led != nil {
		if s.led[name] == nil {
			s.led[name] = &leaders{by: map[string][]byte{}}
		}
		cfg.Leaders, cfg.Members, cfg.Retained = s.led[name], able{}, h.Retained
	}
	if h.service, err = arbiter.New(cfg,
		bus, disk, connections, h.roster, clock, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		s.t.Fatal(err)
	}
	ledgers, stopLedger := context.WithCancel(context.Background())
	serving, stopService := context.WithCancel(context.Background())
	var keeps, serves sync.WaitGroup
	keeps.Go(func() { _ = keeper.Run(ledgers) })
	serves.Go(func() { _ = h.service.Run(serving, &h.reports) })
	leave := func() {
		s.mu.Lock()
		delete(s.nodes, name)
		s.mu.Unlock()
		s.tell()
	}
	n.stop = func() {
		n.dead.Do(func() { stopService(); serves.Wait(); stopLedger(); keeps.Wait(); leave() })
	}
	n.kill = func() {
		n.dead.Do(func() {
			leave()
			q.mu.Lock()
			q.dead = true
			q.mu.Unlock()
			stopLedger()
			keeps.Wait()
			stopService()
			serves.Wait()
		})
	}
	h.stop = n.stop
	s.t.Cleanup(n.stop)
	s.mu.Lock()
	s.nodes[name] = n
	s.mu.Unlock()
	s.tell()
	synctest.Wait()
	return n
}

// tell says to each node who lives.
func (s *site) tell() {
	names := s.names()
	s.mu.Lock()
	var all []*siteNode
	for _, n := range s.nodes {
		all = append(all, n)
	}
	s.mu.Unlock()
	for _, n := range all {
		n.service.NodesLive(names)
	}
}

// pass lets time go by, in which the devices speak as often as they would.
func (s *site) pass(d time.Duration, devices ...*device) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		for _, dev := range devices {
			before := len(dev.did)
			dev.step(turn.Tick{})
			for _, a := range dev.did[before:] {
				if _, deaf := a.(turn.Deaf); deaf { // it connects again
					dev.step(turn.Up{})
				}
			}
		}
		s.sounding(devices)
	}
}

// sounding looks that no two devices play.
func (s *site) sounding(devices []*device) {
	s.t.Helper()
	n := 0
	at := map[*siteNode]bool{}
	for _, d := range devices {
		if d.turn.Phase() == turn.Playing {
			if n++; at[d.node] && d.node != nil {
				s.t.Fatalf("%v after the start two devices play at %s", time.Since(s.start), d.node.name)
			}
			at[d.node] = true
		}
	}
	if n > max(1, s.voices) {
		s.t.Fatalf("%v after the start %d devices play", time.Since(s.start), n)
	}
}

// until lets time go by until it is so, at most for a minute.
func (s *site) until(what string, is func() bool, devices ...*device) time.Duration {
	s.t.Helper()
	begin := time.Now()
	for !is() {
		if time.Since(begin) > time.Minute {
			for n, x := range s.nodes {
				s.t.Logf("%s: %+v %s", n, x.service.Stats(), x.busy(s.t, "north").Encode())
			}
			for _, d := range devices {
				s.t.Logf("%s is %s: %v", d.id, d.turn.Phase(), d.did[max(0, len(d.did)-5):])
			}
			s.t.Fatalf("%s: not within a minute", what)
		}
		s.pass(100*time.Millisecond, devices...)
	}
	return time.Since(begin)
}

// quick is a device that knows the area's lease, at its start number boot.
func (n *siteNode) quick(t *testing.T, id area.DeviceID, at string, boot uint64) *device {
	t.Helper()
	d := &device{t: t, id: id, in: "north", node: n, c: n.Dial(t, string(id)), zero: time.Now()}
	d.turn = turn.New(turn.Config{Area: d.in, Device: id, MID: "m-" + string(id), Boot: boot, Lease: time.Second, Nonce: func() string { return "n" }})
	d.got = brokertest.Subscribe(t, d.c, area.GrantTopic(id), 1)
	d.c.Publish(area.StatusTopic(id), 1, true, area.Status{Online: true, Boot: boot, Conn: 1, Area: "north", Location: at}.Encode()).Wait()
	d.step(turn.Up{})
	return d
}

func owner(n *siteNode) bool { return n.service.Stats().Own == 1 }

// pair is two nodes, the first of which has north and has settled.
func pair(t *testing.T) (s *site, a, b *siteNode) { return newSite(t).pair() }

func (s *site) pair() (_ *site, a, b *siteNode) {
	t := s.t
	a = s.join("hub-1", 0, newLedger())
	s.pass(3 * time.Second)
	b = s.join("hub-2", 1, newLedger())
	s.until("hub-1 has north", func() bool {
		return owner(a) && a.busy(t, "north").State == area.Idle && b.busy(t, "north").State == area.Idle
	})
	if owner(b) {
		t.Fatal("both have north")
	}
	return s, a, b
}

func (s *site) close() {
	s.mu.Lock()
	var all []*siteNode
	for _, n := range s.nodes {
		all = append(all, n)
	}
	s.mu.Unlock()
	for _, n := range all {
		n.stop()
	}
}

// Devices of one area at two nodes take turns, and both brokers show the same.
func TestDevicesAtTwoNodesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		d1, d2 := a.quick(t, "gate-1", "1", 1), b.quick(t, "gate-2", "2", 1)
		s.pass(time.Second, d1, d2)
		for _, n := range []*siteNode{a, b} {
			for id, at := range map[area.DeviceID]string{"gate-1": "hub-1", "gate-2": "hub-2"} {
				if p, ok := n.roster.Player(id); !ok || p.Presence != area.Online || p.Node != at {
					t.Errorf("at %s %s is %s at %s, want online at %s", n.name, id, p.Presence, p.Node, at)
				}
			}
		}
		d2.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		s.until("gate-2 plays", func() bool { return d2.turn.Phase() == turn.Playing }, d1, d2)
		d1.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		s.pass(3*time.Second, d1, d2)
		if d1.turn.Phase() != turn.Waiting || d2.turn.Phase() != turn.Playing {
			t.Fatalf("phases %s, %s, want waiting, playing", d1.turn.Phase(), d2.turn.Phase())
		}
		one, two := a.busy(t, "north"), b.busy(t, "north")
		if one.State != area.Held || *one.Holder != "gate-2" || string(one.Encode()) != string(two.Encode()) {
			t.Errorf("hub-1 shows %s\nhub-2 shows %s", one.Encode(), two.Encode())
		}
		d2.step(turn.Over{Result: area.Played})
		s.until("gate-1 plays", func() bool { return d1.turn.Phase() == turn.Playing }, d1, d2)
		if st := b.service.Stats(); st.Grants != 0 || st.Settlings != 0 {
			t.Errorf("hub-2 has granted itself: %+v", st)
		}
	})
}

// lead is who arbitrates north, as a node shows it.
func (n *siteNode) lead() area.Lead {
	if a, _ := n.roster.Area("north"); a.Leader != nil {
		return *a.Leader
	}
	return area.Lead{}
}

// Every node shows who has the area, and from when; of a silent owner, that it is.
func TestEveryNodeShowsWhoArbitrates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		led := func(by string, nodes ...*siteNode) {
			t.Helper()
			for _, n := range nodes {
				s.until(n.name+" shows "+by, func() bool { l := n.lead(); return l.Host == by && l.Live && l.Since != nil })
				if l := n.lead(); l.Mode != area.LeaderHub || l.Term != n.busy(t, "north").Term || !l.Same(nodes[0].lead()) {
					t.Errorf("%s shows %+v, %s %+v", n.name, l, nodes[0].name, nodes[0].lead())
				}
			}
		}
		led("hub-1", a, b)
		first := a.lead()
		disk := a.disk
		a.kill()
		s.until("hub-1 is silent", func() bool { return !b.lead().Live })
		if l := b.lead(); l.Host != "hub-1" || owner(b) {
			t.Errorf("before it has north hub-2 shows %+v", l)
		}
		led("hub-2", b)
		if l := b.lead(); l.Term <= first.Term || !l.Since.After(first.Since.Time) {
			t.Errorf("the next reign is %+v, after %+v", l, first)
		}
		a = s.join("hub-1", 0, disk)
		led("hub-2", b, a)
		b.stop()
		led("hub-1", a)
	})
}

// An orderly stop hands the area on at once; a killed owner is waited for.
func TestTheOwnerGoes(t *testing.T) {
	for name, c := range map[string]struct {
		go_  func(*siteNode)
		most time.Duration
	}{
		"stopped": {func(n *siteNode) { n.stop() }, 2 * time.Second},
		"killed":  {func(n *siteNode) { n.kill() }, 2*(1250*time.Millisecond+reign.Slack) + 2*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, a, b := pair(t)
				defer s.close()
				d := b.quick(t, "gate-2", "2", 1)
				s.pass(time.Second, d)
				c.go_(a)
				d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
				took := s.until("gate-2 plays", func() bool { return d.turn.Phase() == turn.Playing }, d)
				if took > c.most {
					t.Errorf("it plays after %v, want at most %v", took, c.most)
				}
				if busy := b.busy(t, "north"); busy.Term%64 != 1 {
					t.Errorf("the term is %d, not one of hub-2", busy.Term)
				}
			})
		})
	}
}

// A node that has heard of a reign which the ledger has forgotten gets the one of now to
// be the later of the two, and its devices go on.
func TestAReignThatTheLedgerHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		d := b.quick(t, "gate-2", "2", 1)
		s.pass(time.Second, d)
		later := a.busy(t, "north").Term + 642
		b.service.Hear("hub-9", fmt.Appendf(nil, `{"v":1,"area":"north","life":"l9","owner":true,"term":%d}`, later))
		s.pass(time.Second, d)
		if busy := b.busy(t, "north"); busy.State != area.Settling || busy.Term != later {
			t.Fatalf("hub-2 shows %s", busy.Encode())
		}
		d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		s.until("gate-2 plays", func() bool { return d.turn.Phase() == turn.Playing }, d)
		if one := a.busy(t, "north"); !owner(a) || one.Term <= later || one.Term%64 != 0 {
			t.Errorf("hub-1 shows %s", one.Encode())
		}
	})
}
