package cases

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// client is one end of a connection that says exactly what a case tells it to.
// Every wait ends the case with the site's patience.
type client struct {
	early []packets.Packet // messages that came before an acknowledgement
	s     *site
	net.Conn
	in      *bufio.Reader
	version byte
	id      string
	what    string // begins its reports
	last    uint16 // packet id

	present bool // the broker had a session of its
}

// say opens a connection on which nothing has been said.
func (s *site) say(version byte) *client {
	conn := s.dial()
	return &client{s: s, Conn: conn, in: bufio.NewReader(conn), version: version}
}

// connect opens a connection and fails the case if it is not let in.
func (s *site) connect(version byte, id string, change ...func(*packets.Packet)) *client {
	c := s.say(version)
	if ack := c.connect(id, change...); ack.ReasonCode != 0 {
		s.Fatalf("%s is refused with %#x", id, ack.ReasonCode)
	}
	return c
}

// connect says CONNECT, with a clean session and a keep-alive of ten minutes
// unless the change says otherwise, and answers the CONNACK.
func (c *client) connect(id string, change ...func(*packets.Packet)) packets.Packet {
	c.sayConnect(id, change...)
	ack := c.expect(packets.Connack)
	c.present = ack.SessionPresent
	return ack
}

// sayConnect says CONNECT and does not wait for the answer.
func (c *client) sayConnect(id string, change ...func(*packets.Packet)) {
	c.send(c.connectPacket(id, change...))
}

// connectPacket is a CONNECT with a client id, which is the client's from now on.
func (c *client) connectPacket(id string, change ...func(*packets.Packet)) packets.Packet {
	c.id, c.what = id, id+": "
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: id, Clean: true, Keepalive: 600},
	}
	for _, f := range change {
		f(&pk)
	}
	return pk
}

// Changes of a CONNECT.

// keep asks for a session that stays.
func keep(pk *packets.Packet) {
	pk.Connect.Clean = false
	expiry(1000)(pk)
}

func expiry(seconds uint32) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = seconds, true
	}
}

// as signs in as a person.
func as(name string) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte(name)
		pk.Connect.PasswordFlag, pk.Connect.Password = true, []byte(password)
	}
}

// password is everybody's, and its hash at a cost that tests can pay.
const (
	password     = "secret"
	passwordHash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"
)

func will(topic, payload string, retain bool) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		w := &pk.Connect
		w.WillFlag, w.WillTopic, w.WillPayload, w.WillQos, w.WillRetain = true, topic, []byte(payload), 1, retain
	}
}

func keepAlive(seconds uint16) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Connect.Keepalive = seconds }
}

// encode is the packet as bytes.
func (c *client) encode(pk packets.Packet) []byte {
	pk.ProtocolVersion, pk.Mods.AllowResponseInfo = c.version, true
	switch pk.FixedHeader.Type {
	case packets.Subscribe, packets.Unsubscribe, packets.Pubrel:
		pk.FixedHeader.Qos = 1
	}
	var b bytes.Buffer
	encode := map[byte]func(*bytes.Buffer) error{
		packets.Connect: pk.ConnectEncode, packets.Publish: pk.PublishEncode,
		packets.Puback: pk.PubackEncode, packets.Pubrec: pk.PubrecEncode, packets.Pubrel: pk.PubrelEncode, packets.Pubcomp: pk.PubcompEncode,
		packets.Subscribe: pk.SubscribeEncode, packets.Unsubscribe: pk.UnsubscribeEncode,
		packets.Pingreq: pk.PingreqEncode, packets.Disconnect: pk.DisconnectEncode, packets.Auth: pk.AuthEncode,
	}[pk.FixedHeader.Type]
	if err := encode(&b); err != nil {
		c.s.Fatalf("%sencode %s: %v", c.what, packets.PacketNames[pk.FixedHeader.Type], err)
	}
	return b.Bytes()
}

func (c *client) send(pk packets.Packet) {
	if err := c.put(c.encode(pk)); err != nil {
		c.s.Fatalf("%ssend %s: %v", c.what, packets.PacketNames[pk.FixedHeader.Type], err)
	}
}

