package absence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/absence"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
)

// table is one that all nodes have; while away is set it is each one's own.
type table struct {
	mu      sync.Mutex
	all     map[string][]byte
	away    bool
	broken  error
	between func() // is called between a look and the change that follows
}

func newTable() *table { return &table{all: map[string][]byte{}} }

func (x *table) Load(each func(string, []byte) error) error {
	x.mu.Lock()
	all := maps.Clone(x.all)
	x.mu.Unlock()
	for k, v := range all {
		if err := each(k, v); err != nil {
			return err
		}
	}
	return x.broken
}

func (x *table) Get(key string) ([]byte, bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	v, ok := x.all[key]
	return v, ok, x.broken
}

func (x *table) Put(_ context.Context, key string, value []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all[key] = value
	return nil
}

func (x *table) Delete(_ context.Context, key string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.all, key)
	return nil
}

func (x *table) PutIf(ctx context.Context, key string, old, value []byte) ([]byte, bool, error) {
	if f := x.between; f != nil {
		x.between = nil
		f()
	}
	x.mu.Lock()
	now, away := x.all[key], x.away
	x.mu.Unlock()
	switch {
	case away:
		return nil, false, area.Errorf(area.CodeDegraded, "away")
	case !bytes.Equal(now, old):
		return now, false, nil
	case value == nil:
		return nil, true, x.Delete(ctx, key)
	}
	return nil, true, x.Put(ctx, key, value)
}

