package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/store"
)

// backend is where a broker of the suite keeps its state.
type backend interface {
	broker.Store
	settle()                    // waits until all that was touched is written
	crash(t *testing.T) backend // what a process finds that begins after this one was killed
}

var backends = map[string]func(*testing.T) backend{
	"memory": func(t *testing.T) backend { return memory{brokertest.NewStore(t)} },
	"bbolt":  func(t *testing.T) backend { return openDisk(t, filepath.Join(t.TempDir(), "tacet.db")) },
}

type memory struct{ *brokertest.Store }

func (m memory) settle()                    { m.Settle() }
func (m memory) crash(t *testing.T) backend { return memory{m.Crashed()} }

type disk struct {
	*store.State
	s    *store.Store
	path string
}

func openDisk(t *testing.T, path string) disk {
	t.Helper()
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return disk{s.State(), s, path}
}

// settle writes something, with which everything that waits goes.
func (d disk) settle() {
	_ = d.s.Table("settle").Put(context.Background(), "k", []byte(time.Now().String()))
	_ = d.s.Table("settle").Put(context.Background(), "k", []byte("again"))
}

// crash opens a copy of the file: the process that has it open is not asked.
func (d disk) crash(t *testing.T) backend {
	t.Helper()
	d.settle()
	copied := filepath.Join(t.TempDir(), "tacet.db")
	copyFile(t, d.path, copied)
	return openDisk(t, copied)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func withStore(s broker.Store) func(*broker.Config) {
	return func(c *broker.Config) { c.Store = s }
}

func lasting(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
}

// hangUp closes a connection and waits until the broker knows.
func hangUp(t *testing.T, b *brokertest.Broker, r *raw) {
	t.Helper()
	gone := events(b)
	_ = r.Close()
	for ev := range gone {
		if !ev.Up {
			return
		}
	}
}

func retainedPacket(topic, payload string, qos byte, id uint16) packets.Packet {
	pk := publishPacket(topic, payload, qos, id)
	pk.FixedHeader.Retain = true
	return pk
}

// TestStateSurvivesTheProcess is the suite that every back end passes.
func TestStateSurvivesTheProcess(t *testing.T) {
	for name, open := range backends {
		for _, version := range []byte{4, 5} {
			for what, test := range map[string]func(*testing.T, backend, byte){
				"retained": retainedSurvives, "queue": queueSurvives, "subscriptions": subscriptionsSurvive,
				"clean start": cleanStartSurvives, "received": receivedSurvives, "released": releasedSurvives,
			} {
				t.Run(fmt.Sprintf("%s/%d/%s", name, version, what), func(t *testing.T) {
					test(t, open(t), version)
				})
			}
		}
	}
}

func retainedSurvives(t *testing.T, s backend, version byte) {
	b := brokertest.New(t, withStore(s))
	r := dial(t, b, version, "gate-1")
	for i, pk := range []packets.Packet{
		retainedPacket("a/1", "old", 1, 1), retainedPacket("a/1", "new", 1, 2), retainedPacket("a/2", "there", 2, 3), retainedPacket("a/3", "gone", 1, 4),
		retainedPacket("a/3", "", 1, 5), retainedPacket("a/4", "unasked", 0, 0),
	} {
		r.send(pk)
		switch pk.FixedHeader.Qos {
		case 1:
			if ack := r.expect(packets.Puback); ack.PacketID != uint16(i+1) {
				t.Errorf("PUBACK for %d, want %d", ack.PacketID, i+1)
			}
		case 2:
			r.expect(packets.Pubrec)
		}
	}
	r.alive()
	s.settle()
	b = brokertest.New(t, withStore(s.crash(t)))
	var got []string
	for _, m := range b.Retained("a/#", 0) {
		got = append(got, fmt.Sprintf("%s=%s from %s, QoS %d", m.Topic, m.Payload, m.From, m.QoS))
	}
	want := []string{"a/1=new from gate-1, QoS 1", "a/2=there from gate-1, QoS 2", "a/4=unasked from gate-1, QoS 0"}
	if !slices.Equal(got, want) {
		t.Errorf("retained %q; want %q", got, want)
	}
	sub := dial(t, b, version, "reader")
	sub.send(subscribePacket(1, 1, "a/1"))
	sub.expect(packets.Suback)
	if pk := sub.expect(packets.Publish); string(pk.Payload) != "new" || !pk.FixedHeader.Retain {
		t.Errorf("retained message %+v", pk)
	}
}

// queueSurvives kills twice: an absent session's queue is replayed in order,
// without DUP what was never sent, with it what was, and what was acknowledged
// is not there any more.
func queueSurvives(t *testing.T, s backend, version byte) {
	b := brokertest.New(t, withStore(s))
	r := dial(t, b, version, "gate-1", lasting)
	r.send(subscribePacket(1, 1, "q/#"))
	r.expect(packets.Suback)
	hangUp(t, b, r)
	p := dial(t, b, version, "writer")
	for i := range 300 {
		p.send(publishPacket("q/x", fmt.Sprint(i), 1, uint16(i+1)))
		p.expect(packets.Puback)
	}
	s = s.crash(t)
	b = brokertest.New(t, withStore(s))
	publish(t, b, area.Message{Topic: "q/y", Payload: []byte("300"), QoS: 1})
	r = newRaw(t, b.Pipe(t), version)
	if ack := r.connect("gate-1", lasting); !ack.SessionPresent {
		t.Error("no session present")
	}
	for i := range 200 {
		pk := r.expect(packets.Publish)
		if string(pk.Payload) != fmt.Sprint(i) || pk.FixedHeader.Dup || pk.FixedHeader.Qos != 1 {
			t.Fatalf("message %d: %q, dup %t, QoS %d", i, pk.Payload, pk.FixedHeader.Dup, pk.FixedHeader.Qos)
		}
		if i < 100 {
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
		}
	}
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	for pk := r.expect(packets.Publish); pk.FixedHeader.Type != packets.Pingresp; { // the acknowledgements have come
		var err error
		if pk, err = r.recv(); err != nil {
			t.Fatal(err)
		}
	}
	s.settle()
	b = brokertest.New(t, withStore(s.crash(t)))
	r = dial(t, b, version, "gate-1", lasting)
	for i := 100; i <= 300; i++ {
		pk := r.expect(packets.Publish)
		if string(pk.Payload) != fmt.Sprint(i) || i < 200 && !pk.FixedHeader.Dup {
			t.Fatalf("message %d after the second crash: %q, dup %t", i, pk.Payload, pk.FixedHeader.Dup)
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
	}
	r.alive()
}

func subscriptionsSurvive(t *testing.T, s backend, version byte) {
	b := brokertest.New(t, withStore(s))
	r := dial(t, b, version, "gate-1", lasting)
	r.send(subscribePacket(1, 0, "zero"))
	r.expect(packets.Suback)
	r.send(subscribePacket(2, 2, "two/+", "not"))
	r.expect(packets.Suback)
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 3, Filters: packets.Subscriptions{{Filter: "not"}}})
	r.expect(packets.Unsuback)
	b = brokertest.New(t, withStore(s.crash(t)))
	r = dial(t, b, version, "gate-1", lasting)
	publish(t, b, area.Message{Topic: "not", QoS: 1}, area.Message{Topic: "zero", QoS: 1}, area.Message{Topic: "two/a", QoS: 1})
	if pk := r.expect(packets.Publish); pk.TopicName != "zero" || pk.FixedHeader.Qos != 0 {
		t.Errorf("first message %q with QoS %d, want zero with 0", pk.TopicName, pk.FixedHeader.Qos)
	}
	if pk := r.expect(packets.Publish); pk.TopicName != "two/a" || pk.FixedHeader.Qos != 1 {
		t.Errorf("second message %q with QoS %d, want two/a with 1", pk.TopicName, pk.FixedHeader.Qos)
	}
	if n := b.Stats().Subscriptions; n != 2 {
		t.Errorf("%d subscriptions, want 2", n)
	}
}

