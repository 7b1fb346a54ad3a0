package cases

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
)

var correctnessCases = []testCase{
	{name: "SUBSCRIBE with the id of a message on its way", rows: []string{"2.16", "5.packet ids"}, run: subscribeIDTaken},
	{name: "SUBSCRIBE right after a queue was replayed", rows: []string{"2.16", "5.packet ids"}, run: subscribeAfterReplay},
	{name: "PUBLISH with the id of a message on its way", rows: []string{"2.16", "5.packet ids"}, run: publishIDTaken},
	{name: "a client with a Receive Maximum gets all", rows: []string{"2.17", "5.receive maximum"}, run: receiveMaximum},
	{name: "a client with a Receive Maximum gets all of its queue", rows: []string{"2.17", "5.receive maximum"}, run: receiveMaximumResumed},
	{name: "a queue stays in order", rows: []string{"2.18", "5.order"}, run: queueInOrder},
	{name: "a long queue for a client of 3.1.1", rows: []string{"5.replay", "5.order"}, run: longQueue,
		setup: setup{ours: func(c *broker.Config) { c.MaxOutputBytes = 64 << 10 }}},
	{name: "a first delivery is no duplicate", rows: []string{"2.18", "5.dup"}, run: firstIsNoDup},
	{name: "a second delivery is a duplicate", rows: []string{"5.dup"}, bare: passes, run: secondIsDup},
	{name: "no alias that was never explained", rows: []string{"2.15"}, run: aliasesExplained},
	{name: "a refused publication stays refused", rows: []string{"2.14"}, run: refusedStaysRefused, setup: setup{refuse: "no/entry"}},
	{name: "QoS 2 sent twice comes once", rows: []string{"RELIABILITY 2"}, run: twiceComesOnce},
	{name: "QoS 2 sent again after a reconnect comes once", rows: []string{"RELIABILITY 2"}, run: againComesOnce},
	{name: "an acknowledgement repeats nothing", rows: []string{"2.34"}, run: ackRepeatsNothing},
	{name: "a/# has the retained message of a", rows: []string{"2.22", "5.parent"}, run: retainedParent("a/#", "a")},
	{name: "x/+/# has the retained message of x/y", rows: []string{"2.22", "5.parent"}, run: retainedParent("x/+/#", "x/y")},
	{name: "a/# has what is published on a", rows: []string{"2.22", "5.parent"}, bare: passes, run: liveParent("a/#", "a")},
	{name: "x/+/# has what is published on x/y", rows: []string{"2.22", "5.parent"}, run: liveParent("x/+/#", "x/y")},
	{name: "a shared subscription passes over absent members", rows: []string{"2.25"}, run: sharedAbsent},
	{name: "a shared subscription whose only member is away", rows: []string{"2.25"}, bare: passes, run: sharedAllAbsent},
	{name: "a delayed will whose session ends before it", rows: []string{"2.26"}, on: inBubble, run: delayedWill},
	{name: "a will has the properties that it was given", rows: []string{"2.26"}, run: willProperties},
	{name: "user properties come to who wants no problem information", rows: []string{"paho.golang"}, run: noProblemInformation},
	{name: "a goodbye has no will", rows: []string{"2.26"}, bare: passes, run: goodbyeHasNoWill},
	{name: "an idle broker is quiet", rows: []string{"2.29"}, on: inBubble, run: idleIsQuiet},
	{name: "a message that expires while the client is away", rows: []string{"2.18"}, on: inBubble, bare: passes, run: expiresWhileAway},
}

// away makes a session that waits for what comes on "in".
func away(s *site, version byte, id string, change ...func(*packets.Packet)) {
	c := s.connect(version, id, append(change, keep)...).subscribed(1, "in")
	c.goodbye()
}

func (s *site) publishMany(topic string, n int) {
	for i := range n {
		s.publisher.publish(topic, fmt.Sprint(i), 1)
	}
}

func subscribeIDTaken(s *site) {
	for _, version := range []byte{4, 5} {
		c := s.connect(version, "gate-1").subscribed(1, "in")
		s.publisher.publish("in", "x", 1)
		first := c.expect(packets.Publish)
		c.send(subscribePacket(first.PacketID, 1, "other"))
		if ack := c.expect(packets.Suback); ack.ReasonCodes[0] > 2 {
			s.Errorf("version %d: SUBSCRIBE %d is refused with %#x", version, first.PacketID, ack.ReasonCodes[0])
		}
	}
}

