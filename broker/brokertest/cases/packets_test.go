package cases

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// field is bytes with their length before them.
func field(s string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s
}

// frame is a packet of a first byte and a body.
func frame(first byte, body ...string) string {
	all := strings.Join(body, "")
	return string(binary.AppendUvarint([]byte{first}, uint64(len(all)))) + all
}

// props is properties with their length before them.
func props(all ...string) string {
	s := strings.Join(all, "")
	return string(binary.AppendUvarint(nil, uint64(len(s)))) + s
}

// hello is a CONNECT with the given flags, which what follows must fit.
func hello(version, flags byte, rest ...string) string {
	head := field("MQTT") + string([]byte{version, flags, 0, 60})
	if version == 5 {
		head += props()
	}
	return frame(0x10, append([]string{head}, rest...)...)
}

// bad is bytes upon which the connection must end, of clients of these versions
// (empty: that have not connected).
type bad struct {
	name     string
	versions string // "4", "5", "45"
	bytes    string
	rows     []string
	bare     verdict
}

const announced = "\xff\xff\xff\x7f" // a remaining length of 256 MiB less one byte

var badBytes = []bad{
	// Before CONNECT.
	{name: "PUBLISH before CONNECT", bytes: frame(0x30, field("a"), "x"), rows: []string{"CVE-2023-0809"}, bare: passes},
	{name: "a large packet before CONNECT", bytes: "\x30" + announced + "x", rows: []string{"2.3", "3.5", "CVE-2023-0809"}, bare: passes},
	{name: "CONNACK before CONNECT", bytes: frame(0x20, "\x00\x00"), rows: []string{"CVE-2021-28166"}, bare: passes},
	{name: "SUBSCRIBE before CONNECT", bytes: frame(0x82, "\x00\x01", field("a"), "\x00"), bare: passes},
	{name: "PINGREQ before CONNECT", bytes: "\xc0\x00", bare: passes},
	{name: "DISCONNECT before CONNECT", bytes: "\xe0\x00", bare: passes},
	{name: "a packet of type 0 before CONNECT", bytes: "\x00\x00", bare: passes},
	{name: "HTTP on the MQTT port", bytes: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", bare: passes},
	{name: "TLS on the port without it", bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 64), bare: passes},
	{name: "CONNECT that announces 256 MiB", bytes: "\x10" + announced + "x", rows: []string{"2.3", "3.5", "CVE-2026-27571"}},
	{name: "CONNECT with a length of five bytes", bytes: "\x10\xff\xff\xff\xff\x01", bare: passes},
	{name: "CONNECT without a body", bytes: "\x10\x00", bare: passes},
	{name: "CONNECT of a protocol unheard of", bytes: frame(0x10, field("XMPP"), "\x04\x02\x00\x3c", field("a")), bare: passes},
	{name: "CONNECT of a version to come", bytes: frame(0x10, field("MQTT"), "\x06\x02\x00\x3c", field("a")), bare: passes},
	{name: "CONNECT with the reserved flag", bytes: hello(4, 0x03, field("a")), bare: passes},
	{name: "CONNECT with flags in its header", bytes: "\x11" + hello(4, 0x02, field("a"))[1:], bare: passes},
	{name: "CONNECT with a will of QoS 3", bytes: hello(4, 0x1e, field("a"), field("w"), field("x")), bare: passes},
	{name: "CONNECT with a will's QoS and no will", bytes: hello(4, 0x0a, field("a"))},
	{name: "CONNECT with a retained will and no will", bytes: hello(4, 0x22, field("a")), bare: passes},
	{name: "CONNECT with a will without a topic", bytes: hello(4, 0x06, field("a"), field(""), field("x")), bare: passes},
	{name: "CONNECT with a password and no name", bytes: hello(4, 0x42, field("a"), field("x"))},
	{name: "CONNECT with a client id of no text", bytes: hello(4, 0x02, field("\xff\xfe")), bare: passes},
	{name: "CONNECT with a zero in the client id", bytes: hello(4, 0x02, field("a\x00b")), bare: passes},
	{name: "CONNECT with a client id longer than itself", bytes: hello(4, 0x02, "\x00\x20a"), bare: passes},
	{name: "CONNECT with no client id and a session to keep", bytes: hello(4, 0x00, field("")), bare: passes},
	{name: "CONNECT with properties longer than itself", bytes: frame(0x10, field("MQTT"), "\x05\x02\x00\x3c", "\x7f", field("a")), bare: passes},
	{name: "CONNECT with a property of PUBLISH", bytes: frame(0x10, field("MQTT"), "\x05\x02\x00\x3c", props("\x23\x00\x05"), field("a")), bare: passes},

	// What only a broker says.
	{name: "a second CONNECT", versions: "45", bytes: "", bare: passes}, // its bytes depend on the version
	{name: "CONNACK from a client", versions: "45", bytes: frame(0x20, "\x00\x00"), rows: []string{"CVE-2021-28166"}},
	{name: "SUBACK from a client", versions: "45", bytes: frame(0x90, "\x00\x01\x00\x00")},
	{name: "UNSUBACK from a client", versions: "45", bytes: frame(0xb0, "\x00\x01\x00\x00")},
	{name: "PINGRESP from a client", versions: "45", bytes: "\xd0\x00"},
	{name: "a packet of type 0", versions: "45", bytes: "\x00\x00"},
	{name: "AUTH over 3.1.1", versions: "4", bytes: "\xf0\x00", bare: passes},
	{name: "AUTH that nobody asked for", versions: "5", bytes: frame(0xf0, "\x18", props("\x15"+field("SCRAM")))},

	// PUBLISH.
	{name: "PUBLISH of QoS 3", versions: "45", bytes: frame(0x36, field("a"), "\x00\x01", "\x00", "x")},
	{name: "PUBLISH again of QoS 0", versions: "45", bytes: frame(0x38, field("a"), "\x00", "x")},
	{name: "PUBLISH on a topic of no length", versions: "4", bytes: frame(0x30, field(""), "x"), rows: []string{"CVE-2021-34432"}, bare: passes},
	{name: "PUBLISH on a topic of no length, no alias", versions: "5", bytes: frame(0x30, field(""), props(), "x"), rows: []string{"CVE-2021-34432"}, bare: passes},
	{name: "PUBLISH on a topic with a wildcard", versions: "45", bytes: frame(0x30, field("a/#"), "\x00", "x"), rows: []string{"2.32"}, bare: passes},
	{name: "PUBLISH on a topic with a plus", versions: "45", bytes: frame(0x30, field("a/+/b"), "\x00", "x"), rows: []string{"2.32"}, bare: passes},
	{name: "PUBLISH on a topic with a zero", versions: "45", bytes: frame(0x30, field("a\x00b"), "\x00", "x")},
	{name: "PUBLISH on a topic of no text", versions: "45", bytes: frame(0x30, field("a\xc3\x28"), "\x00", "x")},
	{name: "PUBLISH on a topic with a surrogate", versions: "45", bytes: frame(0x30, field("a\xed\xa0\x80"), "\x00", "x")},
	{name: "PUBLISH on a topic of 65,535 bytes", versions: "45", bytes: frame(0x30, field(strings.Repeat("t", 65535)), "\x00", "x"), rows: []string{"2.23"}},
	{name: "PUBLISH on a topic of 30,000 levels", versions: "45", bytes: frame(0x30, field(strings.Repeat("/", 30000)), "\x00", "x"), rows: []string{"2.23"}},
	{name: "PUBLISH on a topic longer than itself", versions: "45", bytes: frame(0x30, "\x00\x20a")},
	{name: "PUBLISH with packet id 0", versions: "45", bytes: frame(0x32, field("a"), "\x00\x00", "\x00", "x"), bare: passes},
	{name: "PUBLISH that announces 256 MiB", versions: "45", bytes: "\x30" + announced + "x", rows: []string{"2.3", "3.5"}},
	{name: "PUBLISH with a length of five bytes", versions: "45", bytes: "\x30\xff\xff\xff\xff\x01x"},
	{name: "PUBLISH with properties longer than itself", versions: "5", bytes: frame(0x30, field("a"), "\x7fx")},
	{name: "PUBLISH with a property unheard of", versions: "5", bytes: frame(0x30, field("a"), props("\x7e\x00"), "x")},
	{name: "PUBLISH with a property of CONNECT", versions: "5", bytes: frame(0x30, field("a"), props("\x21\x00\x05"), "x")},
	{name: "PUBLISH with a subscription identifier", versions: "5", bytes: frame(0x30, field("a"), props("\x0b\x01"), "x"), bare: passes},
	{name: "PUBLISH with a topic alias of 0", versions: "5", bytes: frame(0x30, field("a"), props("\x23\x00\x00"), "x"), rows: []string{"2.13"}, bare: passes},
	{name: "PUBLISH with an alias nobody explained", versions: "5", bytes: frame(0x30, field(""), props("\x23\x00\x05"), "x"), rows: []string{"2.13"}},
	{name: "PUBLISH with an alias beyond what was announced", versions: "5", bytes: frame(0x30, field("a"), props("\x23\x00\x05"), "x"), rows: []string{"2.13"}},
	{name: "PUBLISH with a wildcard in its response topic", versions: "5", bytes: frame(0x30, field("a"), props("\x08"+field("r/#")), "x")},

	// SUBSCRIBE and UNSUBSCRIBE.
	{name: "SUBSCRIBE with wrong flags", versions: "45", bytes: ""},
	{name: "SUBSCRIBE to nothing", versions: "4", bytes: frame(0x82, "\x00\x01"), bare: passes},
	{name: "SUBSCRIBE to nothing, in 5", versions: "5", bytes: frame(0x82, "\x00\x01", props()), bare: passes},
	{name: "SUBSCRIBE with packet id 0", versions: "4", bytes: frame(0x82, "\x00\x00", field("a"), "\x00"), bare: passes},
	{name: "SUBSCRIBE with packet id 0, in 5", versions: "5", bytes: frame(0x82, "\x00\x00", props(), field("a"), "\x00"), bare: passes},
	{name: "SUBSCRIBE of QoS 3", versions: "4", bytes: frame(0x82, "\x00\x01", field("a"), "\x03"), bare: passes},
	{name: "SUBSCRIBE of QoS 3, in 5", versions: "5", bytes: frame(0x82, "\x00\x01", props(), field("a"), "\x03")},
	{name: "SUBSCRIBE with reserved options", versions: "4", bytes: frame(0x82, "\x00\x01", field("a"), "\xf1"), bare: passes},
	{name: "SUBSCRIBE with retain handling 3", versions: "5", bytes: frame(0x82, "\x00\x01", props(), field("a"), "\x31")},
	{name: "SUBSCRIBE with identifier 0", versions: "5", bytes: frame(0x82, "\x00\x01", props("\x0b\x00"), field("a"), "\x01")},
	{name: "SUBSCRIBE with a filter longer than itself", versions: "4", bytes: frame(0x82, "\x00\x01", "\x00\x20a"), bare: passes},
	{name: "SUBSCRIBE to no text", versions: "4", bytes: frame(0x82, "\x00\x01", field("a\xff"), "\x00"), bare: passes},
	{name: "UNSUBSCRIBE with wrong flags", versions: "4", bytes: frame(0xa0, "\x00\x01", field("a")), bare: passes},
	{name: "UNSUBSCRIBE from nothing", versions: "4", bytes: frame(0xa2, "\x00\x01"), bare: passes},

	// The rest.
	{name: "PUBACK with flags", versions: "45", bytes: frame(0x42, "\x00\x01")},
	{name: "PUBREL with wrong flags", versions: "45", bytes: frame(0x60, "\x00\x01")},
	{name: "PUBREL without an id", versions: "45", bytes: "\x62\x00"},
	{name: "PINGREQ with flags", versions: "45", bytes: "\xc1\x00"},
	{name: "DISCONNECT with flags", versions: "45", bytes: "\xe1\x00"},
	{name: "DISCONNECT that makes a session of none", versions: "5", bytes: frame(0xe0, "\x00", props("\x11\x00\x00\x00\x3c")), bare: passes},
}