// cleanStartSurvives ends a session for good, by connecting without it.
func cleanStartSurvives(t *testing.T, s backend, version byte) {
	b := brokertest.New(t, withStore(s))
	r := dial(t, b, version, "gate-1", lasting)
	r.send(subscribePacket(1, 1, "q"))
	r.expect(packets.Suback)
	_ = r.Close()
	p := dial(t, b, version, "writer")
	p.send(publishPacket("q", "x", 1, 1))
	p.expect(packets.Puback)
	dial(t, b, version, "gate-1")
	s = s.crash(t)
	b = brokertest.New(t, withStore(s))
	r = newRaw(t, b.Pipe(t), version)
	if ack := r.connect("gate-1", lasting); ack.SessionPresent {
		t.Error("the session is back")
	}
	r.alive()
	s.settle()
	for _, table := range []string{"subscriptions", "messages"} {
		if err := s.Load(table, func(key string, _ []byte) error { return fmt.Errorf("%q is in %s", key, table) }); err != nil {
			t.Error(err)
		}
	}
}

// receivedSurvives repeats a QoS 2 message after a crash: it is delivered once.
func receivedSurvives(t *testing.T, s backend, version byte) {
	b := brokertest.New(t, withStore(s))
	r := dial(t, b, version, "gate-1", lasting)
	sub := dial(t, b, version, "reader", lasting)
	sub.send(subscribePacket(1, 1, "q"))
	sub.expect(packets.Suback)
	_ = sub.Close()
	r.send(publishPacket("q", "once", 2, 7))
	r.expect(packets.Pubrec)
	for range 2 {
		s = s.crash(t)
		b = brokertest.New(t, withStore(s))
		r = dial(t, b, version, "gate-1", lasting)
		again := publishPacket("q", "once", 2, 7)
		again.FixedHeader.Dup = true
		r.send(again)
		if ack := r.expect(packets.Pubrec); ack.PacketID != 7 || ack.ReasonCode != 0 {
			t.Errorf("PUBREC %d, reason %#x", ack.PacketID, ack.ReasonCode)
		}
	}
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: 7})
	r.expect(packets.Pubcomp)
	b = brokertest.New(t, withStore(s.crash(t)))
	r = dial(t, b, version, "gate-1", lasting)
	r.send(publishPacket("q", "other", 2, 7)) // the id is free
	r.expect(packets.Pubrec)
	sub = dial(t, b, version, "reader", lasting)
	for _, want := range []string{"once", "other"} {
		if pk := sub.expect(packets.Publish); string(pk.Payload) != want {
			t.Errorf("message %q, want %q", pk.Payload, want)
		}
	}
	sub.alive()
}

