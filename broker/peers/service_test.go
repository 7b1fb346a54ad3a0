package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// disk is a Table that a test can look into, and that can fail.
type disk struct {
	mu    sync.Mutex
	by    map[string][]byte
	fail  error
	other *disk // of the other node; nil: there is none
	told  func(key string)
}

func (d *disk) Load(each func(string, []byte) error) error {
	for k, v := range d.by {
		if err := each(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) Get(key string) ([]byte, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.by[key]
	return v, ok, nil
}

func (d *disk) Latest(_ context.Context, key string) ([]byte, bool, error) {
	d.mu.Lock()
	err := d.fail
	d.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	return d.Get(key)
}

func (d *disk) PutIf(_ context.Context, key string, old, value []byte) ([]byte, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, false, d.fail
	}
	if is, ok := d.by[key]; ok != (old != nil) || !bytes.Equal(is, old) {
		return is, false, nil
	}
	d.by[key] = value
	if o := d.other; o != nil {
		o.mu.Lock()
		o.by[key] = value
		o.mu.Unlock()
		o.told(key)
	}
	return nil, true, nil
}

func (d *disk) breaks(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

// site is the areas north and south, and who is in them.
type site struct {
	mu      sync.Mutex
	at      map[area.DeviceID]area.Name
	lease   int64
	set     string
	changed func()
	others  bool // there are other nodes
	reign   uint64
	live    map[area.DeviceID]uint64 // boots
}

func (s *site) Describe(a area.Name) (Area, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := area.Peers{Area: a, Name: string(a), Hub: "hub-1", Mode: area.ModeAvailable, Policy: area.PolicyStop, LeaseMs: s.lease, Volume: 70, Open: true}
	return Area{Peers: p, Topology: s.set}, a == "north" || a == "south"
}

func (s *site) Player(d area.DeviceID) (area.Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.at[d]
	p := area.Device{ID: d, Area: a}
	if boot, live := s.live[d]; live {
		p.Presence, p.Boot = area.Online, boot
	}
	return p, ok
}

func (s *site) Names() []area.Name { return []area.Name{"north", "south"} }

func (s *site) Reign(area.Name) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.others {
		return Alone
	}
	return s.reign
}

func (s *site) Here(d area.DeviceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, live := s.live[d]
	return !s.others || live
}

func (s *site) Watch(changed func()) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = changed
	return func() {}
}

func (s *site) change(how func()) {
	s.mu.Lock()
	how()
	tell := s.changed
	s.mu.Unlock()
	tell()
}

// bench is a service on a real broker, in a bubble.
type bench struct {
	*brokertest.Broker
	t    *testing.T
	s    *Service
	site *site
	disk *disk
	stop func()

	mu       sync.Mutex
	topology map[area.Name]string
	peering  map[area.Name]area.Peering
}

func newBench(t *testing.T, d *disk) *bench {
	t.Helper()
	b := &bench{Broker: brokertest.New(t), t: t, disk: d, topology: map[area.Name]string{}, peering: map[area.Name]area.Peering{}, site: &site{at: map[area.DeviceID]area.Name{}, lease: 6000, set: area.TopologyAuto}}
	resolved := func(a area.Name, is string, p area.Peering) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.topology[a], b.peering[a] = is, p
	}
	var err error
	if b.s, err = New(told{b.Broker, b}, b.site, d, resolved, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	b.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(b.stop)
	synctest.Wait()
	return b
}

// told is the broker of a bench. Before a document goes out the area has to be as it
// says: who has read it may ask.
type told struct {
	*brokertest.Broker
	b *bench
}

func (t told) Publish(ctx context.Context, list ...area.Message) error {
	for _, m := range list {
		if p, err := area.ParsePeers(m.Payload); err == nil && t.b.resolved(p.Area) != p.Topology {
			t.b.t.Errorf("a document says that %s is %s while it is %s", p.Area, p.Topology, t.b.resolved(p.Area))
		}
	}
	return t.Broker.Publish(ctx, list...)
}

func newDisk() *disk { return &disk{by: map[string][]byte{}} }

func (b *bench) resolved(a area.Name) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.topology[a]
}

// member is a device that can lead, in an area.
type member struct {
	b  *bench
	id area.DeviceID
	c  mqtt.Client
	in *brokertest.Inbox
}

