package broker_test

import (
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestFarewell: a client of MQTT 5 hears why it is cut, one of 3.1.1 cannot; a
// client that has said goodbye, or is gone, is told nothing.
func TestFarewell(t *testing.T) {
	for name, c := range map[string]struct {
		said   string // nothing: it is silent
		want   byte   // 0: no DISCONNECT
		reason string
	}{
		"malformed":      {"\x30\x03\x00\x01\xff", packets.ErrMalformedPacket.Code, broker.Closed},
		"a broken rule":  {"\x82\x09\x00\x01\x02\x0b\x00\x00\x01a\x00", packets.ErrProtocolViolation.Code, broker.Closed},
		"a broken state": {"\x10\x10\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x03dup", packets.ErrProtocolViolation.Code, broker.Closed},
		"too large":      {"\x30\xff\xff\xff\x7f", packets.ErrPacketTooLarge.Code, broker.Closed},
		"silence":        {"", packets.ErrKeepAliveTimeout.Code, broker.Timeout},
		"goodbye":        {"\xe0\x00", 0, broker.Goodbye},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				for version, want := range map[byte]byte{4: 0, 5: c.want} {
					if version == 4 && name == "a broken rule" {
						continue // it is one of MQTT 5
					}
					r := dial(t, b, version, "gate-1")
					ends := events(b)
					if c.said != "" {
						_, _ = r.Write([]byte(c.said))
					}
					code := byte(0)
					for {
						pk, err := r.recv()
						if err != nil {
							break
						}
						if code != 0 || pk.FixedHeader.Type != packets.Disconnect {
							t.Errorf("v%d: %s came", version, packets.PacketNames[pk.FixedHeader.Type])
						}
						code = pk.ReasonCode
					}
					if code != want {
						t.Errorf("v%d: DISCONNECT %#x, want %#x", version, code, want)
					}
					for e := range ends {
						if !e.Up {
							if e.Reason != c.reason {
								t.Errorf("v%d: it ended by %q, want %q", version, e.Reason, c.reason)
							}
							break
						}
					}
				}
			})
		})
	}
}
