package host

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// member is a connection of a device with a will, and the socket below it.
func (s *site) member(addr string, id area.DeviceID, conn uint64) (mqtt.Client, net.Conn) {
	s.t.Helper()
	status := area.Status{Boot: 1, Conn: conn, MID: "m2", Area: "north", Name: string(id), State: "idle"}
	var socket net.Conn
	o := mqtt.NewClientOptions().AddBroker("tcp://"+addr).SetClientID(string(id)).SetUsername(string(id)).SetPassword(leader.Secret(s.doc.Key, id)).
		SetAutoReconnect(false).SetBinaryWill(area.StatusTopic(id), status.Encode(), 1, true)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		var err error
		socket, err = net.Dial("tcp", addr)
		return socket, err
	})
	c := mqtt.NewClient(o)
	if at := c.Connect(); !at.WaitTimeout(30*time.Second) || at.Error() != nil {
		s.t.Fatal(at.Error())
	}
	status.Online = true
	c.Publish(area.StatusTopic(id), 1, true, status.Encode()).Wait()
	return c, socket
}

// However a device's connection to the leader ends, the hub hears that it has gone,
// and why; also where no will can say so, since its right to one is gone as well.
func TestTheHubHearsWhoHasGoneAndWhy(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	s.accepted()
	comes := func(u area.Trunk) bool { return u.Op == area.TrunkStatus && u.Device == "gate-2" && u.Status.Online }
	goes := func(why string) func(area.Trunk) bool {
		return func(u area.Trunk) bool {
			return u.Op == area.TrunkGone && u.Device == "gate-2" && (why == "" || u.Reason == why)
		}
	}
	c, _ := s.member(addr, "gate-2", 1)
	s.all(comes)
	c.Disconnect(30_000)
	s.all(goes(area.PresentGoodbye))

	_, socket := s.member(addr, "gate-2", 2)
	s.all(comes)
	if err := socket.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	s.all(goes(area.PresentWill))

	// Of a session that is taken over the newer connection comes last.
	s.member(addr, "gate-2", 3)
	s.all(comes)
	s.member(addr, "gate-2", 4)
	s.all(func(u area.Trunk) bool { return comes(u) && u.Status.Conn == 4 })

	without := s.doc
	without.Rev, without.Members = 2, s.doc.Members[:1]
	o.doc <- without
	s.all(goes(""))
}

// A device that comes and goes while the leader looks elsewhere is not left behind at
// the hub as one that is there.
func TestTheHubHearsWhoWasThereForAMoment(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	s.accepted()
	line, looks := o.inside.Load().line, make(chan struct{})
	for conn, end := range map[uint64]string{1: area.PresentGoodbye, 2: area.PresentWill} {
		line.enqueue(func() { <-looks })
		gone := make(chan struct{}, 100)
		stop := line.roster.Watch(func() {
			if p, ok := line.roster.Player("gate-2"); ok && p.Presence == area.Offline {
				gone <- struct{}{}
			}
		})
		c, socket := s.member(addr, "gate-2", conn)
		if end == area.PresentGoodbye {
			c.Disconnect(30_000)
		} else {
			_ = socket.Close()
		}
		<-gone
		stop()
		looks <- struct{}{}
		s.all(func(u area.Trunk) bool { return u.Op == area.TrunkGone && u.Device == "gate-2" && u.Reason == end })
	}
}

// Of a strict area the members at the hub are asked for their votes, and heard.
func TestMembersAtTheHubVote(t *testing.T) {
	s := newSite(t)
	s.doc.Mode = area.ModeStrict
	o := s.leads(0)
	<-o.addr
	term := s.accepted()
	poll := *s.hears(area.TrunkPoll, nil).Poll
	if poll.Arbiter != "gate-1" || poll.Term != term {
		t.Errorf("asks %+v", poll)
	}
	busy := func(state area.BusyState) func(area.Trunk) bool {
		return func(u area.Trunk) bool { return u.Op == area.TrunkBusy && u.Busy.State == state }
	}
	votes := func(u area.Trunk) bool { // both members vote at the hub, at each poll
		if u.Op == area.TrunkPoll {
			for d, mid := range map[area.DeviceID]string{"gate-1": "m1", "gate-2": "m2"} {
				s.down(area.Trunk{Op: area.TrunkVote, Device: d, Vote: &area.Vote{Arbiter: u.Poll.Arbiter, Term: u.Poll.Term, N: u.Poll.N, MID: mid}})
			}
		}
		return busy(area.Idle)(u)
	}
	s.all(votes)
}

// Who may announce in the area may hand orders in at its leader, for as long as the
// roster has them.
func TestPeopleAtTheLeader(t *testing.T) {
	const token = "tct_0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	s := newSite(t)
	s.doc.People = []area.Person{{Name: "till", Kind: area.PersonToken, Hash: fmt.Sprintf("%x", sha256.Sum256([]byte(token))), Role: "announcer"}}
	o := s.leads(0)
	addr := <-o.addr
	s.accepted()
	lost := make(chan error, 1)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("till").SetUsername("till").SetPassword(token).
		SetAutoReconnect(false).SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }))
	if at := c.Connect(); !at.WaitTimeout(30*time.Second) || at.Error() != nil {
		t.Fatal(at.Error())
	}
	states := make(chan area.Busy, 100)
	c.Subscribe("tacet/area/north/#", 1, func(_ mqtt.Client, m mqtt.Message) {
		if b, err := area.ParseBusy(m.Payload()); err == nil && m.Topic() == area.BusyTopic("north") {
			states <- b
		}
	}).Wait()
	<-states // it may look
	c.Publish(area.SubmitTopic("north"), 1, false, `{"work":"o-1","body":{"message":"we close"}}`).Wait()
	w := o.inside.Load()
	if got, err := w.orders.Get("o-1"); err != nil || got.State.Ended() {
		t.Errorf("its order: %+v %v", got, err)
	}
	c.Publish(area.BusyTopic("north"), 1, true, `{}`).Wait() // its right ends before what the arbiter says
	if b, _ := w.arbiter.Busy("north"); b.Term == 0 {
		t.Errorf("busy is %+v", b)
	}
	without := s.doc
	without.Rev, without.People = 2, nil
	o.doc <- without
	<-lost
}

// A leader barges in for an emergency as the hub would.
func TestALeaderKnowsTheBarge(t *testing.T) {
	p := area.Peers{BargeMs: 1500}
	if got := settings(p).EmergencyBarge; got != 1500*time.Millisecond {
		t.Errorf("settings have %s, want 1.5s", got)
	}
}