// releasedSurvives crashes in the middle of delivering with QoS 2: the packet
// id stays what it was, and a message that the client has is not sent again.
func releasedSurvives(t *testing.T, s backend, version byte) {
	b := brokertest.New(t, withStore(s))
	r := dial(t, b, version, "gate-1", lasting)
	r.send(subscribePacket(1, 2, "q"))
	r.expect(packets.Suback)
	publish(t, b, area.Message{Topic: "q", Payload: []byte("x"), QoS: 2}, area.Message{Topic: "q", Payload: []byte("y"), QoS: 2})
	x, y := r.expect(packets.Publish), r.expect(packets.Publish)
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: x.PacketID})
	if rel := r.expect(packets.Pubrel); rel.PacketID != x.PacketID {
		t.Errorf("PUBREL %d, want %d", rel.PacketID, x.PacketID)
	}
	b = brokertest.New(t, withStore(s.crash(t)))
	r = dial(t, b, version, "gate-1", lasting)
	if rel := r.expect(packets.Pubrel); rel.PacketID != x.PacketID {
		t.Errorf("PUBREL %d after the crash, want %d", rel.PacketID, x.PacketID)
	}
	if pk := r.expect(packets.Publish); pk.PacketID != y.PacketID || !pk.FixedHeader.Dup || string(pk.Payload) != "y" {
		t.Errorf("after the crash %q, id %d, dup %t; want y, %d, true", pk.Payload, pk.PacketID, pk.FixedHeader.Dup, y.PacketID)
	}
	r.alive()
}

