package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/relay"
)

// heirWire is a wire to a node that takes what another gives up, once it is willing.
type heirWire struct {
	willing bool
	asked   int
	took    []string // payloads
	common  estate.Memory
}

func (w *heirWire) Send(string, []byte) error { return nil }

func (w *heirWire) Ask(_ context.Context, _ string, question []byte) ([]byte, error) {
	if len(question) == 0 {
		return nil, nil
	}
	w.asked++
	if !w.willing {
		return nil, errors.New("busy")
	}
	r := &reader{rest: bytes.Clone(question[2:])} // the page refers to it
	r.text()
	readQueue(r, func(one movedMessage) { w.took = append(w.took, string(one.pk.Payload)) })
	return []byte{recordVersion, 1}, nil
}

// besideHeir is a bubble with the broker of node b, which knows of a node a and has a
// session with a queue.
func besideHeir(t *testing.T, queue, size int, then func(t *testing.T, b *Broker, w *heirWire)) {
	synctest.Test(t, func(t *testing.T) {
		r, err := relay.New(relay.Config{Node: "b"})
		if err != nil {
			t.Fatal(err)
		}
		w := &heirWire{}
		m, err := estate.New(estate.Config{Node: "b"}, "1", nil, &w.common)
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(Config{Relay: r, Estates: m}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r.Join(w)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }() // joined below
		r.Connected(true)
		r.Nodes([]relay.Node{{Name: "b", Life: 1}, {Name: "a", Life: 1}})
		synctest.Wait()
		x := &moved{client: "gate", version: 5, expiry: 3600}
		for i := range queue {
			pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "q", PacketID: uint16(i + 1)}
			pk.Payload = fmt.Appendf(nil, "%0*d", size, i)
			x.queue = append(x.queue, movedMessage{pk: pk, number: int64(i) + 1})
		}
		b.install(x)
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		then(t, b, w)
	})
}

// A session that another node has waits to be handed over for as long as other nodes
// cannot be reached, and else for a minute, however often there is something to do
// meanwhile: until then nothing of it is lost.
func TestLeaving(t *testing.T) {
	besideHeir(t, 1, 4, func(t *testing.T, b *Broker, w *heirWire) {
		ctx, h := t.Context(), b.heirs
		here := func() bool { _, there := b.server.Clients.Get("gate"); return there }
		h.leave("gate", "a")
		b.cfg.Relay.Connected(false)
		for range 2 * leaveTries {
			h.leaveAll(ctx)
			time.Sleep(leaveWait)
		}
		if !here() || b.Stats().Forsaken != 0 || w.asked != 0 {
			t.Fatalf("while the wire is down: here %t, forsaken %d, asked %d", here(), b.Stats().Forsaken, w.asked)
		}
		b.cfg.Relay.Connected(true)
		for range 2 * leaveTries {
			h.leaveAll(ctx)
		}
		if !here() || b.Stats().Forsaken != 0 || w.asked != 1 {
			t.Fatalf("in a moment: here %t, forsaken %d, asked %d", here(), b.Stats().Forsaken, w.asked)
		}
		time.Sleep(leaveWait)
		w.willing = true
		h.leaveAll(ctx)
		if here() || len(w.took) != 1 || b.Stats().Forsaken != 0 {
			t.Errorf("in the end: here %t, handed over %q, forsaken %d", here(), w.took, b.Stats().Forsaken)
		}
	})
}

// Whom nobody takes is given up after a minute, and counted.
func TestLeavingInVain(t *testing.T) {
	besideHeir(t, 1, 4, func(t *testing.T, b *Broker, w *heirWire) {
		b.heirs.leave("gate", "a")
		for range leaveTries {
			b.heirs.leaveAll(t.Context())
			time.Sleep(leaveWait)
		}
		if _, there := b.server.Clients.Get("gate"); there || b.Stats().Forsaken != 1 || w.asked != leaveTries {
			t.Errorf("here %t, forsaken %d, asked %d", there, b.Stats().Forsaken, w.asked)
		}
	})
}

// A client that comes where its session was to be given up to the node that has the newer
// one gets what waits at both: the older is handed over before the newer comes.
func TestLeavingComesBack(t *testing.T) {
	besideHeir(t, 1, 4, func(t *testing.T, b *Broker, w *heirWire) {
		b.heirs.leave("gate", "a")
		w.willing = true
		b.fetchHeld(t, "gate", "a")
		if len(w.took) != 1 {
			t.Errorf("handed over is %q", w.took)
		}
		w.asked = 0
		b.heirs.leaveAll(t.Context()) // it was there, and is away again
		if _, there := b.server.Clients.Get("gate"); !there || w.asked != 0 {
			t.Errorf("the session is given up after its client was there: here %t, asked %d", there, w.asked)
		}
	})
}

// fetchHeld has a client connect whose session another node has told of.
func (b *Broker) fetchHeld(t *testing.T, client, node string) {
	word := func(fact string) []byte { // one telling of one fact: see package relay
		list := binary.AppendUvarint(nil, uint64(len(fact)))
		value := fmt.Sprint(time.Now().Add(time.Hour).UnixMicro())
		list = append(list, fact...)
		list = append(binary.AppendUvarint(list, uint64(len(value))), value...)
		return append([]byte{2, 3, 0, 1, 1, 0}, list...)
	}
	b.cfg.Relay.Client(client, 1, true)
	b.cfg.Relay.Hear(node, word("c"+client))
	if synctest.Wait(); b.cfg.Relay.Stats().Malformed != 0 {
		t.Fatal("what the node tells is malformed")
	}
	b.fetch(&link{id: client}, false)
}

// More than goes into one answer of what came to a queue at the end of a hand-over is
// answered in several, and the session ends with the last.
func TestMuchAtTheEnd(t *testing.T) {
	const messages, size = 20, 60 << 10
	besideHeir(t, messages, size, func(t *testing.T, b *Broker, _ *heirWire) {
		var got, answers int
		for more, last := true, int64(0); more; answers++ {
			r := newReader(b.giveRest("gate", last))
			more, _ = readQueue(r, func(one movedMessage) { got++; last = one.number })
			if _, there := b.server.Clients.Get("gate"); there != more {
				t.Fatalf("answer %d: the session is here %t, more is to come %t", answers, there, more)
			}
		}
		if got != messages || answers < 3 {
			t.Errorf("%d of %d messages in %d answers", got, messages, answers)
		}
	})
}

// A session that another node has claimed, and that its client has taken up here again,
// is claimed no more: when this node is down again another one takes it over.
func TestLeavingIsClaimedNoMore(t *testing.T) {
	for name, comes := range map[string]func(*Broker){
		"before it is given up":      func(b *Broker) { b.fetch(&link{id: "gate"}, false) },
		"while it is being given up": func(b *Broker) { b.sessions.enter(&link{id: "gate"}, true); b.heirs.leaveAll(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			besideHeir(t, 1, 4, func(t *testing.T, b *Broker, w *heirWire) {
				b.cfg.Relay.Restored("gate")
				claim := estate.Claim{By: "a", At: time.Now().UnixMicro(), Done: true}
				if err := w.common.Settle(t.Context(), "b", map[string]estate.Claim{"gate": claim}); err != nil {
					t.Fatal(err)
				}
				b.heirs.claimed(map[string]estate.Claim{"gate": claim})
				comes(b)
				b.heirs.disclaim(t.Context())
				if c, err := w.common.Claim(t.Context(), "b", "gate", estate.Claim{By: "c"}, ""); err != nil || c.Done {
					t.Errorf("the claim is %+v, %v", c, err)
				}
			})
		})
	}
}
