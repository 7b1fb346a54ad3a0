package broker_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// A client of MQTT 5 is told that a packet was over the limit; one of 3.1.1
// cannot be. What came before in the same bytes still counts.
func TestPacketsOverTheLimit(t *testing.T) {
	for _, version := range []byte{4, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := brokertest.New(t, func(c *broker.Config) { c.MaxPacketBytes = 1024 })
			r := newRaw(t, b.Pipe(t), version)
			r.connect("sensor")
			whole := func(size int) []byte { // a PUBLISH of so many bytes in all
				head := []byte{packets.Publish << 4, byte(size-3)&0x7f | 0x80, byte((size - 3) >> 7), 0, 1, 'a'}
				if version == 5 {
					head = append(head, 0)
				}
				return append(head, bytes.Repeat([]byte("x"), size-len(head))...)
			}
			sent := append(append([]byte{packets.Pingreq << 4, 0}, whole(1024)...), packets.Pingreq<<4, 0)
			for _, part := range [][]byte{sent[:3], sent[3:500], sent[500:], whole(1025)} {
				go func() { _, _ = r.Write(part) }()
				synctest.Wait()
			}
			r.expect(packets.Pingresp)
			r.expect(packets.Pingresp)
			if version == 5 {
				if pk := r.expect(packets.Disconnect); pk.ReasonCode != packets.ErrPacketTooLarge.Code {
					t.Errorf("DISCONNECT %#x, want %#x", pk.ReasonCode, packets.ErrPacketTooLarge.Code)
				}
			}
			if pk, err := r.recv(); !errors.Is(err, io.EOF) {
				t.Errorf("after the packet: %+v %v, want the end", pk.FixedHeader, err)
			}
			synctest.Wait()
			if s := b.Stats(); s.TooLarge != 1 || s.Received != 1 {
				t.Errorf("%d too large, %d received, want one each", s.TooLarge, s.Received)
			}
		})
	}
}