// packetCases are the table above, and cases about many packets.
var packetCases = append(malformed(),
	testCase{name: "every packet cut short", rows: []string{"RELIABILITY 2"}, run: cutShort, bare: unruled, because: "no row says that it cannot"},
	testCase{name: "every packet on a connection that breaks", rows: []string{"RELIABILITY 2"}, run: brokenOff, bare: unruled, because: "no row says that it cannot"},
	testCase{name: "10,000 user properties", rows: []string{"CVE-2021-41039"}, run: userProperties, bare: passes},
	testCase{name: "QoS 2 ids that are never released", rows: []string{"CVE-2023-28366"}, run: neverReleased, bare: passes},
)

func malformed() (all []testCase) {
	for _, b := range badBytes {
		c := testCase{name: b.name, rows: b.rows, bare: b.bare, run: func(s *site) {
			if b.versions == "" {
				c := s.say(4)
				_ = c.put([]byte(b.bytes))
				c.ended()
			}
			for _, v := range b.versions {
				wrong(s, b, byte(v-'0'))
			}
		}}
		if c.rows == nil {
			c.rows = []string{"RELIABILITY 2"}
		}
		all = append(all, c)
	}
	return all
}

// wrong says bad bytes on a connection of a client that has a session. In MQTT
// 5 the client is told why it is cut.
func wrong(s *site, b bad, version byte) {
	c := s.connect(version, fmt.Sprint("bad-", version))
	c.what = fmt.Sprintf("over version %d: ", version)
	bytes := b.bytes
	switch b.name {
	case "a second CONNECT":
		bytes = hello(version, 0x02, field("again"))
	case "SUBSCRIBE with wrong flags":
		bytes = frame(0x80, "\x00\x01", map[byte]string{5: props()}[version], field("a"), "\x00")
	}
	_ = c.put([]byte(bytes))
	if code := c.ended(); version == 5 && code < 0x80 {
		s.Errorf("%sit is cut without a word", c.what)
	}
}

