package cases

import (
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"
)

// identityCases are about who may do what. Each is set up with some persons;
// the pair has rights on its own topics.
var identityCases = []testCase{
	{name: "a stranger takes a connected client's id", rows: []string{"2.8", "CVE-2026-33215"}, setup: setup{people: hall}, run: idTheft},
	{name: "a stranger takes an absent client's session", rows: []string{"2.8", "CVE-2026-33215"}, setup: setup{people: hall}, run: sessionTheft},
	{name: "a will on another's topic", rows: []string{"2.10", "CVE-2026-33217"}, setup: setup{people: hall}, run: willOfAnother},
	{name: "a rule is for its topic and not for what is below", rows: []string{"2.11"}, setup: setup{people: hall}, run: notBelow},
	{name: "who has no rule may nothing", rows: []string{"2.11", "CVE-2018-12550"}, setup: setup{people: hall}, run: noRule},
	{name: "a denial before a permission stands", rows: []string{"2.11", "CVE-2022-29946"}, setup: setup{people: hall}, run: denialStands},
	{name: "a shared subscription is read as its filter", rows: []string{"2.12"}, setup: setup{people: hall}, run: sharedRights},
	{name: "a wildcard wider than the rule", rows: []string{"2.12"}, setup: setup{people: hall}, run: widerThanRule},
	{name: "a refused publication is answered and not delivered", rows: []string{"2.13", "2.14"}, setup: setup{people: hall}, run: refusedPublication},
	{name: "two tenants do not meet", rows: []string{"5.tenants"}, setup: setup{people: tenants}, run: tenantsApart,
		bare: unruled, because: "it has none"},
}

// person is somebody who may sign in with a name, and may do what is listed.
// A rule with "!" denies; the first that fits decides.
type person struct {
	name, tenant       string
	publish, subscribe []string
}

var hall = []person{
	{name: "gate-1", publish: []string{"!hall/secret/#", "hall/#"}, subscribe: []string{"hall/#", "end", "hall-2"}},
	{name: "gate-2", publish: []string{"end", "exact/a"}, subscribe: []string{"exact/a", "end"}},
	{name: "nobody"},
}

func sessionOf(s *site, name string) *client {
	return s.connect(4, name, as(name), keep).subscribed(1, "hall/#", "end")
}

func idTheft(s *site) {
	owner := sessionOf(s, "gate-1")
	if ack := s.say(4).connect("gate-1", as("gate-2")); ack.ReasonCode == 0 {
		s.Errorf("gate-2 is let in as gate-1")
	}
	owner.ping()
}

func sessionTheft(s *site) {
	sessionOf(s, "gate-1").goodbye()
	s.connect(4, "gate-2", as("gate-2")).publish("end", "end", 1)
	if ack := s.say(4).connect("gate-1", as("nobody"), keep); ack.ReasonCode == 0 {
		s.Errorf("nobody is let in as gate-1, session present: %t", ack.SessionPresent)
	}
	if c := s.connect(4, "gate-1", as("gate-1"), keep); !c.present || len(c.until()) > 0 {
		s.Errorf("the session of gate-1 is gone")
	}
}

func willOfAnother(s *site) {
	owner := sessionOf(s, "gate-1")
	for _, version := range []byte{4, 5} {
		c := s.say(version)
		c.sayConnect("gate-2", as("gate-2"), will("hall/x", "forged", false))
		_, _ = c.recv()
		_ = c.Close()
		other := s.connect(version, "gate-2", as("gate-2"))
		s.settle()
		other.publish("end", "end", 1)
		for _, pk := range owner.until() {
			s.Errorf("version %d: the will on %s was published", version, pk.TopicName)
		}
	}
}

// denied fails where a subscription is granted.
func denied(s *site, c *client, filters ...string) {
	for i, code := range c.subscribe(1, filters...) {
		if code < 0x80 {
			s.Errorf("%sa subscription to %s is granted", c.what, filters[i])
		}
	}
}

func notBelow(s *site) {
	c := s.connect(5, "gate-2", as("gate-2")).subscribed(1, "exact/a")
	denied(s, c, "exact/a/b", "exact/a/#", "exact/+", "exact")
	watch := s.connect(5, "gate-1", as("gate-1"))
	denied(s, watch, "exact/a/b")
	if code := c.publish("exact/a/b", "x", 1); code < 0x80 {
		s.Errorf("a publication below the topic of the rule is taken")
	}
}

