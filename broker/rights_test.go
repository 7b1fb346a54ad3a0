package broker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

func TestRevocationEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		b := brokertest.New(t, withAuth(a))
		seen := brokertest.NewInbox()
		if _, err := b.Subscribe("tacet/device/#", seen.Put); err != nil {
			t.Fatal(err)
		}
		gone5 := dial(t, b, 5, "gate-1", as("gate-1"), withWill("tacet/device/gate-1/status", "gone", true))
		gone4 := dial(t, b, 4, "gate-1:2", as("gate-1"))
		stays := dial(t, b, 5, "gate-2", as("gate-2"))
		next := people()
		next.Devices = next.Devices[1:]
		start := time.Now()
		if err := a.Reload(next); err != nil {
			t.Fatal(err)
		}
		if pk := gone5.expect(packets.Disconnect); pk.ReasonCode != 0x98 || pk.Properties.ReasonString == "" {
			t.Errorf("DISCONNECT %#x %q", pk.ReasonCode, pk.Properties.ReasonString)
		}
		gone4.closed()
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("closed after %s", d)
		}
		stays.alive()
		synctest.Wait()
		if n := seen.Len(); n != 0 {
			t.Errorf("%d messages, want none: its will is not sent", n)
		}
		if ack := newRaw(t, b.Pipe(t), 5).connect("gate-1", as("gate-1")); ack.ReasonCode != 0x86 {
			t.Errorf("CONNACK %#x, want 0x86", ack.ReasonCode)
		}
		if st := b.Stats(); st.Withdrawn != 2 || st.WithdrawnMessages != 1 {
			t.Errorf("stats %+v; want 2 closed, 1 will", st)
		}
	})
}

// TestOpenNoMore: whoever is there without having shown who he is must go.
func TestOpenNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, auth.Config{})
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "anybody")
		r.send(publishPacket("@any/thing", "x", 1, 1)) // open mode is as it was
		if ack := r.expect(packets.Puback); ack.ReasonCode != 0 {
			t.Errorf("reason %#x", ack.ReasonCode)
		}
		if err := a.Reload(people()); err != nil {
			t.Fatal(err)
		}
		if pk := r.expect(packets.Disconnect); pk.ReasonCode != 0x98 {
			t.Errorf("DISCONNECT %#x", pk.ReasonCode)
		}
	})
}

// TestTokenEndsConnection: no connection outlives its proof.
func TestTokenEndsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		token, err := a.CreateToken(context.Background(), auth.Token{Name: "ci", Roles: []string{"operator"}, Areas: []string{"*"}, Expires: time.Now().Add(3 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "ci", login("", token), withWill("tacet/group/ci/gone", "x", false))
		seen := brokertest.NewInbox()
		if _, err := b.Subscribe("tacet/group/#", seen.Put); err != nil {
			t.Fatal(err)
		}
		short := dial(t, b, 5, "ci:2", login("ci", token)) // ends before its token does
		_ = short.Close()
		start := time.Now()
		if pk := r.expect(packets.Disconnect); pk.ReasonCode != 0x87 || time.Since(start) != 3*time.Second {
			t.Errorf("DISCONNECT %#x after %s", pk.ReasonCode, time.Since(start))
		}
		if got := seen.Take(t, 1); !got[0].Will {
			t.Error("its will is not sent")
		}
		for name, want := range map[string]byte{"ci": 0x86, "ann": 0x86} { // expired; and not Ann's
			if ack := newRaw(t, b.Pipe(t), 5).connect(name, login(name, token)); ack.ReasonCode != want {
				t.Errorf("%s: CONNACK %#x, want %#x", name, ack.ReasonCode, want)
			}
		}
	})
}

// TestSessionLosesWhatItMayNotHave is row 8, for a session that waits.
func TestSessionLosesWhatItMayNotHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "gate-1", as("gate-1"), keep)
		r.send(subscribePacket(1, 1, "hall/temperature", "tacet/area/north/busy"))
		r.expect(packets.Suback)
		_ = r.Close()
		synctest.Wait()
		publish(t, b, area.Message{Topic: "hall/temperature", Payload: []byte("21"), QoS: 1})
		publish(t, b, area.Message{Topic: "tacet/area/north/busy", Payload: []byte("{}"), QoS: 1})
		next := people()
		next.Devices[0].Subscribe = nil
		if err := a.Reload(next); err != nil {
			t.Fatal(err)
		}
		again := newRaw(t, b.Pipe(t), 5)
		if ack := again.connect("gate-1", as("gate-1"), keep); ack.ReasonCode != 0 || !ack.SessionPresent {
			t.Fatalf("CONNACK %#x, session %t", ack.ReasonCode, ack.SessionPresent)
		}
		if pk := again.expect(packets.Publish); pk.TopicName != "tacet/area/north/busy" {
			t.Errorf("%s came", pk.TopicName)
		}
		publish(t, b, area.Message{Topic: "hall/temperature", Payload: []byte("22"), QoS: 1})
		again.alive()
		if st := b.Stats(); st.Subscriptions != 1 || st.WithdrawnMessages != 1 {
			t.Errorf("stats %+v; want 1 subscription, 1 message withdrawn", st)
		}
	})
}

// TestRetainedOfWhoLostTheRight is CVE-2018-12546.
func TestRetainedOfWhoLostTheRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		b := brokertest.New(t, withAuth(a))
		r := dial(t, b, 5, "gate-1", as("gate-1"))
		for i, topic := range []string{"plant/power", "tacet/device/gate-1/status"} {
			pk := publishPacket(topic, "x", 1, uint16(i+1))
			pk.FixedHeader.Retain = true
			r.send(pk)
			r.expect(packets.Puback)
		}
		if n := len(b.Retained("#", 0)); n != 2 {
			t.Fatalf("%d retained", n)
		}
		next := people()
		next.Devices[0].Publish = nil
		if err := a.Reload(next); err != nil {
			t.Fatal(err)
		}
		if left := b.Retained("#", 0); len(left) != 1 || left[0].Topic != "tacet/device/gate-1/status" {
			t.Errorf("retained %v", left)
		}
	})
}

// TestShareGroupLosesWhoMayNotBeInIt: its messages must not go to a session
// that nobody may come back to.
func TestShareGroupLosesWhoMayNotBeInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, people())
		b := brokertest.New(t, withAuth(a))
		for _, name := range []string{"gate-1", "gate-1:live", "gate-2"} {
			r := dial(t, b, 5, name, as(name[:6]), keep)
			r.send(subscribePacket(1, 1, "$share/g/tacet/area/north/#", "tacet/area/north/busy"))
			r.expect(packets.Suback)
			if name != "gate-1:live" {
				_ = r.Close()
			}
		}
		synctest.Wait()
		next := people()
		next.Devices = next.Devices[1:] // gate-1, of which one is away and one is not
		if err := a.Reload(next); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := b.Stats().Subscriptions; n != 4 {
			t.Errorf("%d subscriptions are left, want 4", n)
		}
		for range 3 {
			publish(t, b, area.Message{Topic: "tacet/area/north/leader", Payload: []byte("x"), QoS: 1})
		}
		again := newRaw(t, b.Pipe(t), 5)
		again.connect("gate-2", as("gate-2"), keep)
		for range 3 {
			again.expect(packets.Publish)
		}
	})
}
