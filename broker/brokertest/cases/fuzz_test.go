package cases

import (
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// FuzzSaid says bytes on a connection that has a session, and on one that has
// none: whatever they are, the broker lives and serves its ordinary clients.
func FuzzSaid(f *testing.F) {
	for _, b := range badBytes {
		f.Add(true, []byte(b.bytes))
		f.Add(false, []byte(b.bytes))
	}
	for _, version := range []byte{4, 5} {
		c := &client{version: version}
		for _, pk := range samples(c) {
			f.Add(version == 5, c.encode(pk))
		}
	}
	server, err := startOurs(setup{}, "pipe", &record{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(server.close)
	f.Fuzz(func(t *testing.T, five bool, said []byte) {
		version := byte(4)
		if five {
			version = 5
		}
		s := &site{server: server, patience: time.Minute}
		s.work.Go(func() {
			s.meet()
			c := s.say(version)
			c.sayConnect("said", keep, as("said"))
			if ack := c.expect(packets.Connack); ack.ReasonCode == 0 {
				_ = c.put(said)
			}
			_ = c.Close()
			fresh := s.say(version)
			_ = fresh.put(said)
			_ = fresh.Close()
			s.checkPair()
		})
		s.work.Wait()
		s.hangUp()
		if s.fault != nil {
			t.Error(s.fault)
		}
	})
}
