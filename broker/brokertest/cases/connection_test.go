package cases

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
)

// soon has ours wait for CONNECT no longer than a test can, and long enough for a
// client that says it at once on a busy machine.
func soon(c *broker.Config) { c.ConnectTimeout = 5 * time.Second }

var connectionCases = []testCase{
	{name: "a connection that says nothing", rows: []string{"2.2", "3.4"}, setup: setup{ours: soon}, run: func(s *site) {
		s.say(4).ended()
	}},
	{name: "half a CONNECT", rows: []string{"2.2"}, setup: setup{ours: soon}, run: func(s *site) {
		c := s.say(4)
		_ = c.put([]byte("\x10\x10\x00\x04MQ"))
		c.ended()
	}},
	{name: "a CONNECT that comes byte by byte", rows: []string{"2.2"}, on: inBubble, run: byteByByte},
	{name: "200 connections that say nothing", rows: []string{"2.2", "3.4"}, setup: setup{ours: soon}, run: func(s *site) {
		var all [200]*client
		for i := range all {
			all[i] = s.say(4)
		}
		s.checkPair()
		for _, c := range all {
			c.ended()
		}
	}},
	{name: "a newcomer among silent connections at the cap", rows: []string{"5.half-open"}, run: atTheCap,
		setup: setup{ours: func(c *broker.Config) { c.MaxHalfOpen = 8 }}, bare: unruled, because: "it has no cap, so there is nothing to make room in"},
	{name: "a subscriber that does not read", rows: []string{"2.4", "5.connection"}, run: stuckSubscriber, bareWaits: true},
	{name: "a subscriber that does not read, at QoS 0", rows: []string{"2.4", "5.connection"}, run: stuckSubscriberQoS0, bare: passes},
	{name: "a client comes back while its old connection hangs", rows: []string{"2.5", "5.takeover"}, run: backWhileHung, bareWaits: true},
	{name: "the broker stops while a connection hangs", rows: []string{"2.5"}, run: stopWhileHung, on: onSocket},
	{name: "more connections than descriptors", rows: []string{"2.6"}, run: noDescriptors, on: inChild, setup: setup{ours: soon}},
	{name: "a keep-alive of more than 16 bits with the grace", rows: []string{"2.7"}, on: inBubble, setup: setup{bare: seldom}, run: func(s *site) {
		c := s.connect(4, "gate-1", keepAlive(44000))
		s.pass(10 * time.Minute)
		c.ping()
	}},
	{name: "a client that falls silent", rows: []string{"2.7"}, on: inBubble, bare: passes, run: func(s *site) {
		s.connect(4, "gate-1", keepAlive(20)).ended()
	}},
	{name: "a client that wants no keep-alive", rows: []string{"2.7", "3.6", "CVE-2020-13849"}, on: inBubble, run: noKeepAlive,
		setup: setup{ours: func(c *broker.Config) { c.MaxKeepAlive = 10 * time.Minute }, bare: seldom}},
	{name: "a refused CONNECT is answered", rows: []string{"2.33"}, setup: setup{refuse: "nothing"}, run: func(s *site) {
		for _, version := range []byte{4, 5} {
			if ack := s.say(version).connect("tacet-hub"); ack.ReasonCode == 0 {
				s.Errorf("a client id of the hub's is let in over version %d", version)
			}
		}
	}},
	{name: "a connection that is taken over is told so", rows: []string{"2.5"}, bare: passes, run: func(s *site) {
		old := s.connect(5, "gate-1")
		s.do(func() {
			if code := old.ended(); code != packets.ErrSessionTakenOver.Code {
				s.Errorf("DISCONNECT %#x, want session taken over", code)
			}
		})
		s.connect(5, "gate-1")
	}},
	{name: "a client comes back at once", rows: []string{"2.35", "5.takeover"}, run: backAtOnce,
		bare: unruled, because: "a race: 6 of 3,000 were deaf"},
	{name: "a will comes before the birth after it", rows: []string{"2.27", "5.takeover"}, run: willThenBirth,
		bare: unruled, because: "a race: 0 of 40 were out of order on the library alone"},
	{name: "many fight for one client id", rows: []string{"2.5", "5.takeover"}, run: manyForOne,
		bare: unruled, because: "who wins is a race, and nothing of it is a named fault"},
	{name: "clients that reset their connections under load", rows: []string{"mochi #107"}, run: resets, on: onSocket,
		bare: unruled, because: "mended in the library; what is left is a race"},
	{name: "DISCONNECT twice", rows: []string{"mochi #88"}, bare: passes, run: func(s *site) {
		c := s.connect(4, "gate-1")
		_ = c.put([]byte{0xe0, 0, 0xe0, 0})
		c.ended()
	}},
}

// noKeepAlive: a broker that allows so much silence at most says so, and means it.
func noKeepAlive(s *site) {
	c := s.say(5)
	if ack := c.connect("gate-1", keepAlive(0)); !ack.Properties.ServerKeepAliveFlag || ack.Properties.ServerKeepAlive != 600 {
		s.Errorf("CONNACK has the keep-alive %d, want 600", ack.Properties.ServerKeepAlive)
	}
	s.pass(20 * time.Minute)
	c.ended()
}

func byteByByte(s *site) {
	c := s.say(4)
	hello := c.encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: strings.Repeat("x", 100), Clean: true},
	})
	for i := range hello {
		if err := c.put(hello[i : i+1]); err != nil {
			return // it has been cut
		}
		time.Sleep(time.Second)
	}
	s.Fatalf("it was let dawdle over CONNECT for %d s", len(hello))
}