func subscribeAfterReplay(s *site) {
	away(s, 4, "gate-1")
	s.publishMany("in", 5)
	c := s.connect(4, "gate-1", keep)
	for range 5 {
		c.expect(packets.Publish)
	}
	for id := range uint16(5) {
		c.send(subscribePacket(id+1, 1, "other"))
		if ack := c.expect(packets.Suback); ack.ReasonCodes[0] > 2 {
			s.Errorf("SUBSCRIBE %d is refused with %#x", id+1, ack.ReasonCodes[0])
		}
	}
}

func publishIDTaken(s *site) {
	c := s.connect(4, "gate-1", keep).subscribed(1, "in")
	s.publisher.publish("in", "x", 1)
	got := c.expect(packets.Publish) // and not acknowledged
	c.send(publishPacket("out", "mine", 1, got.PacketID))
	c.acked(packets.Puback, got.PacketID)
	_ = c.Close()
	if again := s.connect(4, "gate-1", keep).expect(packets.Publish); string(again.Payload) != "x" {
		s.Errorf("%q came again, want x", again.Payload)
	}
}

// window reads n messages that are numbered from 0, of which no more than most
// may be unacknowledged at once.
func window(s *site, c *client, n, most int) {
	var open []packets.Packet
	for i := range n {
		c.what = fmt.Sprintf("message %d of %d: ", i, n)
		pk := c.expect(packets.Publish)
		if string(pk.Payload) != fmt.Sprint(i) {
			s.Fatalf("%s came, want %d", pk.Payload, i)
		}
		open = append(open, pk)
		if len(open) == most && i < n-1 {
			c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
			c.what = fmt.Sprintf("while %d messages are open: ", most)
			c.expect(packets.Pingresp)
			c.ack(open[0])
			open = open[1:]
		}
	}
	for _, pk := range open {
		c.ack(pk)
	}
}

func atOnce(n uint16) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = n }
}

func receiveMaximum(s *site) {
	c := s.connect(5, "gate-1", atOnce(20)).subscribed(1, "in")
	s.publishMany("in", 300)
	window(s, c, 300, 20)
}

func receiveMaximumResumed(s *site) {
	away(s, 5, "gate-1", atOnce(20))
	s.publishMany("in", 100)
	window(s, s.connect(5, "gate-1", keep, atOnce(20)), 100, 20)
}

func queueInOrder(s *site) {
	away(s, 4, "gate-1")
	s.publishMany("in", 300)
	c := s.connect(4, "gate-1", keep)
	for i := range 300 {
		if pk := c.take(); string(pk.Payload) != fmt.Sprint(i) {
			s.Fatalf("%s came, want %d", pk.Payload, i)
		}
	}
}

func longQueue(s *site) {
	away(s, 4, "gate-1")
	for i := range 600 {
		s.publisher.publish("in", fmt.Sprintf("%d %0500d", i, 0), 1)
	}
	c := s.connect(4, "gate-1", keep)
	for i := range 600 {
		c.what = fmt.Sprintf("message %d: ", i)
		var n int
		if pk := c.take(); !scan(pk.Payload, &n) || n != i {
			s.Fatalf("%d came, want %d", n, i)
		}
	}
}

func scan(payload []byte, n *int) bool {
	_, err := fmt.Sscan(string(payload), n)
	return err == nil
}

func firstIsNoDup(s *site) {
	away(s, 4, "gate-1")
	s.settle() // the bare library's socket ends a moment before its connection: what is sent then is sent again
	s.publishMany("in", 10)
	c := s.connect(4, "gate-1", keep)
	for range 10 {
		if pk := c.take(); pk.FixedHeader.Dup {
			s.Fatalf("%s is marked as sent before, which it was not", pk.Payload)
		}
	}
}

func secondIsDup(s *site) {
	c := s.connect(4, "gate-1", keep).subscribed(1, "in")
	s.publisher.publish("in", "x", 1)
	first := c.expect(packets.Publish)
	_ = c.Close()
	c = s.connect(4, "gate-1", keep)
	if again := c.take(); !again.FixedHeader.Dup || again.PacketID != first.PacketID {
		s.Errorf("it comes again as %+v, id %d, want a duplicate with id %d", again.FixedHeader, again.PacketID, first.PacketID)
	}
}

func aliasesExplained(s *site) {
	aliases := func(pk *packets.Packet) { pk.Properties.TopicAliasMaximum = 10 }
	c := s.connect(5, "gate-1", keep, aliases).subscribed(1, "in")
	s.publisher.publish("in", "x", 1)
	c.take()
	c.goodbye()
	s.publisher.publish("in", "y", 1)
	s.settle() // the bare library acknowledges before it delivers: else the new connection may get it, explained
	c = s.connect(5, "gate-1", keep, aliases)
	if pk := c.take(); pk.TopicName == "" {
		s.Errorf("a message without a topic came, with alias %d that was never explained on this connection", pk.Properties.TopicAlias)
	}
}