// samples is one packet of each type that a client sends.
func samples(c *client) map[string]packets.Packet {
	of := func(kind, qos byte) packets.FixedHeader { return packets.FixedHeader{Type: kind, Qos: qos} }
	all := map[string]packets.Packet{
		"PUBLISH 0": publishPacket("cut/topic", "payload", 0, 0), "PUBLISH 1": publishPacket("cut/topic", "payload", 1, 7), "PUBLISH 2": publishPacket("cut/topic", "payload", 2, 8),
		"PUBACK": {FixedHeader: of(packets.Puback, 0), PacketID: 9}, "PUBREC": {FixedHeader: of(packets.Pubrec, 0), PacketID: 9},
		"PUBREL": {FixedHeader: of(packets.Pubrel, 1), PacketID: 9}, "PUBCOMP": {FixedHeader: of(packets.Pubcomp, 0), PacketID: 9},
		"SUBSCRIBE":   subscribePacket(10, 1, "cut/one", "cut/two"),
		"UNSUBSCRIBE": {FixedHeader: of(packets.Unsubscribe, 1), PacketID: 11, Filters: packets.Subscriptions{{Filter: "cut/one"}}},
		"PINGREQ":     {FixedHeader: of(packets.Pingreq, 0)}, "DISCONNECT": {FixedHeader: of(packets.Disconnect, 0)},
	}
	if c.version == 5 {
		all["AUTH"] = packets.Packet{FixedHeader: of(packets.Auth, 0), ReasonCode: 0x18, Properties: packets.Properties{AuthenticationMethod: "SCRAM"}}
	}
	return all
}