// put writes bytes.
func (c *client) put(p []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(c.s.patience))
	_, err := c.Write(p)
	return err
}

// recv answers the next packet.
func (c *client) recv() (packets.Packet, error) {
	if len(c.early) > 0 {
		pk := c.early[0]
		c.early = c.early[1:]
		return pk, nil
	}
	return c.read()
}

// read reads the next packet.
func (c *client) read() (packets.Packet, error) {
	pk := packets.Packet{ProtocolVersion: c.version}
	_ = c.SetReadDeadline(time.Now().Add(c.s.patience))
	head, err := c.in.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(head); err != nil {
		return pk, err
	}
	n, _, err := packets.DecodeLength(c.in)
	if err != nil {
		return pk, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return pk, err
	}
	pk.FixedHeader.Remaining = n
	decode := map[byte]func([]byte) error{
		packets.Connack: pk.ConnackDecode, packets.Publish: pk.PublishDecode, packets.Suback: pk.SubackDecode,
		packets.Unsuback: pk.UnsubackDecode, packets.Puback: pk.PubackDecode, packets.Pubrec: pk.PubrecDecode,
		packets.Pubrel: pk.PubrelDecode, packets.Pubcomp: pk.PubcompDecode, packets.Disconnect: pk.DisconnectDecode,
		packets.Auth: pk.AuthDecode, packets.Pingresp: func([]byte) error { return nil },
	}[pk.FixedHeader.Type]
	if decode == nil {
		return pk, fmt.Errorf("a packet of type %d came from a broker", pk.FixedHeader.Type)
	}
	return pk, decode(body)
}

// expect reads the next packet, which must be of the type.
func (c *client) expect(kind byte) packets.Packet {
	pk, err := c.recv()
	if err != nil {
		c.s.Fatalf("%swaiting for %s: %v", c.what, packets.PacketNames[kind], err)
	}
	if pk.FixedHeader.Type != kind {
		c.s.Fatalf("%s%s %#x came, want %s", c.what, packets.PacketNames[pk.FixedHeader.Type], pk.ReasonCode, packets.PacketNames[kind])
	}
	return pk
}

// ended reads until the connection ends, and answers the reason that a
// DISCONNECT or CONNACK gave; 0: none.
func (c *client) ended() (reason byte) {
	for {
		pk, err := c.recv()
		switch {
		case err != nil && isTimeout(err):
			c.s.Fatalf("%sthe connection is still open", c.what)
		case err != nil:
			return reason
		case pk.FixedHeader.Type == packets.Disconnect || pk.FixedHeader.Type == packets.Connack:
			reason = pk.ReasonCode
		}
	}
}

// ping fails the case unless the connection works. Messages that come
// meanwhile are passed over.
func (c *client) ping() {
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	for {
		pk, err := c.recv()
		if err != nil {
			c.s.Fatalf("%swaiting for PINGRESP: %v", c.what, err)
		}
		if pk.FixedHeader.Type == packets.Pingresp {
			return
		}
		if pk.FixedHeader.Type != packets.Publish {
			c.s.Fatalf("%s%s %#x came, want PINGRESP", c.what, packets.PacketNames[pk.FixedHeader.Type], pk.ReasonCode)
		}
	}
}

func (c *client) id16() uint16 {
	c.last++
	return c.last
}

// subscribe answers what SUBACK says to each filter.
func (c *client) subscribe(qos byte, filters ...string) []byte {
	c.send(subscribePacket(c.id16(), qos, filters...))
	return c.expect(packets.Suback).ReasonCodes
}

// subscribed is subscribe where nothing may be refused.
func (c *client) subscribed(qos byte, filters ...string) *client {
	for i, code := range c.subscribe(qos, filters...) {
		if code > 2 {
			c.s.Fatalf("%ssubscription to %.60s is refused with %#x", c.what, filters[i], code)
		}
	}
	return c
}

