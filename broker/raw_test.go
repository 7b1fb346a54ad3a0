package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// raw is a client that says exactly what a test tells it to.
type raw struct {
	t testing.TB
	net.Conn
	in      *bufio.Reader
	version byte
}

func newRaw(t testing.TB, conn net.Conn, version byte) *raw {
	return &raw{t: t, Conn: conn, in: bufio.NewReader(conn), version: version}
}

// dial connects over a pipe, and fails the test if it is not let in.
func dial(t testing.TB, b *brokertest.Broker, version byte, id string, change ...func(*packets.Packet)) *raw {
	t.Helper()
	r := newRaw(t, b.Pipe(t), version)
	if ack := r.connect(id, change...); ack.ReasonCode != 0 {
		t.Fatalf("CONNACK %#x", ack.ReasonCode)
	}
	return r
}

func (r *raw) connect(id string, change ...func(*packets.Packet)) packets.Packet {
	r.t.Helper()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: id, Clean: true, Keepalive: 30},
	}
	for _, f := range change {
		f(&pk)
	}
	r.send(pk)
	return r.expect(packets.Connack)
}

func (r *raw) send(pk packets.Packet) {
	r.t.Helper()
	pk.ProtocolVersion = r.version
	pk.Mods.AllowResponseInfo = true
	var b bytes.Buffer
	encode := map[byte]func(*bytes.Buffer) error{
		packets.Connect: pk.ConnectEncode, packets.Publish: pk.PublishEncode, packets.Subscribe: pk.SubscribeEncode,
		packets.Unsubscribe: pk.UnsubscribeEncode, packets.Puback: pk.PubackEncode, packets.Pubrel: pk.PubrelEncode,
		packets.Pubrec: pk.PubrecEncode, packets.Pubcomp: pk.PubcompEncode,
		packets.Pingreq: pk.PingreqEncode, packets.Disconnect: pk.DisconnectEncode,
	}[pk.FixedHeader.Type]
	if pk.FixedHeader.Type == packets.Subscribe || pk.FixedHeader.Type == packets.Unsubscribe || pk.FixedHeader.Type == packets.Pubrel {
		pk.FixedHeader.Qos = 1
	}
	if err := encode(&b); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.Write(b.Bytes()); err != nil {
		r.t.Fatalf("send %s: %v", packets.PacketNames[pk.FixedHeader.Type], err)
	}
}

func (r *raw) recv() (packets.Packet, error) {
	pk := packets.Packet{ProtocolVersion: r.version}
	head, err := r.in.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(head); err != nil {
		return pk, err
	}
	n, _, err := packets.DecodeLength(r.in)
	if err != nil {
		return pk, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r.in, body); err != nil {
		return pk, err
	}
	pk.FixedHeader.Remaining = n
	decode := map[byte]func([]byte) error{
		packets.Connack: pk.ConnackDecode, packets.Publish: pk.PublishDecode, packets.Suback: pk.SubackDecode,
		packets.Unsuback: pk.UnsubackDecode, packets.Puback: pk.PubackDecode, packets.Pubrec: pk.PubrecDecode,
		packets.Pubcomp: pk.PubcompDecode, packets.Pubrel: pk.PubrelDecode, packets.Disconnect: pk.DisconnectDecode,
		packets.Pingresp: func([]byte) error { return nil },
	}[pk.FixedHeader.Type]
	return pk, decode(body)
}

// expect reads the next packet, which must be of the type.
func (r *raw) expect(kind byte) packets.Packet {
	r.t.Helper()
	pk, err := r.recv()
	if err != nil {
		r.t.Fatalf("waiting for %s: %v", packets.PacketNames[kind], err)
	}
	if pk.FixedHeader.Type != kind {
		r.t.Fatalf("%s came, want %s", packets.PacketNames[pk.FixedHeader.Type], packets.PacketNames[kind])
	}
	return pk
}

// closed reads until the connection ends.
func (r *raw) closed() {
	r.t.Helper()
	for {
		if _, err := r.recv(); err != nil {
			return
		}
	}
}

// alive checks that the connection still works.
func (r *raw) alive() {
	r.t.Helper()
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	r.expect(packets.Pingresp)
}

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

func withWill(topic, payload string, retain bool) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		c := &pk.Connect
		c.WillFlag, c.WillTopic, c.WillPayload, c.WillQos, c.WillRetain = true, topic, []byte(payload), 1, retain
	}
}

// overTCP runs a broker on a socket until the test ends.
func overTCP(t testing.TB, cfg broker.Config, log *slog.Logger) *broker.Broker {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	b, err := broker.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	run(t, b)
	return b
}

func run(t testing.TB, b *broker.Broker) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
}

func dialTCP(t testing.TB, b *broker.Broker, version byte) *raw {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return newRaw(t, c, version)
}

var silent = slog.New(slog.DiscardHandler)

// events collects connection events.
func events(b interface {
	Connections(func(broker.ConnEvent)) func()
}) chan broker.ConnEvent {
	c := make(chan broker.ConnEvent, 1000)
	b.Connections(func(e broker.ConnEvent) { c <- e })
	return c
}

var noDeadline time.Time