func (b *bench) member(id area.DeviceID, in area.Name) *member {
	b.t.Helper()
	m := &member{b: b, id: id, c: b.Dial(b.t, string(id))}
	m.in = brokertest.Subscribe(b.t, m.c, area.PeersTopic(id), 1)
	b.site.change(func() { b.site.at[id] = in })
	return m
}

func (m *member) say(mid string, p *area.Peer) *member {
	m.b.t.Helper()
	m.c.Publish(area.StatusTopic(m.id), 1, true, area.Status{Online: true, MID: mid, Area: "north", Peers: p}.Encode()).Wait()
	synctest.Wait()
	return m
}

// got is the newest document that came since the last call.
func (m *member) got() (p area.Peers, n int) {
	m.b.t.Helper()
	synctest.Wait()
	n = m.in.Len()
	for _, msg := range m.in.Take(m.b.t, n) {
		var err error
		if p, err = area.ParsePeers(msg.Payload); err != nil {
			m.b.t.Fatal(err)
		}
	}
	return p, n
}

func names(p area.Peers) (list []string) {
	for _, m := range p.Members {
		list = append(list, fmt.Sprintf("%s:%d", m.Device, m.Index))
	}
	return list
}

func peer(addr, network string) *area.Peer { return &area.Peer{Addr: addr, Net: network} }

func TestMembersGetTheDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		one := b.member("gate-1", "north").say("m1", peer("10.0.0.1:7946", "10.0.0.0/24"))
		first, n := one.got()
		if n != 1 || first.Rev == 0 || len(first.Key) != area.AreaKeySize || !slices.Equal(names(first), []string{"gate-1:16"}) || first.Topology != area.TopologyDirect {
			t.Fatalf("%d documents, the last %+v", n, first)
		}
		two := b.member("gate-2", "north").say("m2", peer("10.0.0.2:7946", "10.0.0.5/24"))
		for _, m := range []*member{one, two} {
			p, n := m.got()
			if n != 1 || p.Rev <= first.Rev || !slices.Equal(names(p), []string{"gate-1:16", "gate-2:17"}) || p.Topology != area.TopologyLocal {
				t.Errorf("%s got %d documents, the last %+v", m.id, n, p)
			}
		}
		if got := b.resolved("north"); got != area.TopologyLocal {
			t.Errorf("two machines on one network: topology %q", got)
		}
		now, _ := b.s.Key(t.Context(), "north")
		if string(now) != string(first.Key) {
			t.Error("the key has changed by itself")
		}
		two.say("m2", &area.Peer{Rev: b.s.book("north").Rev, Addr: "10.0.0.2:7946", Net: "10.0.0.5/24"})
		if _, n := two.got(); n != 0 {
			t.Error("a member that has the document gets it again")
		}
		two.say("m2", peer("10.0.0.2:7946", "10.0.0.5/24"))
		if p, n := two.got(); n != 1 || len(p.Members) != 2 {
			t.Errorf("a member that has none gets %d", n)
		}
		if _, n := one.got(); n != 0 {
			t.Error("and so does one that did not ask")
		}
		if m, ok := b.s.Member("north", "gate-2"); !ok || m.Index != 17 || m.MID != "m2" {
			t.Errorf("member gate-2: %+v %v", m, ok)
		}
	})
}

// Each word of a member, and each change of the roster, is told with how all of them
// stand.
func TestHowTheMembersStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		one, two := b.member("gate-1", "north").say("m1", peer("10.0.0.1:7946", "")), b.member("gate-2", "north").say("m2", peer("10.0.0.2:7946", ""))
		doc, _ := two.got()
		says := func(m *member, rev uint64, h area.PeersHealth) {
			p := peer("10.0.0.9:7946", "")
			p.Rev, p.Priority = rev, 3
			m.c.Publish(area.StatusTopic(m.id), 1, true, area.Status{Online: true, MID: "m-" + string(m.id), Area: "north", Peers: p, Health: &area.Health{Peers: &h}}.Encode()).Wait()
			time.Sleep(2 * time.Second)
		}
		says(one, doc.Rev, area.PeersHealth{Follows: "leader", Who: "gate-1", Term: 80, Hub: true})
		says(two, 7, area.PeersHealth{Follows: "via", Who: "gate-1", Hub: true, Carried: 4})
		b.mu.Lock()
		got := b.peering["north"]
		b.mu.Unlock()
		want := area.Peering{Rev: b.s.book("north").Rev, Members: []area.PeerMember{
			{Device: "gate-1", Index: 16, Priority: 3, Addr: "10.0.0.9:7946", Told: true, Rev: doc.Rev, Leads: true, Follows: "leader", Who: "gate-1", Hub: true},
			{Device: "gate-2", Index: 17, Priority: 3, Addr: "10.0.0.9:7946", Told: true, Rev: 7, Follows: "via", Who: "gate-1", Hub: true, Carried: 4},
		}}
		if !got.Same(want) {
			t.Errorf("they stand\n%+v, want\n%+v", got, want)
		}
	})
}

func TestEachChangeIsSentAndOutlivesTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newDisk()
		b := newBench(t, kept)
		one := b.member("gate-1", "north").say("m1", peer("10.0.0.1:7946", "10.0.0.0/24"))
		two := b.member("gate-2", "north").say("m2", peer("10.0.0.2:7946", "10.0.0.0/24"))
		time.Sleep(2 * time.Second)
		two.got()
		before, _ := one.got()
		change := func(what string, how func(), want func(area.Peers) bool) {
			t.Helper()
			how()
			time.Sleep(2 * time.Second)
			p, n := one.got()
			if n != 1 || p.Rev <= before.Rev || !want(p) {
				t.Errorf("%s: %d documents, the last %+v", what, n, p)
			}
			before = p
		}
		change("lease", func() { b.site.change(func() { b.site.lease = 3000 }) }, func(p area.Peers) bool { return p.LeaseMs == 3000 })
		change("topology", func() { b.site.change(func() { b.site.set = area.TopologyDirect }) }, func(p area.Peers) bool { return p.Topology == area.TopologyDirect })
		change("key", func() { _, _ = b.s.Rotate(t.Context(), "north") }, func(p area.Peers) bool { return string(p.Key) != string(before.Key) })
		change("address", func() { two.say("m2", peer("10.0.0.9:7946", "10.0.0.0/24")) }, func(p area.Peers) bool { return p.Members[1].Addr == "10.0.0.9:7946" })
		change("clips", func() { two.say("m2", &area.Peer{Addr: "10.0.0.9:7946", Net: "10.0.0.0/24", Clips: "10.0.0.9:7947"}) }, func(p area.Peers) bool { return p.Members[1].Clips == "10.0.0.9:7947" })
		change("moved", func() { b.site.change(func() { b.site.at["gate-2"] = "south" }) }, func(p area.Peers) bool { return len(p.Members) == 1 })
		if p, _ := two.got(); p.Area != "south" || len(p.Members) != 1 || string(p.Key) == string(before.Key) {
			t.Errorf("where it went it got %+v", p)
		}
		change("came back", func() { b.site.change(func() { b.site.at["gate-2"] = "north" }) }, func(p area.Peers) bool { return slices.Equal(names(p), []string{"gate-1:16", "gate-2:17"}) })
		change("leads no more", func() { two.say("m2", nil) }, func(p area.Peers) bool { return len(p.Members) == 1 })
		two.say("m2", peer("10.0.0.2:7946", "10.0.0.0/24"))
		before, _ = one.got()
		change("credential withdrawn", func() { b.s.Revoked("gate-2") }, func(p area.Peers) bool { return len(p.Members) == 1 && string(p.Key) != string(before.Key) })
		b.stop()

		again := newBench(t, &disk{by: maps.Clone(kept.by)})
		three := again.member("gate-3", "north").say("m3", peer("10.0.0.3:7946", "10.0.0.0/24"))
		p, _ := three.got()
		if p.Rev <= before.Rev || string(p.Key) != string(before.Key) || !slices.Equal(names(p), []string{"gate-1:16", "gate-3:18"}) {
			t.Errorf("after a restart: %+v", p)
		}
	})
}