func node(t *testing.T, x *table, cfg absence.Config) *absence.Book {
	t.Helper()
	b, err := absence.New(cfg, x, time.Now, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func left(conn string) absence.Left {
	return absence.Left{Conn: conn, At: time.Now(), Groups: map[string]*signalr.Position{"g": {Epoch: "1", Offset: 7}, "unknown": nil}}
}

func anyone(absence.Left) bool { return true }

// takes answers of which connection something was taken; empty: of none.
func takes(t *testing.T, b *absence.Book, more ...absence.Left) string {
	t.Helper()
	l, ok := b.Take(t.Context(), "user/ann", anyone, more...)
	if ok != (l.Conn != "") {
		t.Errorf("took %+v, %v", l, ok)
	}
	return l.Conn
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestOnce: what is left is taken once, the oldest first, also where two nodes have kept
// it, or one takes it that nobody has kept yet.
func TestOnce(t *testing.T) {
	x := newTable()
	a, b := node(t, x, absence.Config{Node: "a"}), node(t, x, absence.Config{Node: "b"})
	want(t, "of nobody", takes(t, a), "")
	a.Keep(t.Context(), "user/ann", left("1.a"))
	b.Keep(t.Context(), "user/ann", left("2.b"))
	b.Keep(t.Context(), "user/ann", left("1.a")) // a newer word
	if l, ok := a.Take(t.Context(), "user/ann", func(l absence.Left) bool { return l.Conn == "1.a" }); !ok || *l.Groups["g"] != (signalr.Position{Epoch: "1", Offset: 7}) || l.Groups["unknown"] != nil || len(l.Groups) != 2 {
		t.Errorf("took %+v, %v", l, ok)
	}
	a.Keep(t.Context(), "user/ann", left("1.a"))
	want(t, "the other", takes(t, b), "2.b")
	want(t, "the first, kept once more", takes(t, b), "")
	want(t, "of a node that died", takes(t, a, left("3.c"), left("4.c")), "3.c")
	want(t, "its other one", takes(t, b, left("3.c"), left("4.c")), "4.c")
	b.Keep(t.Context(), "user/ann", left("3.c"))
	want(t, "and kept then", takes(t, a), "")
	a.Keep(t.Context(), "user/ann", left("5.a"))
	b.Drop(t.Context(), "user/ann", "5.a")
	b.Drop(t.Context(), "user/bob", "5.a")
	want(t, "of one that has said goodbye", takes(t, a), "")
	if s := a.Stats(); s.Kept != 2 || s.Taken != 2 || s.Failed+s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// TestTwoAtOnce: of two that come back at the same time, at two nodes, each gets another's.
func TestTwoAtOnce(t *testing.T) {
	x := newTable()
	a, b := node(t, x, absence.Config{Node: "a"}), node(t, x, absence.Config{Node: "b"})
	a.Keep(t.Context(), "user/ann", left("1.a"))
	a.Keep(t.Context(), "user/ann", left("2.a"))
	x.between = func() { want(t, "who was faster", takes(t, b), "1.a") }
	want(t, "who was slower", takes(t, a), "2.a")
	a.Keep(t.Context(), "user/ann", left("3.a"))
	x.between = func() { want(t, "who was faster", takes(t, b), "3.a") }
	want(t, "with nothing left", takes(t, a), "")
	x.between = func() { b.Keep(t.Context(), "user/ann", left("5.b")) }
	a.Keep(t.Context(), "user/ann", left("4.a"))
	want(t, "both are kept", takes(t, a)+takes(t, a), "5.b4.a")
}

// TestAway: while the common copy is away a node has what its own connections left.
func TestAway(t *testing.T) {
	x := newTable()
	a := node(t, x, absence.Config{Node: "a"})
	a.Keep(t.Context(), "user/ann", left("1.b"))
	x.away = true
	want(t, "another's", takes(t, a), "")
	a.Keep(t.Context(), "user/ann", left("2.b"))
	a.Keep(t.Context(), "user/ann", left("3.a"))
	if l, ok := a.Take(t.Context(), "user/ann", func(l absence.Left) bool { return strings.HasSuffix(l.Conn, ".a") }); !ok || l.Conn != "3.a" {
		t.Errorf("its own: %+v, %v", l, ok)
	}
	x.away = false
	want(t, "another's, when it is back", takes(t, a), "1.b")
	want(t, "what could not be kept", takes(t, a), "")
	if s := a.Stats(); s.Failed != 2 {
		t.Errorf("%+v", s)
	}
}

// TestBounds: what does not fit is counted, and the oldest goes.
func TestBounds(t *testing.T) {
	x := newTable()
	b := node(t, x, absence.Config{Node: "a", Each: 2, Groups: 3, Owners: 2})
	many := left("0.a")
	for i := range 5 {
		many.Groups[fmt.Sprint("h", i)] = nil
	}
	b.Keep(t.Context(), "user/ann", many)
	if l, _ := b.Take(t.Context(), "user/ann", anyone); fmt.Sprint(len(l.Groups), len(many.Groups)) != "3 7" {
		t.Errorf("kept %v", l.Groups)
	}
	for i := range 4 {
		b.Keep(t.Context(), "user/ann", left(fmt.Sprint(i+1, ".a")))
	}
	want(t, "the newest two", takes(t, b)+takes(t, b)+takes(t, b), "3.a4.a")
	b.Keep(t.Context(), "user/bob", left("9.a"))
	b.Keep(t.Context(), "user/cyd", left("9.a"))
	if s := b.Stats(); s.Owners != 2 || s.Refused != 4 || x.all["user/cyd"] != nil {
		t.Errorf("%+v", s)
	}
	if _, err := absence.New(absence.Config{Each: -1}, x, time.Now, slog.Default()); err == nil {
		t.Error("a negative bound is taken")
	}
	x.broken = errors.New("broken")
	if _, err := absence.New(absence.Config{}, x, time.Now, slog.Default()); err == nil {
		t.Error("a broken table is taken")
	}
	b.Keep(t.Context(), "user/ann", left("8.a"))
	if s := b.Stats(); s.Failed != 1 {
		t.Errorf("%+v", s)
	}
}

// TestForgets: after a day nothing can be taken, and then nothing is there.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTable()
		b := node(t, x, absence.Config{Node: "a"})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		b.Keep(t.Context(), "user/ann", left("1.a"))
		b.Keep(t.Context(), "user/ann", left("2.a"))
		want(t, "now", takes(t, b), "1.a")
		time.Sleep(23*time.Hour + time.Minute)
		b.Keep(t.Context(), "user/bob", left("3.a"))
		time.Sleep(59*time.Minute + time.Second)
		want(t, "after a day", takes(t, b), "")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if s := b.Stats(); len(x.all) != 1 || s.Owners != 1 || s.Forgotten != 1 {
			t.Errorf("%d are there, %+v", len(x.all), s)
		}
		_ = x.Put(ctx, "user/zed", []byte("{"))
		time.Sleep(time.Hour)
		stop()
		if err := <-done; err != nil || b.Stats().Failed == 0 {
			t.Errorf("%v, %+v", err, b.Stats())
		}
	})
}
