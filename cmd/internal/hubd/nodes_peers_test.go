package hubd

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Three areas of two nodes: north is led by one of its devices, south finds out its
// topology, east is strict. hub-1 has them, until it stops.
func TestMembersAtTwoNodes(t *testing.T) {
	s := startServer(t)
	node := func(name string) func(*conf.Config) {
		more := s.node(name, t.TempDir())
		return func(c *conf.Config) {
			more(c)
			c.Areas = append(c.Areas, wing("south", "South Wing"), wing("east", "East Wing"))
			c.Areas[0].Topology, c.Areas[2].Mode, c.Areas[2].Topology = area.TopologyLocal, area.ModeStrict, area.TopologyDirect
			c.Areas[1].Lease, c.Areas[2].Lease = time.Second, time.Second
		}
	}
	h1, r1, stop1 := started(t, node("hub-1"))
	idleAt(t, r1)
	h2, r2, _ := started(t, node("hub-2"))
	idleAt(t, r2)
	if st := h1.arbiter.Stats(); st.Own != 3 {
		t.Fatalf("hub-1 %+v", st)
	}
	roster := joinRoster(t, r1, r2)
	led := leadNorth(t, h1, h2, r1, r2)
	east := joinEast(t, r1, r2)
	east.vote(r1)
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	led.goesOn(h2, r2)
	roster.goesOn(r2)
	east.goesOn(r2)
}

// oneRoster is the members of south: each at a node.
type oneRoster struct {
	t        *testing.T
	one, two *ableDevice
	last     area.Peers
}

// joinRoster: members at two nodes have one document, one key, each an index of its own;
// and a new key that is asked for at either node.
func joinRoster(t *testing.T, r1, r2 Ready) *oneRoster {
	t.Helper()
	x := &oneRoster{t: t, one: able(t, r1, "south-1", ""), two: able(t, r2, "south-2", "")}
	x.one.says("south", 1)
	x.one.until(func(p area.Peers) bool { return len(p.Members) == 1 })
	x.two.says("south", 2)
	p := x.both(func(p area.Peers) bool { return len(p.Members) == 2 })
	if p.Hub != hubName || p.Members[0].Index != 16 || p.Members[1].Index != 17 || p.Members[1].Device != "south-2" || p.Topology != area.TopologyLocal {
		t.Errorf("the document is %s", p.Encode())
	}
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/areas/south", func(b string) bool { return strings.Contains(b, `"topology":"local"`) })
		if _, body := get(t, r.HTTP+"/api/v1/areas/south/key"); !strings.Contains(body, jsonOf(t, p.Key)) {
			t.Errorf("the key is %s, in the document %s", body, jsonOf(t, p.Key))
		}
	}
	mustWrite(t, "POST", r2.HTTP+"/api/v1/areas/south/key", "")
	x.last = x.both(func(q area.Peers) bool { return !bytes.Equal(q.Key, p.Key) })
	return x
}

// both waits until both members have a document that fits, and that is the same.
func (x *oneRoster) both(fits func(area.Peers) bool) area.Peers {
	x.t.Helper()
	p := x.one.until(fits)
	if q := x.two.until(fits); !bytes.Equal(p.Encode(), q.Encode()) {
		x.t.Errorf("south-1 has %s\nsouth-2 has %s", p.Encode(), q.Encode())
	}
	return p
}

// goesOn: the next node goes on with the same key, and with the next index.
func (x *oneRoster) goesOn(r Ready) {
	x.t.Helper()
	three := able(x.t, r, "south-3", "")
	three.says("south", 3)
	p := three.until(func(p area.Peers) bool { return len(p.Members) == 3 })
	if p.Rev <= x.last.Rev || !bytes.Equal(p.Key, x.last.Key) || p.Members[2].Index != 18 {
		x.t.Errorf("by the other node the document is %s", p.Encode())
	}
}

// ledNorth is north, led through the node that does not have it.
type ledNorth struct{ *scriptedLeader }

