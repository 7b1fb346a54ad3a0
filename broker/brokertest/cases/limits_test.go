package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
)

var limitCases = []testCase{
	{name: "a filter of 3,000 levels", rows: []string{"2.23"}, run: deepFilter},
	{name: "a will on a topic of 3,000 levels", rows: []string{"2.23"}, run: deepWill},
	{name: "a filter that is no filter", rows: []string{"2.32"}, run: badFilters},
	{name: "more subscriptions than one client may have", rows: []string{"2.24"}, run: manySubscriptions,
		setup: setup{ours: func(c *broker.Config) { c.MaxSubscriptions = 100 }}},
	{name: "more messages than may wait for one client", rows: []string{"2.19"}, run: fullQueue,
		setup: setup{ours: func(c *broker.Config) { c.MaxQueue = 100 }}},
	{name: "more bytes than may wait for one client", rows: []string{"2.19"}, run: heavyQueue,
		setup: setup{ours: func(c *broker.Config) { c.MaxQueueBytes = 64 << 10 }}},
	{name: "more retained topics than one client may have", rows: []string{"2.24"}, run: manyTopics,
		setup: setup{ours: func(c *broker.Config) { c.MaxRetained = 50 }}},
	{name: "more retained bytes than one client may have", rows: []string{"2.24"}, run: manyBytes,
		setup: setup{ours: func(c *broker.Config) { c.MaxRetainedBytes = 64 << 10 }}},
	{name: "more clients than may connect", rows: []string{"2.2"}, run: manyClients,
		setup: setup{ours: func(c *broker.Config) { c.MaxConnections, c.MaxPerAddr = 10, 10 }}},
	{name: "a message too large for the subscriber", rows: []string{"RELIABILITY 2"}, bare: passes, run: tooLargeForOne},
}

// refused fails where a filter is granted: it is refused with a code, or the
// connection ends.
func refused(s *site, version byte, filter string) {
	c := s.connect(version, "gate-1")
	c.send(subscribePacket(1, 1, filter))
	pk, err := c.recv()
	switch {
	case err != nil && isTimeout(err):
		s.Fatalf("no answer to a SUBSCRIBE to %.40q", filter)
	case err != nil || pk.FixedHeader.Type == packets.Disconnect:
	case pk.FixedHeader.Type != packets.Suback:
		s.Fatalf("%s came, want SUBACK", packets.PacketNames[pk.FixedHeader.Type])
	case pk.ReasonCodes[0] < 0x80:
		s.Errorf("version %d: a subscription to %.40q is granted", version, filter)
	}
}

func deepFilter(s *site) {
	for _, version := range []byte{4, 5} {
		refused(s, version, strings.Repeat("a/", 3000)+"a")
	}
}

func deepWill(s *site) {
	topic := strings.Repeat("a/", 3000) + "a"
	watch := s.connect(4, "watch").subscribed(1, "a/#", "end")
	c := s.say(5)
	c.sayConnect("gate-1", will(topic, "x", true))
	_, _ = c.recv()
	_ = c.Close()
	s.connect(5, "gate-1") // the will, if there is one, has been published before it is in
	s.settle()
	s.publisher.publish("end", "end", 1)
	if n := len(watch.until()); n > 0 {
		s.Errorf("a will was published on a topic of 3,001 levels")
	}
}

func badFilters(s *site) {
	for _, version := range []byte{4, 5} {
		for _, filter := range []string{"a+", "sport#", "+a/b", "a/#/b", "#/a", "$share/crew", "$share//a", "$share/c+/a"} {
			refused(s, version, filter)
		}
	}
}

func manySubscriptions(s *site) {
	c := s.connect(5, "greedy")
	granted := 0
	for i := range 30 {
		filters := make([]string, 10)
		for k := range filters {
			filters[k] = fmt.Sprintf("greedy/%d/%d", i, k)
		}
		for _, code := range c.subscribe(0, filters...) {
			if code < 0x80 {
				granted++
			}
		}
	}
	if granted > 100 {
		s.Errorf("%d subscriptions are granted to one client", granted)
	}
}

// fullQueue checks that a queue has an end, and keeps what came first.
func fullQueue(s *site) {
	c := s.connect(4, "gate-1", keep).subscribed(1, "in", "end")
	c.goodbye()
	s.publishMany("in", 200)
	c = s.connect(4, "gate-1", keep)
	for i := range 100 {
		if pk := c.take(); string(pk.Payload) != fmt.Sprint(i) {
			s.Fatalf("%s came, want %d", pk.Payload, i)
		}
	}
	c.ping()
	s.publisher.publish("end", "end", 1)
	if n := len(c.until()); n > 0 {
		s.Errorf("%d messages have waited, want 100", 100+n)
	}
}

func tooLargeForOne(s *site) {
	c := s.connect(5, "small", func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 200 }).subscribed(1, "in", "end")
	s.publisher.publish("in", strings.Repeat("x", 1000), 1)
	s.publisher.publish("end", "end", 1)
	if n := len(c.until()); n > 0 {
		s.Errorf("%d messages came that are larger than the client takes", n)
	}
}

func heavyQueue(s *site) {
	away(s, 4, "gate-1")
	for range 200 {
		s.publisher.publish("in", strings.Repeat("x", 1000), 1)
	}
	c := s.connect(4, "gate-1", keep)
	s.settle()
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	n := 0
	for {
		pk, err := c.recv()
		if err != nil {
			s.Fatalf("after %d messages: %v", n, err)
		}
		if pk.FixedHeader.Type == packets.Pingresp {
			break
		}
		n++
	}
	if n > 65 {
		s.Errorf("%d messages of 1,000 bytes have waited, want at most 65", n)
	}
}

// retainedOf counts what a new subscriber gets of a tree.
func retainedOf(s *site, filter string) int {
	return len(s.connect(4, "watch").kept(filter))
}

func manyTopics(s *site) {
	for _, version := range []byte{4, 5} {
		c := s.connect(version, fmt.Sprint("greedy-", version))
		for i := range 80 {
			c.publish(fmt.Sprintf("v%d/%d", version, i), "x", 1, retained)
		}
		c.publish(fmt.Sprintf("v%d/7", version), "new", 1, retained) // one that it has already
		if n := retainedOf(s, fmt.Sprintf("v%d/+", version)); n != 50 {
			s.Errorf("version %d: %d topics of one client are retained, want 50", version, n)
		}
	}
}

func manyBytes(s *site) {
	c := s.connect(5, "greedy")
	last := byte(0)
	for i := range 100 {
		last = c.publish(fmt.Sprint("big/", i), strings.Repeat("x", 1000), 1, retained)
	}
	if last != packets.ErrQuotaExceeded.Code {
		s.Errorf("the answer is %#x, want quota exceeded", last)
	}
	if n := retainedOf(s, "big/+"); n > 65 {
		s.Errorf("%d messages of 1,000 bytes of one client are retained", n)
	}
}

func manyClients(s *site) {
	for i := range 8 { // the pair has two of ten
		s.connect(4, fmt.Sprint("client-", i))
	}
	for version, want := range map[byte][]byte{4: {3}, 5: {packets.ErrServerBusy.Code, packets.ErrQuotaExceeded.Code}} {
		if ack := s.say(version).connect("one-more"); !slices.Contains(want, ack.ReasonCode) {
			s.Errorf("version %d: CONNACK %#x to the eleventh client, want one of %#x", version, ack.ReasonCode, want)
		}
	}
	s.connect(4, "client-3").ping() // it takes its own place
}