// atTheCap opens more silent connections than may be, waits until those that
// were too many have made room, so that all have been there, and then comes as
// one more.
func atTheCap(s *site) {
	gone := make(chan struct{}, 20)
	var silent []*client
	for range cap(gone) {
		c := s.say(4)
		silent = append(silent, c)
		s.do(func() {
			_, _ = c.recv() // the end
			gone <- struct{}{}
		})
	}
	for range cap(gone) - 8 {
		<-gone
	}
	s.connect(4, "gate-1").ping()
	for _, c := range silent {
		_ = c.Close()
	}
}

// narrow keeps the system from taking much on behalf of a client that reads no
// more.
func narrow(c *client) {
	switch conn := c.Conn.(type) {
	case *net.TCPConn:
		_ = conn.SetReadBuffer(4 << 10)
	case *piped:
		conn.deaf.Store(true)
	}
}

// stuck is a client that has subscribed, and reads no more.
func stuck(s *site, id, filter string, qos byte) *client {
	c := s.connect(4, id).subscribed(qos, filter)
	narrow(c)
	return c
}

func stuckSubscriber(s *site) {
	stuck(s, "stuck", "news", 1)
	fine := s.connect(4, "fine").subscribed(1, "news")
	paper := s.connect(4, "paper")
	for i := range 600 {
		paper.what = fmt.Sprintf("publisher, message %d: ", i)
		paper.publish("news", strings.Repeat("x", 8000), 1)
		fine.take()
	}
}

func stuckSubscriberQoS0(s *site) {
	stuck(s, "stuck", "news", 0)
	paper := s.connect(4, "paper")
	for range 600 {
		paper.publish("news", strings.Repeat("x", 8000), 0)
	}
	paper.ping()
}

func backWhileHung(s *site) {
	for _, version := range []byte{4, 5} {
		topic := fmt.Sprint("news of ", version)
		stuck(s, "gate-1", topic, 1)
		paper := s.connect(4, "paper")
		for range 300 {
			paper.send(publishPacket(topic, strings.Repeat("x", 8000), 0, 0))
		}
		paper.ping() // else a message on its way finds the client by its id, whoever that is by then
		_ = paper.Close()
		s.connect(version, "gate-1").subscribed(1, "new")
	}
}

func stopWhileHung(s *site) {
	stuck(s, "stuck", "news", 0)
	paper := s.connect(4, "paper")
	for range 1000 {
		paper.send(publishPacket("news", strings.Repeat("x", 8000), 0, 0))
	}
	paper.ping()
	stopped := make(chan struct{})
	s.do(func() {
		s.server.close()
		close(stopped)
	})
	late := time.NewTimer(s.patience)
	defer late.Stop()
	select {
	case <-stopped:
		s.stopped = true
	case <-late.C:
		s.hangUp()
		s.Fatalf("it does not stop")
	}
}

// noDescriptors holds more silent connections than the broker can: a client
// that speaks gets in all the same.
func noDescriptors(s *site) {
	many := make([]net.Conn, 0, 600)
	for range cap(many) {
		many = append(many, s.dial())
	}
	s.connect(4, "gate-1").ping()
	for _, conn := range many {
		_ = conn.Close()
	}
	s.connect(4, "gate-2").ping()
}

func backAtOnce(s *site) {
	paper := s.connect(4, "paper")
	for i := range 150 {
		c := s.connect(4, "gate-1").subscribed(1, "to/gate-1")
		paper.publish("to/gate-1", "x", 1)
		c.what = fmt.Sprintf("connection %d: ", i)
		c.take()
		if i%2 == 0 {
			_ = c.Close() // the others are taken over
		}
	}
}

func willThenBirth(s *site) {
	watch := s.connect(4, "watch").subscribed(1, "status/gate-1")
	for i := range 40 {
		c := s.connect(4, "gate-1", will("status/gate-1", fmt.Sprint("gone ", i), true))
		if i > 0 {
			if got := watch.take(); string(got.Payload) != fmt.Sprint("gone ", i-1) {
				s.Fatalf("%q came, want the will of connection %d", got.Payload, i-1)
			}
		}
		c.publish("status/gate-1", fmt.Sprint("here ", i), 1, retained)
		if got := watch.take(); string(got.Payload) != fmt.Sprint("here ", i) {
			s.Fatalf("%q came, want the birth of connection %d", got.Payload, i)
		}
		if i%3 == 0 {
			_ = c.Close()
		}
	}
}

func manyForOne(s *site) {
	var answered, ended sync.WaitGroup
	for range 50 {
		c := s.say(5)
		answered.Add(1)
		ended.Go(func() {
			defer c.ended()
			defer answered.Done()
			if c.put(c.encode(c.connectPacket("gate-1"))) == nil { // else it was too late, and had to make room
				_, _ = c.recv() // CONNACK, or the end
			}
		})
	}
	answered.Wait()
	last := s.connect(5, "gate-1").subscribed(1, "to/gate-1")
	s.publisher.publish("to/gate-1", "x", 1)
	last.take()
	ended.Wait()
}

func resets(s *site) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 25 {
				c := s.connect(byte(4+n%2), fmt.Sprintf("r-%d-%d", i, n), will("wills", "x", n%3 == 0))
				c.send(subscribePacket(1, byte(n%3), "load/#"))
				for k := range 5 {
					c.send(publishPacket(fmt.Sprintf("load/%d", i), "x", 0, 0))
					c.send(publishPacket(fmt.Sprintf("load/%d", i), "x", 1, uint16(100+k)))
				}
				_ = c.Conn.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
	}
	all.Wait()
}