// leadNorth: both nodes show the leader, and hand orders to it.
func leadNorth(t *testing.T, h1, h2 *Hub, r1, r2 Ready) ledNorth {
	t.Helper()
	l := ledNorth{newLeader(t, r2, 80)}
	ledBy(t, "gate-1", r1, r2)
	if one, two := h1.arbiter.Stats(), h2.arbiter.Stats(); one.Led != 1 || two.Own != 0 {
		t.Errorf("hub-1 %+v\nhub-2 %+v", one, two)
	}
	l.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-2", Status: &area.Status{Online: true, Boot: 3, Conn: 1, Area: "north", Location: "2"}})
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/devices/gate-2", func(b string) bool { return strings.Contains(b, `"presence":"online"`) })
	}
	for id, r := range map[string]Ready{"o-1": r1, "o-2": r2} {
		mustWrite(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"`+id+`","to":{"area":"north"},"message":"hello","expires":"600s"}`)
		l.takes(area.WorkID(id))
		l.report(area.Report{Work: area.WorkID(id), State: area.OrderPlayed, Device: "gate-2", Att: 1}, nil)
		until(t, r.HTTP+"/api/v1/orders/"+id, func(b string) bool { return strings.Contains(b, `"state":"played","reason"`) })
	}
	return l
}

// goesOn: the leader leads on at the next node, which grants nothing.
func (l ledNorth) goesOn(h *Hub, r Ready) {
	l.t.Helper()
	mustWrite(l.t, "POST", r.HTTP+"/api/v1/orders", `{"id":"o-3","to":{"area":"north"},"message":"hello","expires":"600s"}`)
	l.takes("o-3")
	ledBy(l.t, "gate-1", r)
	if st := h.arbiter.Stats(); st.Led != 1 || st.Grants != 0 || st.Splits != 0 {
		l.t.Errorf("hub-2 %+v", st)
	}
}

// strictEast is east, whose members are at both nodes; the one at the second votes.
type strictEast struct {
	t      *testing.T
	two    *ableDevice
	polls  *brokertest.Inbox
	ballot *turn.Ballot
	start  time.Time
}

// joinEast: once it has two members the hub has no majority by itself.
func joinEast(t *testing.T, r1, r2 Ready) *strictEast {
	t.Helper()
	one, two := able(t, r1, "east-1", ""), able(t, r2, "east-2", "")
	x := &strictEast{t: t, two: two, polls: brokertest.Subscribe(t, two.c, area.PollTopic("east"), 1), ballot: turn.NewBallot("m2", 0), start: time.Now()}
	one.says("east", 1)
	two.says("east", 2)
	two.until(func(p area.Peers) bool { return len(p.Members) == 2 && p.Mode == area.ModeStrict })
	for _, r := range []Ready{r1, r2} {
		x.until(r, area.Settling)
	}
	return x
}

func (x *strictEast) until(r Ready, want area.BusyState) {
	x.t.Helper()
	until(x.t, r.HTTP+"/api/v1/areas/east", func(b string) bool { return busyOf(b).State == want })
}

// vote answers polls until east is free.
func (x *strictEast) vote(r Ready) {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		p, err := area.ParsePoll(x.polls.Take(x.t, 1)[0].Payload)
		if err != nil {
			x.t.Fatal(err)
		}
		v, ok := x.ballot.Poll(p, area.Instant(time.Hour+time.Since(x.start)))
		if !ok || p.Arbiter != hubName {
			x.t.Fatalf("poll %+v, vote %v", p, ok)
		}
		x.two.c.Publish(area.VoteTopic("east", "east-2"), 1, false, v.Encode()).Wait()
		if _, b := get(x.t, r.HTTP+"/api/v1/areas/east"); busyOf(b).State == area.Idle {
			return
		}
	}
	x.t.Fatal("east is not free within a minute")
}

// goesOn: no vote counts in another reign, and the next node asks anew.
func (x *strictEast) goesOn(r Ready) {
	x.t.Helper()
	x.polls.Take(x.t, x.polls.Len())
	x.until(r, area.Settling)
	x.vote(r)
}
