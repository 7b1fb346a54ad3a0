package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// deafWire answers nobody while it is deaf.
type deafWire struct{ deaf bool }

func (w *deafWire) Send(string, []byte) error { return nil }

func (w *deafWire) Ask(ctx context.Context, _ string, question []byte) ([]byte, error) {
	if w.deaf {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return question, nil
}

// noBroker is a broker to which nothing comes.
type noBroker struct{ Broker }

func (noBroker) Rerouted()  {}
func (noBroker) Sums() Sums { return Sums{} }

// besideB is a bubble with the relay of node a, which knows of a node b and no more.
func besideB(t *testing.T, b Broker, w Wire, then func(t *testing.T, ctx context.Context, r *Relay)) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{Node: "a"})
		if err != nil {
			t.Fatal(err)
		}
		r.Serve(b)
		r.Join(w)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }() // joined below
		r.Connected(true)
		r.Nodes([]Node{{"a", 1}, {"b", 1}})
		synctest.Wait()
		then(t, ctx, r)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Who asks a node that does not answer waits for two seconds, and then nobody waits
// until something is heard of it.
func TestAMuteNode(t *testing.T) {
	w := &deafWire{deaf: true}
	besideB(t, noBroker{}, w, func(t *testing.T, ctx context.Context, r *Relay) {
		for i, want := range []time.Duration{probeWait, 0} {
			begin := time.Now()
			if _, err := r.Ask(ctx, "b", []byte("q")); !errors.Is(err, ErrMute) || time.Since(begin) != want {
				t.Errorf("question %d: %v after %v, want none after %v", i, err, time.Since(begin), want)
			}
		}
		w.deaf = false
		r.Hear("b", []byte{wordAgain})
		synctest.Wait()
		if answer, err := r.Ask(ctx, "b", []byte("q")); err != nil || string(answer) != "q" {
			t.Errorf("when it is heard again: %q %v", answer, err)
		}
		r.Connected(false)
		if _, err := r.Ask(ctx, "b", []byte("q")); !errors.Is(err, ErrMute) {
			t.Errorf("while the wire is down: %v", err)
		}
	})
}