// Nobody is told what is not on disk.
func TestNothingIsToldThatIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		b := newBench(t, d)
		d.breaks(errors.New("no space"))
		one := b.member("gate-1", "north").say("m1", peer("10.0.0.1:7946", "10.0.0.0/24"))
		time.Sleep(3 * time.Second)
		if _, n := one.got(); n != 0 || b.s.Stats().Failed == 0 || b.s.Stats().Members != 0 {
			t.Errorf("%d documents while the disk is full, stats %+v", n, b.s.Stats())
		}
		if _, err := b.s.Key(t.Context(), "south"); err == nil {
			t.Error("a key that is not kept")
		}
		d.breaks(nil)
		time.Sleep(6 * time.Second)
		if p, n := one.got(); n != 1 || len(p.Members) != 1 {
			t.Errorf("then %d documents, %+v", n, p)
		}
		for _, ask := range []func(context.Context, area.Name) ([]byte, error){b.s.Key, b.s.Rotate} {
			if key, err := ask(t.Context(), "south"); area.CodeOf(err) != area.CodeNotFound || key != nil || b.s.book("south").Rev != 0 {
				t.Errorf("key of an area without members: %v, %v", key, err)
			}
		}
		if _, err := b.s.Key(t.Context(), "moon"); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("key of an area that is not there: %v", err)
		}
	})
}

func TestIndicesAreGivenOnce(t *testing.T) {
	k := book{Key: newKey()}
	for n := range area.MostMembers {
		if err := k.join(area.DeviceID(fmt.Sprint("d-", n)), "m", area.Peer{}); err != nil {
			t.Fatalf("member %d: %v", n, err)
		}
	}
	k.leave("d-3")
	if err := k.join("late", "m", area.Peer{}); !errors.Is(err, errFull) {
		t.Errorf("one more: %v", err)
	}
	if err := k.join("d-3", "m", area.Peer{}); err != nil || k.Entries[3].Index != area.FirstMember+3 {
		t.Errorf("who comes back: %+v %v", k.Entries[3], err)
	}
	if back, err := readBook(k.encode()); err != nil || len(back.Entries) != area.MostMembers {
		t.Errorf("read back: %v", err)
	}
	for _, bad := range []string{``, `{}`, `{"v":2}`, `{"v":1,"key":"AAAA"}`} {
		if _, err := readBook([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestTopology(t *testing.T) {
	cases := map[string]struct {
		set     string
		members []entry
		want    string
	}{
		"nobody":                     {area.TopologyAuto, nil, area.TopologyDirect},
		"two on one network":         {area.TopologyAuto, []entry{{MID: "a", Net: "10.0.0.1/24"}, {MID: "b", Net: "10.0.0.9/24"}}, area.TopologyLocal},
		"two networks":               {area.TopologyAuto, []entry{{MID: "a", Net: "10.0.0.1/24"}, {MID: "b", Net: "10.0.1.9/24"}}, area.TopologyDirect},
		"one machine":                {area.TopologyAuto, []entry{{MID: "a", Net: "10.0.0.1/24"}, {MID: "a", Net: "10.0.0.9/24"}}, area.TopologyDirect},
		"loopback":                   {area.TopologyAuto, []entry{{MID: "a", Net: "127.0.0.0/8"}, {MID: "b", Net: "127.0.0.0/8"}}, area.TopologyDirect},
		"loopback, set":              {area.TopologyLocal, []entry{{MID: "a", Net: "127.0.0.0/8"}}, area.TopologyLocal},
		"one has left":               {area.TopologyAuto, []entry{{MID: "a", Net: "10.0.0.1/24"}, {MID: "b", Net: "10.0.0.9/24", Left: true}}, area.TopologyDirect},
		"set direct":                 {area.TopologyDirect, []entry{{MID: "a", Net: "10.0.0.1/24"}, {MID: "b", Net: "10.0.0.9/24"}}, area.TopologyDirect},
		"network not told":           {area.TopologyAuto, []entry{{MID: "a"}, {MID: "b"}}, area.TopologyDirect},
		"machine not told":           {area.TopologyAuto, []entry{{Net: "10.0.0.1/24"}, {MID: "b", Net: "10.0.0.9/24"}}, area.TopologyDirect},
		"two on a version 6 network": {area.TopologyAuto, []entry{{MID: "a", Net: "fd00::1/64"}, {MID: "b", Net: "fd00::2/64"}}, area.TopologyLocal},
	}
	for name, c := range cases {
		if got := (&book{Entries: c.members}).topology(c.set); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