// pieces calls try with every packet without its last bytes, in both versions.
func pieces(s *site, try func(c *client, name string, whole []byte, n int)) {
	for _, version := range []byte{4, 5} {
		fresh := func() *client { return s.connect(version, "cut") }
		c := fresh()
		all := samples(c)
		for name, pk := range all {
			whole := c.encode(pk)
			for n := 1; n < len(whole); n++ {
				try(fresh(), name, whole, n)
			}
		}
		whole := []byte(hello(version, 0xc6, map[byte]string{5: props()}[version], field("cut"), field("will"), field("x"), field("name"), field("word")))
		for n := 1; n < len(whole); n++ {
			c := s.say(version)
			try(c, "CONNECT", whole, n)
		}
	}
}

// cutShort makes the length say that what is left is all. Whether that is still
// a packet or not, an answer comes or the end does.
func cutShort(s *site) {
	pieces(s, func(c *client, name string, whole []byte, n int) {
		if n < 2 {
			_ = c.Close()
			return
		}
		short := append([]byte{whole[0], byte(n - 2)}, whole[2:n]...)
		_ = c.put(append(short, 0xc0, 0)) // PINGREQ: an answer to it, or the end
		for {
			pk, err := c.recv()
			if err == nil && pk.FixedHeader.Type != packets.Pingresp {
				continue
			}
			if err != nil && isTimeout(err) {
				s.Errorf("version %d: %s of %d of %d bytes: neither an answer nor the end", c.version, name, n, len(whole))
			}
			_ = c.Close()
			return
		}
	})
}

// brokenOff ends the connection after so many bytes.
func brokenOff(s *site) {
	pieces(s, func(c *client, _ string, whole []byte, n int) {
		_ = c.put(whole[:n])
		_ = c.Close()
	})
}

// userProperties are as many as an attacker likes: an answer comes or the end
// does, and nobody else waits.
func userProperties(s *site) {
	many := make([]packets.UserProperty, 10000)
	for i := range many {
		many[i] = packets.UserProperty{Key: "k", Val: "v"}
	}
	c := s.say(5)
	_ = c.put(c.encode(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "many", Clean: true},
		Properties:  packets.Properties{User: many},
	}))
	if ack, err := c.recv(); err == nil && ack.ReasonCode == 0 {
		pk := publishPacket("many", "x", 1, 1)
		pk.Properties.User = many
		_ = c.put(c.encode(pk))
		_, _ = c.recv()
	}
	s.connect(5, "gate-1").ping()
}

// neverReleased begins ever more QoS 2 messages. The broker may hold a bounded
// number of them.
func neverReleased(s *site) {
	c := s.connect(5, "greedy")
	s.do(func() {
		for id := 1; id < 1<<16; id++ {
			if c.put(c.encode(publishPacket("x", "x", 2, uint16(id)))) != nil {
				return
			}
		}
	})
	for n := 0; ; n++ {
		pk, err := c.recv()
		if err != nil || pk.FixedHeader.Type == packets.Disconnect {
			_ = c.Close()
			return
		}
		if n == 10000 {
			_ = c.Close()
			s.Fatalf("%d QoS 2 messages are open at once", n)
		}
	}
}