// publish sends a message and waits until it is acknowledged as its QoS has it.
// It answers the reason of the acknowledgement.
func (c *client) publish(topic, payload string, qos byte, change ...func(*packets.Packet)) byte {
	pk := publishPacket(topic, payload, qos, 0)
	if qos > 0 {
		pk.PacketID = c.id16()
	}
	for _, f := range change {
		f(&pk)
	}
	c.send(pk)
	switch qos {
	case 1:
		return c.acked(packets.Puback, pk.PacketID)
	case 2:
		if code := c.acked(packets.Pubrec, pk.PacketID); code >= 0x80 {
			return code
		}
		c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: pk.PacketID})
		return c.acked(packets.Pubcomp, pk.PacketID)
	}
	return 0
}

func (c *client) acked(kind byte, id uint16) byte {
	ack, err := c.read()
	for ; err == nil && ack.FixedHeader.Type == packets.Publish; ack, err = c.read() {
		c.early = append(c.early, ack) // a message may come before its acknowledgement
	}
	if err != nil || ack.FixedHeader.Type != kind {
		c.s.Fatalf("%swaiting for %s: %s %#x, %v", c.what, packets.PacketNames[kind], packets.PacketNames[ack.FixedHeader.Type], ack.ReasonCode, err)
	}
	if ack.PacketID != id {
		c.s.Fatalf("%s%s for %d, want for %d", c.what, packets.PacketNames[kind], ack.PacketID, id)
	}
	return ack.ReasonCode
}

func retained(pk *packets.Packet) { pk.FixedHeader.Retain = true }

// take reads the next message and acknowledges it. Handshakes of QoS 2 that are
// under way are carried on.
func (c *client) take() packets.Packet {
	for {
		pk, err := c.recv()
		if err != nil {
			c.s.Fatalf("%swaiting for a message: %v", c.what, err)
		}
		switch pk.FixedHeader.Type {
		case packets.Publish:
			c.ack(pk)
			return pk
		case packets.Pubrel:
			c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: pk.PacketID})
		default:
			c.s.Fatalf("%s%s %#x came, want a message", c.what, packets.PacketNames[pk.FixedHeader.Type], pk.ReasonCode)
		}
	}
}

// ack says PUBACK or PUBREC, as the QoS of a message has it.
func (c *client) ack(pk packets.Packet) {
	kind := packets.Puback
	switch pk.FixedHeader.Qos {
	case 0:
		return
	case 2:
		kind = packets.Pubrec
	}
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: kind}, PacketID: pk.PacketID})
}

// until takes messages until one with the payload "end" comes, and answers the
// ones before it. Publishing that one after what is in question shows what did
// not come.
func (c *client) until() (before []packets.Packet) {
	for {
		pk := c.take()
		if string(pk.Payload) == "end" {
			return before
		}
		before = append(before, pk)
	}
}

// kept subscribes, and answers the retained messages that this brings: those
// that come before the one of another topic, which it asks for after them. It
// asks at QoS 0, so that no packet id of the one side is in the way of the other's.
func (c *client) kept(filter string) (all []packets.Packet) {
	c.s.publisher.publish("last", "end", 1, retained)
	c.subscribed(0, filter)
	c.send(subscribePacket(c.id16(), 0, "last"))
	for {
		pk, err := c.recv()
		switch {
		case err != nil:
			c.s.Fatalf("%safter %d retained messages: %v", c.what, len(all), err)
		case pk.FixedHeader.Type == packets.Suback:
		case pk.FixedHeader.Type != packets.Publish:
			c.s.Fatalf("%s%s came, want retained messages", c.what, packets.PacketNames[pk.FixedHeader.Type])
		case pk.TopicName == "last":
			return all
		default:
			all = append(all, pk)
		}
	}
}

// goodbye says DISCONNECT and waits for the end.
func (c *client) goodbye() {
	c.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	c.ended()
	_ = c.Close()
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func publishPacket(topic, payload string, qos byte, id uint16) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos},
		TopicName:   topic, Payload: []byte(payload), PacketID: id,
	}
}

func subscribePacket(id uint16, qos byte, filters ...string) packets.Packet {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: id}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: qos})
	}
	return pk
}