func refusedStaysRefused(s *site) {
	watch := s.connect(4, "watch").subscribed(1, "no/entry", "end")
	for version := byte(4); version <= 5; version++ {
		c := s.connect(version, "gate-1")
		for qos := byte(0); qos < 2; qos++ {
			c.publish("no/entry", fmt.Sprintf("version %d QoS %d", version, qos), qos)
		}
		c.publish("end", "end", 1)
		for _, pk := range watch.until() {
			s.Errorf("the refused publication of %s was delivered", pk.Payload)
		}
	}
}

func twiceComesOnce(s *site) {
	watch := s.connect(4, "watch").subscribed(2, "once", "end")
	for version := byte(4); version <= 5; version++ {
		c := s.connect(version, "gate-1")
		pk := publishPacket("once", "x", 2, 5)
		for n := range 3 {
			pk.FixedHeader.Dup = n > 0
			c.send(pk)
			if code := c.acked(packets.Pubrec, 5); code >= 0x80 {
				s.Fatalf("version %d: PUBREC %#x for what was sent again: the sender must take it for lost", version, code)
			}
		}
		release(c, 5)
		c.publish("end", "end", 2)
		if came := watch.until(); len(came) != 1 {
			s.Fatalf("version %d: %d came, want 1", version, len(came))
		}
	}
}

func release(c *client, id uint16) {
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: id})
	c.acked(packets.Pubcomp, id)
}

func againComesOnce(s *site) {
	watch := s.connect(4, "watch").subscribed(2, "once", "end")
	for version := byte(4); version <= 5; version++ {
		id := fmt.Sprint("gate-", version)
		c := s.connect(version, id, keep)
		pk := publishPacket("once", "x", 2, 5)
		c.send(pk)
		c.acked(packets.Pubrec, 5)
		_ = c.Close()
		c = s.connect(version, id, keep)
		if !c.present {
			s.Fatalf("version %d: the session is gone", version)
		}
		pk.FixedHeader.Dup = true
		c.send(pk)
		for { // the broker may repeat its PUBREC besides
			ack := c.expect(packets.Pubrec)
			if ack.ReasonCode >= 0x80 {
				s.Fatalf("version %d: PUBREC %#x for what was sent again: the sender must take it for lost", version, ack.ReasonCode)
			}
			if ack.PacketID == 5 {
				break
			}
		}
		release(c, 5)
		s.publisher.publish("end", "end", 1)
		if came := watch.until(); len(came) != 1 {
			s.Fatalf("version %d: %d came, want 1", version, len(came))
		}
	}
}

func ackRepeatsNothing(s *site) {
	c := s.connect(5, "gate-1")
	pk := publishPacket("in", "x", 1, 1)
	pk.Properties.User = []packets.UserProperty{{Key: "token", Val: "mine"}}
	c.send(pk)
	if ack := c.expect(packets.Puback); len(ack.Properties.User) > 0 {
		s.Errorf("PUBACK has the user properties of the message: %v", ack.Properties.User)
	}
}

func retainedParent(filter, topic string) func(*site) {
	return func(s *site) {
		s.publisher.publish(topic, "x", 1, retained)
		for _, version := range []byte{4, 5} {
			c := s.connect(version, "watch")
			if came := c.kept(filter); len(came) != 1 || came[0].TopicName != topic || !came[0].FixedHeader.Retain {
				s.Errorf("version %d: %s brings %d messages, want the retained one of %s", version, filter, len(came), topic)
			}
		}
	}
}

func liveParent(filter, topic string) func(*site) {
	return func(s *site) {
		c := s.connect(4, "watch").subscribed(1, filter, "end")
		s.publisher.publish(topic, "x", 1)
		s.publisher.publish(topic+"/below", "y", 1)
		s.publisher.publish("end", "end", 1)
		if came := c.until(); len(came) != 2 || came[0].TopicName != topic {
			s.Errorf("%s brings %d messages, want those of %s and of the level below it", filter, len(came), topic)
		}
	}
}

func sharedAbsent(s *site) {
	gone := s.connect(4, "gone", keep).subscribed(1, "$share/crew/jobs")
	here := s.connect(4, "here").subscribed(1, "$share/crew/jobs", "end")
	gone.goodbye()
	s.publishMany("jobs", 40)
	s.publisher.publish("end", "end", 1)
	if n := len(here.until()); n != 40 {
		s.Errorf("%d of 40 came to the member that is there", n)
	}
}

