package broker

import (
	"bytes"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// wire is a link of MQTT 5 whose output a test reads.
type wire struct {
	*link
	peer net.Conn
}

func newWire(t *testing.T) *wire {
	t.Helper()
	b, err := New(Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	l, err := b.admit(theirs, door{})
	if err != nil {
		t.Fatal(err)
	}
	l.window.most = 65535
	cl := b.server.NewClient(l, listenerName, "gate-1", false)
	cl.Properties.ProtocolVersion = 5
	l.client.Store(cl)
	t.Cleanup(func() {
		_ = ours.Close()
		cl.Stop(mqtt.ErrConnectionClosed)
		b.release(l)
		b.work.Wait()
	})
	return &wire{link: l, peer: ours}
}

// writes checks what comes out for a write.
func (w *wire) writes(t *testing.T, name string, in, want []byte) {
	t.Helper()
	if n, err := w.Write(bytes.Clone(in)); n != len(in) || err != nil {
		t.Errorf("%s: wrote %d of %d, %v", name, n, len(in), err)
	}
	if err := w.out.rest(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	w.gets(t, name, want)
}

func (w *wire) gets(t *testing.T, name string, want []byte) {
	t.Helper()
	synctest.Wait()
	got := make([]byte, 4096)
	n := 0
	for {
		_ = w.peer.SetReadDeadline(noTime())
		k, err := w.peer.Read(got[n:])
		n += k
		if err != nil {
			break
		}
		synctest.Wait()
	}
	if !bytes.Equal(got[:n], want) {
		t.Errorf("%s: %x came, want %x", name, got[:n], want)
	}
}

var (
	connackBytes = []byte{0x20, 3, 0, 0, 0}
	welcomeBytes = []byte{0x20, 11, 0, 0, 8, 0x22, 0, 0, 0x27, 0, 4, 0, 0}
	qos0         = []byte{0x30, 5, 0, 1, 'a', 0, 'x'}
)

func puback(id byte, shifted bool) []byte {
	if shifted {
		return []byte{0x40, 2, 0x80, id}
	}
	return []byte{0x40, 2, 0, id}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestNothingComesBeforeConnack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.writes(t, "early", join(qos0, []byte{0xe0, 2, 0x8e, 0}), nil)
		w.writes(t, "CONNACK", connackBytes, join(welcomeBytes, qos0))
		w.writes(t, "later", join(qos0, qos0), join(qos0, qos0))
	})
}

func TestAddedCodesAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.writes(t, "CONNACK", connackBytes, welcomeBytes)
		w.addedTo(0x8001, 2)
		w.addedTo(0x8002, 1)
		w.writes(t, "others", []byte{0x90, 4, 0x80, 7, 0, 1}, []byte{0x90, 4, 0, 7, 0, 1})
		w.writes(t, "SUBACK", join(qos0, []byte{0x90, 6, 0x80, 1, 0, 1, 2, 0}, qos0), join(qos0, []byte{0x90, 4, 0, 1, 0, 1}, qos0))
		w.writes(t, "UNSUBACK", []byte{0xb0, 5, 0x80, 2, 0, 0, 0x11}, []byte{0xb0, 4, 0, 2, 0, 0})
		w.writes(t, "no more", []byte{0xb0, 5, 0x80, 2, 0, 0, 0x11}, []byte{0xb0, 5, 0, 2, 0, 0, 0x11})
	})
}

func TestAnswersWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.writes(t, "CONNACK", connackBytes, welcomeBytes)
		w.writes(t, "nothing noted", puback(1, true), puback(1, false))
		w.after(10)
		w.writes(t, "first", join(puback(2, true), qos0), qos0)
		w.after(11)
		w.writes(t, "second", join(puback(3, true), []byte{0xd0, 0}), []byte{0xd0, 0})
		w.b.durable(9)
		w.gets(t, "too early", nil)
		w.b.durable(10)
		w.gets(t, "first is safe", puback(2, false))
		w.b.durable(12)
		w.gets(t, "second is safe", puback(3, false))
		w.writes(t, "safe already", puback(4, true), puback(4, false))
	})
}

func TestConnackWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.after(5)
		w.writes(t, "all of it", join(connackBytes, qos0, []byte{0xd0, 0}), nil)
		w.b.durable(5)
		w.gets(t, "safe", join(welcomeBytes, qos0, []byte{0xd0, 0}))
	})
}

// TestNotStored: an acknowledgement of what is not on disk never goes out,
// whether it waits already or is written only then.
func TestNotStored(t *testing.T) {
	for name, late := range map[string]bool{"waits": false, "is written later": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				w.writes(t, "CONNACK", connackBytes, welcomeBytes)
				w.after(7)
				if !late {
					w.writes(t, "waits", puback(2, true), nil)
				}
				w.b.notDurable(6, 8)
				w.b.durable(20)
				if late {
					if _, err := w.Write(puback(2, true)); err == nil {
						t.Error("it was written")
					}
				}
				w.gets(t, "the end", []byte{0xe0, 2, 0x83, 0})
				if n := w.b.Stats().NotStored; n != 1 {
					t.Errorf("%d not stored, want 1", n)
				}
			})
		})
	}
}

func TestWhatWaitsForTheStoreIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.b.cfg.MaxOutputBytes = 100
		w.writes(t, "CONNACK", connackBytes, welcomeBytes)
		w.after(1)
		n := 0
		for ; n < 1000; n++ {
			if _, err := w.Write(puback(1, true)); err != nil {
				break
			}
		}
		if st := w.b.Stats(); n != 25 || st.SlowConsumers != 1 {
			t.Errorf("%d acknowledgements waited, %d slow; want 25 and then the end", n, st.SlowConsumers)
		}
	})
}

// TestNothingIsSentBehindTheEnd: between the end of a connection, which its client
// sees, and the moment in which the library knows of it a message waits, as one that was
// never sent, and counts its client as away.
func TestNothingIsSentBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.writes(t, "CONNACK", connackBytes, welcomeBytes)
		cl := w.client.Load()
		cl.Properties.Props.SessionExpiryInterval = 60
		w.b.server.Clients.Add(cl)
		_ = w.Close()
		if _, err := w.peer.Read(make([]byte, 1)); err == nil || cl.Closed() {
			t.Fatalf("%v; want the end, and a library that does not know of it", err)
		}
		sub := packets.Subscription{Filter: "in", Qos: 1}
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "in", Payload: []byte("x"), Created: 1}
		if f := w.b.fitness(cl.ID, sub, &pk); f != absent {
			t.Errorf("the client of a shared subscription is %d, want absent", f)
		}
		w.b.deliver(cl, &member{client: cl.ID, sub: sub}, &message{pk: &pk})
		if sent := w.sentIDs(); len(sent) != 0 || cl.State.Inflight.Len() != 1 {
			t.Errorf("%d count as sent, %d wait; want none and one", len(sent), cl.State.Inflight.Len())
		}
	})
}

// noTime is a deadline that is over at once, when nothing is there to read.
func noTime() time.Time { return time.Now().Add(time.Nanosecond) }
