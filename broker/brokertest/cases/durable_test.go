package cases

import (
	"fmt"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// durableCases are about what is left when the broker has been stopped and
// started again. What is left when it was killed, or the disk was full, is for
// cmd/tacet-bench.
var durableCases = []testCase{
	{name: "retained messages after a restart", rows: []string{"3.8", "mosquitto #1161", "mochi #426"}, setup: durable, bare: passes, run: retainedRestart},
	{name: "a queue after a restart", rows: []string{"3.2", "5.durable", "5.order"}, setup: durable, run: queueRestart},
	{name: "a subscription after a restart", rows: []string{"3.2", "5.durable"}, setup: durable, run: subscriptionRestart,
		bare: unruled, because: "the library keeps the subscription, and loses what is queued at the next restart"},
	{name: "what was not acknowledged after a restart", rows: []string{"3.2", "5.durable", "5.dup"}, setup: durable, run: unackedRestart,
		bare: unruled, because: "as a queue: whether the library has stored the packet id decides"},
	{name: "an expiry of a session after a restart", rows: []string{"2.28"}, setup: durable, on: inBubble, run: expiryRestart},
	{name: "QoS 2 over a restart comes once", rows: []string{"5.durable"}, setup: durable, run: onceOverRestart,
		bare: unruled, because: "no row says what becomes of it there"},
}

var durable = setup{durable: true}

func retainedRestart(s *site) {
	binary := "\x00\xff\x80 and more\n"
	for topic, payloads := range map[string][]string{"set": {"a"}, "cleared": {"a", ""}, "changed": {"a", "b", "c"}, "again": {"a", "", "b"}, "bytes": {binary}} {
		for _, p := range payloads {
			s.publisher.publish("kept/"+topic, p, 1, retained)
		}
	}
	s.restart()
	got := map[string]string{}
	for _, pk := range s.connect(4, "watch").kept("kept/+") {
		got[pk.TopicName] = string(pk.Payload)
	}
	want := map[string]string{"kept/set": "a", "kept/changed": "c", "kept/again": "b", "kept/bytes": binary}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.Errorf("retained are %q, want %q", got, want)
	}
}

func queueRestart(s *site) {
	away(s, 4, "gate-1")
	s.publishMany("in", 50)
	s.restart()
	c := s.connect(4, "gate-1", keep)
	if !c.present {
		s.Fatalf("the session is gone")
	}
	for i := range 50 {
		c.what = fmt.Sprintf("message %d of 50: ", i)
		if pk := c.take(); string(pk.Payload) != fmt.Sprint(i) || pk.FixedHeader.Dup {
			s.Fatalf("%s came, duplicate: %t, want %d for the first time", pk.Payload, pk.FixedHeader.Dup, i)
		}
	}
	c.ping() // the acknowledgements are there
	s.restart()
	c = s.connect(4, "gate-1", keep)
	s.publisher.publish("in", "end", 1)
	if n := len(c.until()); n > 0 {
		s.Errorf("%d messages came that were acknowledged before the restart", n)
	}
}

func subscriptionRestart(s *site) {
	s.connect(5, "gate-1", keep).subscribed(1, "in", "other/#")
	s.restart()
	s.publisher.publish("in", "x", 1)
	c := s.connect(5, "gate-1", keep)
	if !c.present {
		s.Fatalf("the session is gone")
	}
	s.publisher.publish("other/a", "end", 1)
	if came := c.until(); len(came) != 1 {
		s.Errorf("%d messages came, want the one of before", len(came))
	}
}

func unackedRestart(s *site) {
	c := s.connect(4, "gate-1", keep).subscribed(1, "in")
	s.publisher.publish("in", "x", 1)
	if pk, err := c.recv(); err != nil || string(pk.Payload) != "x" {
		s.Fatalf("%q %v came, want x", pk.Payload, err)
	}
	s.restart()
	c = s.connect(4, "gate-1", keep)
	if pk := c.take(); string(pk.Payload) != "x" {
		s.Errorf("%q came, want x again", pk.Payload)
	}
}

func expiryRestart(s *site) {
	s.connect(5, "gate-1", expiry(60)).subscribed(1, "in").goodbye()
	s.restart()
	s.pass(5 * time.Minute)
	if s.connect(5, "gate-1", keep).present {
		s.Errorf("the session is there four minutes after it has expired")
	}
}

func onceOverRestart(s *site) {
	away(s, 4, "watch")
	c := s.connect(5, "gate-1", keep)
	pk := publishPacket("in", "x", 2, 5)
	c.send(pk)
	c.acked(packets.Pubrec, 5)
	s.restart()
	c = s.connect(5, "gate-1", keep)
	if !c.present {
		s.Fatalf("the session is gone")
	}
	pk.FixedHeader.Dup = true
	c.send(pk)
	if code := c.acked(packets.Pubrec, 5); code >= 0x80 {
		s.Fatalf("PUBREC %#x for what was sent again", code)
	}
	release(c, 5)
	s.publisher.publish("in", "end", 1)
	if came := s.connect(4, "watch", keep).until(); len(came) != 1 {
		s.Errorf("it came %d times", len(came))
	}
}