func sharedAllAbsent(s *site) {
	gone := s.connect(4, "gone", keep).subscribed(1, "$share/crew/jobs", "end")
	gone.goodbye()
	s.publishMany("jobs", 40)
	s.publisher.publish("end", "end", 1)
	back := s.connect(4, "gone", keep)
	got := map[string]bool{}
	for range 41 {
		got[string(back.take().Payload)] = true
	}
	if len(got) != 41 {
		s.Errorf("%d of 41 came", len(got))
	}
}

// delayedWill is a will that must come when the session ends, which is at once,
// and stay.
func delayedWill(s *site) {
	c := s.connect(5, "gate-1", will("status", "gone", true), func(pk *packets.Packet) {
		pk.Connect.WillProperties.WillDelayInterval = 20
	})
	_ = c.Close()
	s.pass(time.Minute)
	if came := s.connect(4, "watch").kept("status"); len(came) != 1 || string(came[0].Payload) != "gone" {
		s.Errorf("%d messages are retained, want the will", len(came))
	}
}

func willProperties(s *site) {
	watch := s.connect(5, "watch").subscribed(1, "status")
	c := s.connect(5, "gate-1", will("status", "gone", false), func(pk *packets.Packet) {
		w := &pk.Connect.WillProperties
		w.ContentType, w.ResponseTopic, w.CorrelationData = "text/plain", "reply", []byte("c")
		w.User = []packets.UserProperty{{Key: "k", Val: "v"}}
	})
	_ = c.Close()
	p := watch.take().Properties
	if p.ContentType != "text/plain" || p.ResponseTopic != "reply" || string(p.CorrelationData) != "c" || len(p.User) != 1 {
		s.Errorf("the will has content type %q, response topic %q, correlation data %q and user properties %v", p.ContentType, p.ResponseTopic, p.CorrelationData, p.User)
	}
}

// noProblemInformation: a client may ask for none, which is about answers and
// not about messages: MQTT 5 §3.1.2.11.7. Some client libraries ask so unless
// told otherwise.
func noProblemInformation(s *site) {
	c := s.connect(5, "gate-1", func(pk *packets.Packet) {
		pk.Properties.RequestProblemInfo, pk.Properties.RequestProblemInfoFlag = 0, true
	}).subscribed(1, "in")
	paper := s.connect(5, "paper")
	paper.publish("in", "x", 1, func(pk *packets.Packet) { pk.Properties.User = []packets.UserProperty{{Key: "k", Val: "v"}} })
	if u := c.take().Properties.User; len(u) != 1 || u[0].Val != "v" {
		s.Errorf("the message came with the user properties %v", u)
	}
	c.send(publishPacket("$SYS/x", "x", 1, c.id16()))
	if ack := c.expect(packets.Puback); ack.Properties.ReasonString != "" || len(ack.Properties.User) > 0 {
		s.Errorf("PUBACK has problem information: %q, %v", ack.Properties.ReasonString, ack.Properties.User)
	}
}

func goodbyeHasNoWill(s *site) {
	watch := s.connect(4, "watch").subscribed(1, "status", "end")
	for version := byte(4); version <= 5; version++ {
		s.connect(version, "gate-1", will("status", "gone", false)).goodbye()
		s.publisher.publish("end", "end", 1)
		if came := watch.until(); len(came) > 0 {
			s.Errorf("version %d: the will came after a goodbye", version)
		}
	}
}

func idleIsQuiet(s *site) {
	c := s.connect(4, "watch").subscribed(0, "$SYS/#")
	var n atomic.Int64
	s.do(func() {
		for {
			if _, err := c.recv(); err != nil {
				return
			}
			n.Add(1)
		}
	})
	s.pass(25 * time.Second)
	_ = c.Close()
	if n.Load() > 60 {
		s.Errorf("%d messages about itself in 25 s", n.Load())
	}
}

func expiresWhileAway(s *site) {
	away(s, 5, "gate-1")
	paper := s.connect(5, "paper")
	paper.publish("in", "old", 1, func(pk *packets.Packet) { pk.Properties.MessageExpiryInterval = 5 })
	paper.publish("in", "fresh", 1, func(pk *packets.Packet) { pk.Properties.MessageExpiryInterval = 100 })
	s.pass(20 * time.Second)
	pk := s.connect(5, "gate-1", keep).take()
	if left := pk.Properties.MessageExpiryInterval; string(pk.Payload) != "fresh" || left < 75 || left > 85 {
		s.Errorf("%q came, to expire in %d s, want fresh, in 80", pk.Payload, left)
	}
}
