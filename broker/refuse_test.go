package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

func TestTopicsOfTheHubAreRefused(t *testing.T) {
	for _, topic := range []string{
		"tacet/area/north/busy", "tacet/area/north/busy/flag", "tacet/area/north/leader", "tacet/area/north/work",
		"tacet/device/gate-1/grant", "tacet/device/gate-1/work", "tacet/response/t1", "$SYS/broker/version", "$sys/x",
	} {
		t.Run(topic, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				synctest.Wait()
				before := len(b.Retained("$SYS/#", 0))
				seen := subscribe(t, b, "#")
				for version, want := range map[byte]byte{4: 0, 5: 0x87} {
					r := dial(t, b, version, fmt.Sprint("v", version))
					for qos := range byte(3) {
						pk := publishPacket(topic, "x", qos, uint16(qos)*40000)
						pk.FixedHeader.Retain = true
						r.send(pk)
						if qos == 0 {
							continue
						}
						ack := r.expect(map[byte]byte{1: packets.Puback, 2: packets.Pubrec}[qos])
						if ack.PacketID != pk.PacketID || ack.ReasonCode != want {
							t.Errorf("v%d qos %d: answer to %d is %#x for %d; want %#x", version, qos, pk.PacketID, ack.ReasonCode, ack.PacketID, want)
						}
						if qos == 2 && version == 4 {
							r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: pk.PacketID})
							if comp := r.expect(packets.Pubcomp); comp.PacketID != pk.PacketID {
								t.Errorf("PUBCOMP for %d, want %d", comp.PacketID, pk.PacketID)
							}
						}
					}
					r.alive()
				}
				if seen.Len() != 0 || len(b.Retained("#", 0)) != 0 || len(b.Retained("$SYS/#", 0)) != before {
					t.Errorf("%d messages came through; retained %v", seen.Len(), b.Retained("#", 0))
				}
				if n := b.Stats().RefusedMessages; n != 6 {
					t.Errorf("%d refused, want 6", n)
				}
			})
		})
	}
}

func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		v3, v5 byte
		reason string
	}{
		"passed":    {nil, 0, 0, ""},
		"invalid":   {area.Errorf(area.CodeInvalid, "dur_ms is text"), 0, 0x99, "invalid: dur_ms is text"},
		"no area":   {area.Errorf(area.CodeUnknownArea, "no area east"), 0, 0x99, "unknown_area: no area east"},
		"quota":     {area.Errorf(area.CodeRate, "slower"), 0, 0x97, "rate: slower"},
		"disk":      {area.Errorf(area.CodeDiskFull, "full"), 0, 0x97, "disk_full: full"},
		"forbidden": {area.Errorf(area.CodeForbidden, "not yours"), 0, 0x87, "forbidden: not yours"},
		"our fault": {errors.New("page 7 is odd"), 0, 0x83, "implementation specific error"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				asked, seen := 0, subscribe(t, b, "tacet/#")
				cancel := b.Gate("tacet/area/+/submit", func(m area.Message) error {
					asked++
					if m.From[0] != 'v' || m.Conn == 0 || string(m.Payload) != "x" || m.Topic != "tacet/area/north/submit" {
						t.Errorf("asked about %+v", m)
					}
					if seen.Len() != (asked-1)*btoi(c.err == nil) {
						t.Error("the message came before the gate was asked")
					}
					return c.err
				})
				for version, want := range map[byte]byte{4: c.v3, 5: c.v5} {
					r := dial(t, b, version, fmt.Sprint("v", version))
					for qos := byte(1); qos < 3; qos++ {
						r.send(publishPacket("tacet/area/north/submit", "x", qos, 9))
						ack := r.expect(map[byte]byte{1: packets.Puback, 2: packets.Pubrec}[qos])
						if ack.ReasonCode != want || version == 5 && want != 0 && ack.Properties.ReasonString != c.reason {
							t.Errorf("v%d qos %d: %#x %q, want %#x %q", version, qos, ack.ReasonCode, ack.Properties.ReasonString, want, c.reason)
						}
						r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: 9})
						r.expect(packets.Pubcomp)
					}
					r.send(publishPacket("tacet/area/north/submit", "x", 0, 0))
					r.alive()
				}
				publish(t, b, area.Message{Topic: "tacet/area/north/submit", Payload: []byte("ours")})
				want := 1 + 6*btoi(c.err == nil)
				if got := seen.Take(t, seen.Len()); len(got) != want || asked != 6 {
					t.Errorf("%d messages came, asked %d times; want %d, 6", len(got), asked, want)
				}
				if n := b.Stats().GatedMessages; int(n) != 6*btoi(c.err != nil) {
					t.Errorf("%d gated", n)
				}
				cancel()
				r := dial(t, b, 4, "after")
				r.send(publishPacket("tacet/area/north/submit", "y", 1, 1))
				r.expect(packets.Puback)
				seen.Take(t, 1)
			})
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestRefusedFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.MaxSubscriptions = 4 })
		deep := strings.Repeat("a/", 16) + "a"
		for version, bad := range map[byte]byte{4: 0x80, 5: 0x8f} {
			r := dial(t, b, version, fmt.Sprint("v", version))
			r.send(subscribePacket(1, 1, "a+", "sport#", deep, strings.Repeat("x", 513), "$share/g", "$SHARE/g/a#"))
			if ack := r.expect(packets.Suback); string(ack.ReasonCodes) != strings.Repeat(string([]byte{bad}), 6) {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 1, Filters: packets.Subscriptions{{Filter: deep}}})
			r.expect(packets.Unsuback)
			r.send(subscribePacket(2, 1, "a", "b/#", "$share/g/c", "d/+", "one/too/many"))
			full := map[byte]byte{4: 0x80, 5: 0x97}[version]
			if ack := r.expect(packets.Suback); !slices.Equal(ack.ReasonCodes, []byte{1, 1, 1, 1, full}) {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
			r.send(subscribePacket(3, 0, "a")) // again
			if ack := r.expect(packets.Suback); ack.ReasonCodes[0] != 0 {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
		}
		if n := b.Stats().RefusedFilters; n != 14 {
			t.Errorf("%d refused, want 14", n)
		}
	})
}

func TestBadPublicationsEndTheConnection(t *testing.T) {
	for name, pk := range map[string]packets.Packet{
		"wildcard": publishPacket("a/+/b", "x", 1, 1),
		"too deep": publishPacket(strings.Repeat("a/", 16)+"a", "x", 1, 1),
		"too long": publishPacket(strings.Repeat("a", 513), "x", 1, 1),
		"alias":    {FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "a", Properties: packets.Properties{TopicAlias: 1, TopicAliasFlag: true}},
		"too big":  publishPacket("a", strings.Repeat("x", 256<<10), 1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				seen := subscribe(t, b, "#")
				for version := byte(4); version <= 5; version++ {
					if name == "alias" && version == 4 {
						continue
					}
					r := dial(t, b, version, "gate-1")
					if name == "too big" {
						_, _ = r.Write([]byte{0x32, 0x84, 0x80, 0x10})
					} else {
						r.send(pk)
					}
					r.closed()
				}
				if seen.Len() > 0 {
					t.Errorf("it was published: %+v", seen.Take(t, 1))
				}
			})
		})
	}
}