// TestNothingIsAcknowledgedBeforeItIsDurable holds the disk back.
func TestNothingIsAcknowledgedBeforeItIsDurable(t *testing.T) {
	for name, c := range map[string]struct {
		send packets.Packet
		ack  byte
	}{
		"retained":    {retainedPacket("a", "x", 1, 9), packets.Puback},
		"retained 2":  {retainedPacket("a", "x", 2, 9), packets.Pubrec},
		"queued":      {publishPacket("q", "x", 1, 9), packets.Puback},
		"received":    {publishPacket("other", "x", 2, 9), packets.Pubrec},
		"subscribe":   {subscribePacket(9, 1, "new"), packets.Suback},
		"unsubscribe": {packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 9, Filters: packets.Subscriptions{{Filter: "old"}}}, packets.Unsuback},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := brokertest.NewStore(t)
				b := brokertest.New(t, withStore(s))
				absent := dial(t, b, 4, "absent", lasting)
				absent.send(subscribePacket(1, 1, "q"))
				absent.expect(packets.Suback)
				_ = absent.Close()
				r := dial(t, b, 4, "gate-1", lasting)
				r.send(subscribePacket(1, 1, "old"))
				r.expect(packets.Suback)
				s.Settle()
				s.Hold()
				r.send(c.send)
				r.alive() // nothing came before
				s.Release()
				if ack := r.expect(c.ack); ack.PacketID != 9 {
					t.Errorf("acknowledged %d, want 9", ack.PacketID)
				}
			})
		})
	}
}

// TestWhatIsNotKeptDoesNotWait has a disk that writes nothing.
func TestWhatIsNotKeptDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brokertest.NewStore(t)
		b := brokertest.New(t, withStore(s))
		s.Hold()
		r := dial(t, b, 4, "gate-1")
		r.send(subscribePacket(1, 1, "q"))
		r.expect(packets.Suback)
		r.send(publishPacket("q", "x", 1, 2))
		got := r.burst()
		if len(got) != 2 {
			t.Fatalf("%d packets came, want the message and its acknowledgement", len(got))
		}
		publish(t, b, area.Message{Topic: "busy", Payload: []byte("x"), QoS: 1, Retain: true})
		r.alive()
		if s.Writes() != 0 {
			t.Errorf("%d writes", s.Writes())
		}
	})
}

// TestNothingIsWrittenWhenNothingChanges repeats what is there.
func TestNothingIsWrittenWhenNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brokertest.NewStore(t)
		b := brokertest.New(t, withStore(s))
		r := dial(t, b, 4, "gate-1", lasting)
		r.send(subscribePacket(1, 1, "q"))
		r.expect(packets.Suback)
		r.send(retainedPacket("a", "x", 1, 2))
		r.expect(packets.Puback)
		s.Settle()
		before := s.Writes()
		for i := range 10 {
			r.send(subscribePacket(uint16(i+10), 1, "q"))
			r.expect(packets.Suback)
			r.send(retainedPacket("a", "x", 1, uint16(i+30)))
			r.expect(packets.Puback)
			r.alive()
		}
		s.Settle()
		if n := s.Writes() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestFullDisk fills the disk: MQTT 5 is refused with the reason, 3.1.1 waits
// for its answer, everything else goes on, and it heals by itself.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brokertest.NewStore(t)
		b := brokertest.New(t, withStore(s))
		v3, v5 := dial(t, b, 4, "v3"), dial(t, b, 5, "v5")
		session := dial(t, b, 5, "session", lasting)
		s.Fail(area.Errorf(area.CodeDiskFull, "no space left on device"), false)
		v5.send(retainedPacket("a", "v5", 1, 1))
		if ack := v5.expect(packets.Puback); ack.ReasonCode != packets.ErrQuotaExceeded.Code || ack.Properties.ReasonString == "" {
			t.Errorf("PUBACK %#x %q", ack.ReasonCode, ack.Properties.ReasonString)
		}
		if len(b.Retained("a", 0)) != 0 {
			t.Error("what was refused is retained")
		}
		session.send(subscribePacket(1, 1, "q"))
		if ack := session.expect(packets.Suback); ack.ReasonCodes[0] != packets.ErrQuotaExceeded.Code {
			t.Errorf("SUBACK %#x", ack.ReasonCodes[0])
		}
		v3.send(retainedPacket("a", "v3", 1, 7))
		v3.alive()
		v5.send(subscribePacket(2, 1, "a"))
		v5.expect(packets.Suback)
		if pk := v5.expect(packets.Publish); string(pk.Payload) != "v3" {
			t.Errorf("retained %q", pk.Payload)
		}
		v5.send(publishPacket("live", "x", 1, 3))
		if ack := v5.expect(packets.Puback); ack.ReasonCode >= packets.ErrUnspecifiedError.Code {
			t.Errorf("PUBACK %#x for what is not kept", ack.ReasonCode)
		}
		s.Fail(nil, false)
		if ack := v3.expect(packets.Puback); ack.PacketID != 7 {
			t.Errorf("PUBACK for %d", ack.PacketID)
		}
		v5.send(retainedPacket("b", "v5", 1, 4))
		if ack := v5.expect(packets.Puback); ack.ReasonCode != 0 {
			t.Errorf("PUBACK %#x after the disk was freed", ack.ReasonCode)
		}
		if n := b.Stats().Unstored; n != 2 {
			t.Errorf("%d unstored, want 2", n)
		}
	})
}

