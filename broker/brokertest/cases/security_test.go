package cases

import (
	"strconv"
	"strings"
)

var securityCases = []testCase{
	{name: "a client id of the program's own", rows: []string{"2.9"}, run: reservedID},
	{name: "a will on a topic with a wildcard", rows: []string{"2.10"}, run: wildcardWill("abuse/#", "abuse/+")},
	{name: "a will on a topic of the broker's", rows: []string{"2.10"}, run: wildcardWill("$SYS/broker/version", "$SYS/broker/version")},
	{name: "a password in the log", rows: []string{"2.31"}, run: passwordInLog},
	{name: "a payload in the log", rows: []string{"2.31"}, run: payloadInLog},
}

func reservedID(s *site) {
	for _, version := range []byte{4, 5} {
		if ack := s.say(version).connect("inline"); ack.ReasonCode == 0 {
			s.Errorf("version %d: the client id inline is let in", version)
		}
	}
}

// wildcardWill leaves a will where no client may write: if it is let in at all,
// nobody may get it, then or later.
func wildcardWill(topic, filter string) func(*site) {
	return func(s *site) {
		watch := s.connect(4, "watch").subscribed(1, filter, "end")
		for _, version := range []byte{4, 5} {
			c := s.say(version)
			c.sayConnect("abuser", will(topic, "forged", true))
			_, _ = c.recv()
			_ = c.Close()
			s.connect(version, "abuser") // the will, if there is one, has been published before it is in
			s.settle()
		}
		s.publisher.publish("end", "end", 1)
		for _, pk := range append(watch.until(), s.connect(4, "late").kept(filter)...) {
			if string(pk.Payload) == "forged" {
				s.Errorf("the will on %s was published", topic)
			}
		}
	}
}

func passwordInLog(s *site) {
	const secret = "correct-horse-battery"
	c := s.connect(5, "gate-1")
	_ = c.put([]byte(hello(5, 0xc2, field("gate-1"), field("ann"), field(secret))))
	c.ended()
	c = s.say(4)
	_ = c.put([]byte(hello(4, 0xc3, field("gate-1"), field("ann"), field(secret)))) // the reserved flag
	c.ended()
	inLog(s, secret)
}

func payloadInLog(s *site) {
	const secret = "staple-of-secrets"
	c := s.connect(5, "gate-1")
	_ = c.put([]byte(frame(0x30, field("a"), props("\x0b\x01"), secret)))
	c.ended()
	c = s.connect(5, "gate-1")
	_ = c.put([]byte(frame(0x32, field("a"), "\x00\x00", props(), secret)))
	c.ended()
	inLog(s, secret)
}

// inLog fails where a secret stands in the log, as text or as a list of bytes.
func inLog(s *site, secret string) {
	text := s.log.String()
	var bytes []string
	for _, b := range []byte(secret) {
		bytes = append(bytes, strconv.Itoa(int(b)))
	}
	if strings.Contains(text, secret) || strings.Contains(text, strings.Join(bytes, " ")) {
		s.Errorf("%q stands in the log", secret)
	}
}
