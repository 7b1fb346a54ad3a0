package relay

import (
	"context"
	"errors"
	"testing"
	"time"
)

// slowWire answers after a second, or when nobody waits any more.
type slowWire struct{ bookWire }

func (w *slowWire) Ask(ctx context.Context, _ string, question []byte) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
		return question, nil
	}
}

// Who asks a node and does not wait for the answer has not found it mute.
func TestImpatient(t *testing.T) {
	besideB(t, noBroker{}, &slowWire{}, func(t *testing.T, ctx context.Context, r *Relay) {
		short, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		defer stop()
		if _, err := r.Ask(short, "b", []byte("q")); !errors.Is(err, ErrMute) {
			t.Errorf("in a tenth of a second: %v", err)
		}
		if answer, err := r.Ask(ctx, "b", []byte("q")); err != nil || string(answer) != "q" {
			t.Errorf("who waits gets %q %v", answer, err)
		}
	})
}