// TestDeadDisk breaks the disk: nothing that should be kept is acknowledged
// ever again.
func TestDeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brokertest.NewStore(t)
		b := brokertest.New(t, withStore(s))
		waiting, v3, v5 := dial(t, b, 4, "waiting"), dial(t, b, 4, "v3"), dial(t, b, 5, "v5")
		s.Hold()
		waiting.send(retainedPacket("a", "x", 1, 1))
		waiting.alive()
		s.Fail(errors.New("input/output error"), true)
		s.Release()
		waiting.closed()
		v3.send(retainedPacket("a", "x", 1, 1))
		v3.closed()
		v5.send(retainedPacket("a", "x", 1, 1))
		if ack := v5.expect(packets.Puback); ack.ReasonCode != packets.ErrQuotaExceeded.Code {
			t.Errorf("PUBACK %#x", ack.ReasonCode)
		}
		v5.send(publishPacket("live", "x", 1, 2))
		v5.expect(packets.Puback)
	})
}

// TestSessionsExpireOverARestart counts the time that the process was not there.
func TestSessionsExpireOverARestart(t *testing.T) {
	for name, c := range map[string]struct {
		version byte
		away    time.Duration // before the restart
		after   time.Duration // and after it
		present bool
	}{
		"5 in time":         {5, 30 * time.Minute, 20 * time.Minute, true},
		"5 over before":     {5, 61 * time.Minute, 0, false},
		"5 over after":      {5, 30 * time.Minute, 32 * time.Minute, false},
		"3.1.1 in time":     {4, 80 * time.Minute, 30 * time.Minute, true},
		"3.1.1 over before": {4, 121 * time.Minute, 0, false},
		"3.1.1 over after":  {4, 100 * time.Minute, 22 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := brokertest.NewStore(t)
				twoHours := func(c *broker.Config) { c.SessionExpiry = 2 * time.Hour }
				b := brokertest.New(t, withStore(s), twoHours)
				r := dial(t, b, c.version, "gate-1", lasting)
				r.send(subscribePacket(1, 1, "q"))
				r.expect(packets.Suback)
				_ = r.Close()
				synctest.Wait()
				s.Settle()
				s = s.Crashed()
				time.Sleep(c.away)
				b = brokertest.New(t, withStore(s), twoHours)
				time.Sleep(c.after)
				r = newRaw(t, b.Pipe(t), c.version)
				if ack := r.connect("gate-1", lasting); ack.SessionPresent != c.present {
					t.Errorf("session present: %t, want %t", ack.SessionPresent, c.present)
				}
				s.Settle()
				if n := len(s.Keys("subscriptions")); (n == 1) != c.present {
					t.Errorf("%d subscriptions on disk", n)
				}
			})
		})
	}
}

// TestTopicsFitTheStore: a topic that could not be a key is refused with the
// configuration that would let it in.
func TestTopicsFitTheStore(t *testing.T) {
	cfg := broker.Config{MaxTopicBytes: 40_000}
	if err := cfg.Validate(); err != nil {
		t.Errorf("without a store: %v", err)
	}
	cfg.Store = brokertest.NewStore(t)
	if err := cfg.Validate(); err == nil {
		t.Error("with a store: no error")
	}
}
