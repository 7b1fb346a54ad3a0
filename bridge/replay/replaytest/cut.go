package replaytest

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

var errCut = errors.New("replaytest: the cable is cut")

// cable is what joins one node with the others and with their log. While it is cut nothing
// comes through, and what is lost so is lost.
type cable struct {
	backplane.Plane
	signalr.Log
	cut  atomic.Bool
	deaf atomic.Bool // what others send is lost on its way
}

func (c *cable) Run(ctx context.Context, h backplane.Handler) error {
	return c.Plane.Run(ctx, hearing{h, c})
}

func (c *cable) Publish(partition int, e backplane.Envelope) error {
	if c.cut.Load() {
		return nil
	}
	return c.Plane.Publish(partition, e)
}

func (c *cable) Append(group string, record []byte, placed func(signalr.Position, error)) {
	if c.cut.Load() {
		placed(signalr.Position{}, errCut)
		return
	}
	c.Log.Append(group, record, placed)
}

func (c *cable) Open(ctx context.Context, groups, behind []string) ([]signalr.Position, error) {
	if c.cut.Load() {
		return nil, errCut
	}
	return c.Log.Open(ctx, groups, behind)
}

func (c *cable) Since(ctx context.Context, group string, from signalr.Position) ([]signalr.Record, bool, error) {
	if c.cut.Load() {
		return nil, false, errCut
	}
	return c.Log.Since(ctx, group, from)
}

// hearing is what a node hears over its cable.
type hearing struct {
	backplane.Handler
	c *cable
}

func (h hearing) Heard(e backplane.Envelope) {
	if !h.c.cut.Load() && !h.c.deaf.Load() {
		h.Handler.Heard(e)
	}
}

// TestCut tries a hub of two nodes of which one loses the other and the log. It takes
// some time, which need not be real.
func TestCut(t *testing.T, stores func(*testing.T) Store) {
	x, s := new(backplane.Exchange), stores(t)
	c := &cable{Plane: x.Join("a", ""), Log: s.Log(t)}
	a, b := newNode(t, c, c), newNode(t, x.Join("b", ""), s.Log(t))
	leaves, stays, other := a.dial(t), a.dial(t), b.dial(t)
	all := []*member{leaves, stays, other}
	for _, m := range all {
		m.join(t, "g", nil)
	}
	for i, n := range []*node{a, b} {
		push(n, "g", 3*i, 3*i+2)
		for _, m := range all {
			m.hears(t, 3*i, 3*i+2)
		}
	}

	c.cut.Store(true)
	push(a, "g", 6, 8)
	leaves.hears(t, 6, 8)
	stays.hears(t, 6, 8)
	push(b, "g", 9, 14)
	other.hears(t, 9, 14)
	from := leaves.stands()
	if got := b.dial(t).join(t, "g", &from); !got.Gap {
		t.Errorf("with %v, of a node that is cut off: %+v", from, got)
	}
	from = other.stands()
	if got := b.dial(t).join(t, "g", &from); got.Gap || got.position() != from {
		t.Errorf("with %v, of the same node: %+v", from, got)
	}

	c.cut.Store(false)
	stays.hears(t, 9, 14)
	other.told(t) // what the node had sent meanwhile is lost for it
	whole(t, a, b)
	push(a, "g", 15, 16)
	stays.hears(t, 15, 16)
	other.hears(t, 15, 16)
	for _, m := range []*member{stays, other} {
		from := m.stands()
		if got := b.dial(t).join(t, "g", &from); got.Gap || got.position() != from {
			t.Errorf("with %v, after it was cut off: %+v", from, got)
		}
	}
}

// setBack: where the log has lost its newest events, as a copy that was behind, those
// that take their places are heard, and nobody goes on from a place that is now another's.
func setBack(t *testing.T, s Store, a, b *node) {
	ma, mb := a.dial(t), b.dial(t)
	ma.join(t, "g", nil)
	mb.join(t, "g", nil)
	push(a, "g", 1, 3)
	mb.hears(t, 1, 3)
	restore := s.Snapshot(t, "g")
	push(a, "g", 4, 9)
	ma.hears(t, 1, 9)
	mb.hears(t, 4, 9)
	from := mb.stands()
	restore()
	push(b, "g", 10, 12)
	ma.hears(t, 10, 12)
	mb.hears(t, 10, 12)
	whole(t, a, b)
	if got := a.dial(t).join(t, "g", &from); !got.Gap {
		t.Errorf("with %v, of before: %+v", from, got)
	}
	push(b, "g", 13, 14)
	ma.hears(t, 13, 14)
	mb.hears(t, 13, 14)
	for _, m := range []*member{ma, mb} {
		from := m.stands()
		if got := a.dial(t).join(t, "g", &from); got.Gap {
			t.Errorf("with %v, of after: %+v", from, got)
		}
	}
}

// moved is the event Moved: where a group stands.
func (m *member) moved(args []json.RawMessage) {
	var at answer
	_ = json.Unmarshal(args[0], &at)
	m.mu.Lock()
	m.at = at.position()
	m.mu.Unlock()
	if at.Gap {
		m.gaps <- struct{}{}
	}
}

// stands is the position up to which it has heard everything, as far as it was told.
func (m *member) stands() signalr.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

// told waits for the word that something may be missing.
func (m *member) told(t *testing.T) {
	t.Helper()
	select {
	case <-m.gaps:
	case <-time.After(Patience):
		t.Fatal("nobody tells of a gap")
	}
}
