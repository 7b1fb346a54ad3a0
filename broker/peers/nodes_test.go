package peers

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// twins are two nodes with one table. Only what is said live at a node is heard there;
// tell has the other hear it.
func twins(t *testing.T) (a, b *bench) {
	t.Helper()
	da, db := newDisk(), newDisk()
	a, b = newBench(t, da), newBench(t, db)
	for _, x := range []*bench{a, b} {
		x.site.change(func() { x.site.others, x.site.live = true, map[area.DeviceID]uint64{} })
		x.disk.told = func(key string) { x.s.ChangedElsewhere(area.Name(key)) }
	}
	da.other, db.other = db, da
	return a, b
}

// reigns has a node have both areas, in its reign of that number; 0: it has none.
func (b *bench) reigns(n uint64) {
	b.site.change(func() { b.site.reign = n })
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

// lives has a member of north be live at b, with the other node knowing it.
func (b *bench) lives(other *bench, id area.DeviceID) *member {
	b.t.Helper()
	m := b.member(id, "north")
	b.site.change(func() { b.site.live[id] = 1 })
	other.site.change(func() { other.site.at[id] = "north" })
	return m
}

func (m *member) tell(other *bench, p *area.Peer, replay bool) {
	st := area.Status{Online: true, Boot: 1, Conn: 1, MID: "m-" + string(m.id), Area: "north", Peers: p}
	m.c.Publish(area.StatusTopic(m.id), 1, true, st.Encode()).Wait()
	other.s.heard(area.Message{Topic: area.StatusTopic(m.id), Payload: st.Encode(), Node: "other", Replay: replay})
	synctest.Wait()
}

// The node that has an area alone writes its roster; each sends the document to the
// members that are connected to it. The next one goes on from there.
func TestOneRosterForAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twins(t)
		one, two := a.lives(b, "gate-1"), b.lives(a, "gate-2")
		one.tell(b, peer("10.0.0.1:7946", "10.0.0.0/24"), false)
		if _, n := one.got(); n != 0 || len(a.disk.by) != 0 {
			t.Error("a roster of an area that nobody has")
		}
		a.reigns(1)
		first, _ := one.got()
		two.tell(a, peer("10.0.0.2:7946", "10.0.0.0/24"), false)
		p, _ := one.got()
		if q, n := two.got(); n != 1 || !slices.Equal(names(q), []string{"gate-1:16", "gate-2:17"}) || !bytes.Equal(p.Encode(), q.Encode()) || !bytes.Equal(p.Key, first.Key) {
			t.Errorf("at hub-1 %s\nat hub-2, %d times, %s", p.Encode(), n, q.Encode())
		}
		if got := b.resolved("north"); got != area.TopologyLocal {
			t.Errorf("topology at hub-2: %q", got)
		}
		b.site.change(func() { b.site.lease = 3000 }) // what hub-2 makes of it does not count
		time.Sleep(2 * time.Second)
		if _, n := two.got(); n != 0 {
			t.Error("hub-2 has made a document")
		}

		key, err := b.s.Rotate(t.Context(), "north")
		time.Sleep(2 * time.Second)
		p, _ = one.got()
		if err != nil || !bytes.Equal(p.Key, key) || bytes.Equal(p.Key, first.Key) || p.LeaseMs != 6000 {
			t.Errorf("a new key by hub-2: %v, %s", err, p.Encode())
		}
		before := p.Rev
		a.reigns(0)
		b.reigns(2)
		p, n := two.got()
		if n == 0 || p.Rev <= before || p.LeaseMs != 3000 || !bytes.Equal(p.Key, key) || len(p.Members) != 2 {
			t.Errorf("hub-2 goes on with %s", p.Encode())
		}
		three := a.lives(b, "gate-3")
		three.tell(b, peer("10.0.0.3:7946", "10.0.0.0/24"), false)
		if p, n := three.got(); n != 1 || !slices.Equal(names(p), []string{"gate-1:16", "gate-2:17", "gate-3:18"}) {
			t.Errorf("gate-3 got %d documents: %s", n, p.Encode())
		}
		a.s.Revoked("gate-2") // every node hears of that; one does it
		b.s.Revoked("gate-2")
		time.Sleep(2 * time.Second)
		p, n = one.got()
		if bytes.Equal(p.Key, key) || len(p.Members) != 2 {
			t.Errorf("without gate-2: %d documents, %s", n, p.Encode())
		}
		if q, _ := three.got(); !bytes.Equal(q.Encode(), p.Encode()) {
			t.Errorf("gate-3 has %s", q.Encode())
		}
	})
}

// While the newest roster cannot be known nobody is known to vote, and nobody joins.
func TestARosterThatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twins(t)
		a.reigns(1)
		one := a.lives(b, "gate-1")
		one.tell(b, peer("10.0.0.1:7946", ""), false)
		a.reigns(0)
		away := area.Errorf(area.CodeDegraded, "away")
		b.disk.breaks(away)
		b.reigns(2)
		two := b.lives(a, "gate-2")
		two.tell(a, peer("10.0.0.2:7946", ""), false)
		if _, known := b.s.Voters("north"); known || b.s.Stats().Members != 1 {
			t.Errorf("the voters are known, or grew: %+v", b.s.Stats())
		}
		b.disk.breaks(nil)
		time.Sleep(6 * time.Second)
		if list, known := b.s.Voters("north"); !known || len(list) != 2 || list[0].Index != 16 || list[1].Index != 17 {
			t.Errorf("then the voters are %+v", list)
		}
		b.reigns(3) // it was another node's meanwhile
		b.disk.breaks(away)
		b.reigns(4)
		if _, known := b.s.Voters("north"); known {
			t.Error("what was known in an earlier reign counts")
		}
	})
}

// A status that a node has missed when it was said counts for who is live.
func TestAStatusThatWasMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twins(t)
		a.reigns(1)
		two := b.lives(a, "gate-2")
		two.tell(a, peer("10.0.0.2:7946", ""), true)
		if _, n := two.got(); n != 0 {
			t.Error("who may be gone is a member")
		}
		a.site.change(func() { a.site.live["gate-2"] = 1 })
		time.Sleep(2 * time.Second)
		if p, n := two.got(); n == 0 || !slices.Equal(names(p), []string{"gate-2:16"}) {
			t.Errorf("%d documents: %s", n, p.Encode())
		}
	})
}

// A member is given one index, whichever node was quicker.
func TestTheOtherNodeWasQuicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twins(t)
		a.reigns(1)
		one := a.lives(b, "gate-1")
		one.tell(b, peer("10.0.0.1:7946", ""), false)
		stale := b.s.book("north")
		if err := a.s.alter(context.Background(), "north", Area{Peers: area.Peers{Area: "north"}}, func(k *book) error { return k.join("gate-9", "m9", area.Peer{}) }); err != nil {
			t.Fatal(err)
		}
		b.stop()
		b.s.set("north", stale)
		of, _ := b.site.Describe("north")
		if err := b.s.alter(context.Background(), "north", of, func(k *book) error { return k.join("gate-2", "m2", area.Peer{}) }); err != nil {
			t.Fatal(err)
		}
		for d, want := range map[area.DeviceID]uint64{"gate-1": 16, "gate-9": 17, "gate-2": 18} {
			if m, ok := b.s.Member("north", d); !ok || m.Index != want {
				t.Errorf("%s has index %d, want %d", d, m.Index, want)
			}
		}
	})
}
