package broker_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

func TestConnackTellsTheLimits(t *testing.T) {
	for name, c := range map[string]struct {
		version   byte
		keepAlive uint16
		expiry    uint32
		told      bool
		said      uint16
		granted   uint32 // 0: as asked
	}{
		"all within":        {version: 5, keepAlive: 60, expiry: 3600},
		"longer keep-alive": {version: 5, keepAlive: 61, told: true, said: 60},
		"no keep-alive":     {version: 5, keepAlive: 0, told: true, said: 60},
		"longer session":    {version: 5, keepAlive: 60, expiry: 7201, granted: 7200},
		"3.1.1":             {version: 4, keepAlive: 600},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t, func(c *broker.Config) {
					c.MaxKeepAlive, c.SessionExpiry, c.MaxPacketBytes = time.Minute, 2*time.Hour, 9999
				})
				ack := newRaw(t, b.Pipe(t), c.version).connect("gate-1", func(pk *packets.Packet) {
					pk.Connect.Keepalive = c.keepAlive
					pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = c.expiry, true
				}).Properties
				if ack.ServerKeepAliveFlag != c.told || ack.ServerKeepAlive != c.said || ack.SessionExpiryInterval != c.granted {
					t.Errorf("keep-alive %t %d, session %d; want %t %d, %d", ack.ServerKeepAliveFlag, ack.ServerKeepAlive, ack.SessionExpiryInterval, c.told, c.said, c.granted)
				}
				if most := ack.MaximumPacketSize; c.version == 5 && (most != 9999 || ack.TopicAliasMaximum != 0 || ack.ReceiveMaximum != 1024) {
					t.Errorf("packets of %d bytes, %d aliases, %d to receive; want 9999, 0, 1024", most, ack.TopicAliasMaximum, ack.ReceiveMaximum)
				}
			})
		})
	}
}

// TestServerKeepAliveCounts: what CONNACK said is what ends the connection.
func TestServerKeepAliveCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.MaxKeepAlive = time.Minute })
		r := dial(t, b, 5, "gate-1", func(pk *packets.Packet) { pk.Connect.Keepalive = 0 })
		start := time.Now()
		if pk := r.expect(packets.Disconnect); pk.ReasonCode != 0x8d || time.Since(start) != 90*time.Second {
			t.Errorf("DISCONNECT %#x after %s, want 0x8d after 90 s", pk.ReasonCode, time.Since(start))
		}
	})
}

// TestPacketsTooLargeForTheClient: they count as delivered, and make room.
func TestPacketsTooLargeForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		narrow := func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 100 }
		r := dial(t, b, 5, "gate-1", keeping, narrow, allowing(1))
		sub := subscribePacket(1, 1, "in")
		sub.Properties.User = []packets.UserProperty{{Key: strings.Repeat("k", 90), Val: "v"}}
		r.send(sub)
		if ack := r.expect(packets.Suback); len(ack.Properties.User) != 0 || ack.ReasonCodes[0] != 1 {
			t.Errorf("SUBACK %+v, want one that fits", ack)
		}
		large := area.Message{Topic: "in", Payload: make([]byte, 100), QoS: 1}
		for range 2 {
			publish(t, b, large, area.Message{Topic: "in", Payload: []byte("0"), QoS: 1}, large, area.Message{Topic: "in", Payload: []byte("1"), QoS: 1}, large)
			r.consume(0, 2, 1, 0)
			_ = r.Close()
			synctest.Wait()
			publish(t, b, large) // waits for the client, and does not fit
			r = resume(t, b, 5, "gate-1", narrow, allowing(1))
			if got := r.burst(); len(got) != 0 {
				t.Errorf("%d came that do not fit", len(got))
			}
		}
		large.QoS = 0
		publish(t, b, large)
		r.alive()
		if st := b.Stats(); st.Queued != 0 || st.Oversize != 9 || st.Sent != 4 {
			t.Errorf("%d queued, %d too large, %d sent; want 0, 9, 4", st.Queued, st.Oversize, st.Sent)
		}
	})
}

func TestDeniedFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.DenyFilters = []string{"#"} })
		for _, version := range []byte{4, 5} {
			r := dial(t, b, version, "gate-1")
			r.send(subscribePacket(1, 1, "#", "$share/g/#", "a/#"))
			if ack := r.expect(packets.Suback); string(ack.ReasonCodes) != "\x80\x80\x01" {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
		}
	})
}

// TestLastWordsAreRead: a client that is cut while it sends reads why, although
// what it sent has not been read.
func TestLastWordsAreRead(t *testing.T) {
	b := overTCP(t, broker.Config{}, silent)
	for range 20 {
		r := dialTCP(t, b, 5)
		r.connect("gate-1")
		bad := publishPacket("a/+", "x", 0, 0)
		r.send(bad)
		for range 100 { // the broker reads none of it
			if _, err := r.Write(make([]byte, 4096)); err != nil {
				break
			}
		}
		_ = r.Conn.(*net.TCPConn).CloseWrite()
		if pk := r.expect(packets.Disconnect); pk.ReasonCode != 0x90 {
			t.Fatalf("DISCONNECT %#x, want 0x90", pk.ReasonCode)
		}
		if _, err := r.recv(); err != io.EOF {
			t.Fatalf("then %v, want the end", err)
		}
	}
}