func noRule(s *site) {
	owner := sessionOf(s, "gate-1")
	for _, version := range []byte{4, 5} {
		c := s.connect(version, "nobody", as("nobody"))
		denied(s, c, "hall/#", "#", "+", "hall/x")
		for qos := byte(0); qos < 3; qos++ {
			c.publish("hall/x", "x", qos)
		}
		s.connect(4, "gate-2", as("gate-2")).publish("end", "end", 1)
		for range owner.until() {
			s.Errorf("version %d: a publication of nobody's was delivered", version)
		}
	}
}

// denialStands tries often: where rules have no order, now one decides, now the
// other.
func denialStands(s *site) {
	owner := sessionOf(s, "gate-1")
	for i := range 1000 {
		owner.send(publishPacket("hall/secret/x", fmt.Sprint(i), 0, 0))
	}
	owner.send(publishPacket("hall/x", "end", 0, 0))
	if n := len(owner.until()); n > 0 {
		s.Errorf("%d of 1,000 denied publications were delivered", n)
	}
}

func sharedRights(s *site) {
	owner := sessionOf(s, "gate-1").subscribed(1, "$share/crew/hall/#")
	for _, version := range []byte{4, 5} {
		denied(s, s.connect(version, "nobody", as("nobody")), "$share/crew/hall/#", "$SHARE/crew/hall/#", "$share/crew/#", "$share/other/hall/x")
	}
	for i := range 20 {
		owner.send(publishPacket("hall/x", fmt.Sprint(i), 0, 0))
	}
	owner.send(publishPacket("hall/x", "end", 0, 0))
	if n := len(owner.until()); n < 20 {
		s.Errorf("%d of 20 came to the one who may read them", n)
	}
}

// widerThanRule: what a client may not read it may not get by asking for more.
func widerThanRule(s *site) {
	owner := s.connect(4, "gate-1", as("gate-1"))
	owner.publish("hall/kept", "old", 1, retained)
	for _, version := range []byte{4, 5} {
		c := s.connect(version, "gate-2", as("gate-2")).subscribed(1, "end")
		c.subscribe(1, "#", "+/#", "hall/+", "+/+")
		owner.publish("hall/x", "x", 1)
		s.connect(4, "gate-2:b", as("gate-2")).publish("end", "end", 1)
		for _, pk := range c.until() {
			if pk.TopicName != "end" {
				s.Errorf("version %d: %s came to who may not read it", version, pk.TopicName)
			}
		}
	}
}

func refusedPublication(s *site) {
	owner := sessionOf(s, "gate-1")
	c := s.connect(5, "gate-2", as("gate-2"))
	for qos := byte(1); qos < 3; qos++ {
		if code := c.publish("hall/x", "x", qos); code != packets.ErrNotAuthorized.Code {
			s.Errorf("QoS %d: the answer is %#x, want not authorized", qos, code)
		}
	}
	// A client of 3.1.1 that is refused is not thrown out: its next message counts.
	old := s.connect(4, "gate-2", as("gate-2"))
	for qos := byte(0); qos < 3; qos++ {
		old.publish("hall/x", "x", qos)
	}
	old.publish("end", "end", 1)
	for _, pk := range owner.until() {
		s.Errorf("the refused publication on %s was delivered", pk.TopicName)
	}
}

var tenants = []person{
	{name: "ann", publish: []string{"#"}, subscribe: []string{"#"}},
	{name: "eve", tenant: "acme", publish: []string{"#"}, subscribe: []string{"#"}},
}

func tenantsApart(s *site) {
	ann := s.connect(5, "ann", as("ann")).subscribed(1, "#", "+/#", "$share/crew/#")
	eve := s.connect(5, "eve", as("eve"), will("hall/x", "gone", true)).subscribed(1, "hall/#")
	eve.publish("hall/x", "acme's", 1, retained, func(pk *packets.Packet) { pk.Properties.ResponseTopic = "reply/eve" })
	if got := eve.take(); got.TopicName != "hall/x" || got.Properties.ResponseTopic != "reply/eve" {
		s.Errorf("eve got %s with response topic %q of her own tenant", got.TopicName, got.Properties.ResponseTopic)
	}
	ann.ping() // passes over what came
	late := s.connect(5, "ann:2", as("ann")).subscribed(1, "#", "hall/#")
	late.publish("end", "end", 1)
	for _, c := range []*client{ann, late} {
		for _, pk := range c.until() {
			s.Errorf("%s got %s of another tenant: %q", c.id, pk.TopicName, pk.Payload)
		}
	}
	denied(s, ann, "@acme/#", "@acme/hall/x", "$share/crew/@acme/#")
}
