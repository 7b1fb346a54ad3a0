package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestAgainstBroker connects, subscribes and publishes in both versions, each
// QoS, and reads back what was sent.
func TestAgainstBroker(t *testing.T) {
	for _, v := range []Version{V311, V5} {
		for qos := range byte(3) {
			b := brokertest.New(t, func(*broker.Config) {})
			c := &Conn{Conn: b.Pipe(t), version: v, buf: make([]byte, 8)} // so small that it must grow
			if err := c.open(Options{ID: "c", Version: v, Keep: true}); err != nil {
				t.Fatal(err)
			}
			if err := c.Subscribe("a/#", qos); err != nil {
				t.Fatal(err)
			}
			want := Message{Topic: "a/b", Payload: []byte("more than the buffer holds"), QoS: qos, Retain: true}
			if qos > 0 {
				want.ID = 7
			}
			if _, err := c.Write(v.AppendPublish(nil, want)); err != nil {
				t.Fatal(err)
			}
			p, err := c.Await(Publish, nil)
			if err != nil {
				t.Fatal(err)
			}
			if string(p.Topic) != want.Topic || !slices.Equal(p.Payload, want.Payload) || p.QoS != qos || (p.ID != 0) != (qos > 0) {
				t.Errorf("version %d, QoS %d: got %+v", v, qos, p)
			}
		}
	}
}

func TestSession(t *testing.T) {
	b := brokertest.New(t)
	for _, v := range []Version{V311, V5} {
		for i, want := range []bool{false, true} {
			c := &Conn{Conn: b.Pipe(t), version: v, buf: make([]byte, 64)}
			if err := c.open(Options{ID: "kept" + string('0'+v), Version: v, Keep: true}); err != nil {
				t.Fatal(err)
			}
			if c.Present != want {
				t.Errorf("version %d, connection %d: session present is %t", v, i, c.Present)
			}
			_ = c.Close()
		}
	}
}

func TestRefused(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() { // ends with the pipe
		_, _ = io.ReadFull(theirs, make([]byte, 15))
		_, _ = theirs.Write([]byte{0x20, 2, 0, 5})
	}()
	defer ours.Close()
	c := &Conn{Conn: ours, buf: make([]byte, 64)}
	if err := c.open(Options{ID: "c"}); !errors.Is(err, Refused(5)) {
		t.Errorf("got %v", err)
	}
}

func TestDialEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, "127.0.0.1:1", Options{}); err == nil {
		t.Error("no error")
	}
}

func TestParse(t *testing.T) {
	ack := AppendAck(AppendAck(nil, Puback, 258), Pubrel, 3)
	p, n, err := parse(ack, V311)
	if err != nil || n != 4 || p.Type != Puback || p.ID != 258 {
		t.Errorf("got %+v, %d, %v", p, n, err)
	}
	if p, _, err = parse(ack[4:], V311); err != nil || p.Type != packets.Pubrel || p.ID != 3 {
		t.Errorf("got %+v, %v", p, err)
	}
	for cut := range 4 {
		if _, n, err := parse(ack[:cut], V311); n != 0 || err != nil {
			t.Errorf("%d bytes: %d, %v", cut, n, err)
		}
	}
	for name, b := range map[string][]byte{
		"length without an end": {0x30, 0xff, 0xff, 0xff, 0xff},
		"topic too long":        {0x30, 3, 0, 9, 'a'},
		"no packet id":          {0x32, 3, 0, 1, 'a'},
		"short acknowledgement": {0x40, 1, 0},
		"short CONNACK":         {0x20, 1, 0},
	} {
		if _, _, err := parse(b, V311); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, err := parse([]byte{0x30, 4, 0, 1, 'a', 9}, V5); err == nil {
		t.Error("properties longer than the packet: no error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(V5.AppendPublish(nil, Message{Topic: "a", QoS: 1, ID: 1, Payload: []byte("x")}), true)
	f.Add(AppendAck(nil, Pubrel, 3), false)
	f.Fuzz(func(t *testing.T, b []byte, five bool) {
		v := V311
		if five {
			v = V5
		}
		if _, n, _ := parse(b, v); n < 0 || n > len(b) {
			t.Errorf("a packet of %d bytes out of %d", n, len(b))
		}
	})
}
