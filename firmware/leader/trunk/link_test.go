package trunk

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// hub is a broker on a socket.
func hub(t *testing.T) *broker.Broker {
	t.Helper()
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return b
}

func TestLinkStandsWhileItIsWanted(t *testing.T) {
	b := hub(t)
	l, err := New(Config{Device: "gate-1", Linger: 1, Uplink: uplink.Config{Hubs: []string{"mqtt://" + b.Addr().String()}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	up, heard, asked := make(chan bool, 4), make(chan area.Trunk, 4), make(chan area.Message, 4)
	defer l.Watch(func(m area.Trunk) { heard <- m }, func(is bool) { up <- is })()
	cancel, err := b.Subscribe(area.TrunkUpTopic("gate-1"), func(m area.Message) { asked <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	documents := make(chan []byte, 4)
	forget, err := l.Documents(func(b []byte) { documents <- b })
	if err != nil {
		t.Fatal(err)
	}
	defer forget()
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { _ = l.Run(ctx) })
	if err := l.Send(area.Trunk{Op: area.TrunkAsk, Area: "north"}); !errors.Is(err, uplink.ErrOffline) {
		t.Errorf("sent without a connection: %v", err)
	}
	for round := range 2 { // it can be wanted again
		l.Want("ask", true)
		if !<-up || !l.Up() {
			t.Fatalf("round %d: not up", round)
		}
		if err := l.Send(area.Trunk{Op: area.TrunkAsk, Area: "north", Term: 7}); err != nil {
			t.Fatal(err)
		}
		m := <-asked
		got, err := area.ParseTrunk(m.Payload)
		if err != nil || got.Op != area.TrunkAsk || got.Life != l.Life() || got.Term != 7 || m.From != "gate-1:trunk" || m.QoS != 1 || m.Retain {
			t.Errorf("round %d: heard %+v of %+v, %v", round, got, m, err)
		}
		answer := area.Trunk{Op: area.TrunkWitness, Area: "north", Life: "h", Live: true, Leader: "gate-2", Term: 80}
		for _, payload := range [][]byte{[]byte("{"), answer.Encode()} {
			if err := b.Publish(ctx, area.Message{Topic: area.TrunkDownTopic("gate-1"), Payload: payload, QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if w := <-heard; w.Leader != "gate-2" || !w.Live {
			t.Errorf("round %d: %+v", round, w)
		}
		if err := b.Publish(ctx, area.Message{Topic: area.PeersTopic("gate-1"), Payload: []byte("{}"), QoS: 1}); err != nil {
			t.Fatal(err)
		}
		if d := <-documents; string(d) != "{}" {
			t.Errorf("round %d: document %s", round, d)
		}
		if round == 0 { // and aimed again
			elsewhere := hub(t)
			if err := l.Aim(uplink.Target{Hubs: []string{"mqtt://" + elsewhere.Addr().String()}}); err != nil {
				t.Fatal(err)
			}
			if <-up || !<-up {
				t.Error("not up again")
			}
			if err := l.Aim(l.Home()); err != nil {
				t.Fatal(err)
			}
			if <-up || !<-up {
				t.Error("not home again")
			}
		}
		l.Want("ask", false)
		if <-up {
			t.Errorf("round %d: still up", round)
		}
	}
	if s := l.Stats(); s != (Stats{Sent: 2, Refused: 1, Heard: 2, Malformed: 2}) {
		t.Errorf("%+v", s)
	}
}

func TestConfigTellsEveryFault(t *testing.T) {
	err := Config{Device: "?", Linger: -1, Uplink: uplink.Config{Hubs: []string{"x"}}}.Validate()
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("%v", err)
	}
}
