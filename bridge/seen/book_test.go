package seen_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/seen"
	"github.com/tacet-hub/tacet/broker/area"
)

// common is a table that several books have; each of them hears of what the others do.
type common struct {
	mu   sync.Mutex
	rows map[string]string
	puts int
	all  []*view
}

type view struct {
	c    *common
	book *seen.Book
}

func (v *view) Load(each func(string, []byte) error) error {
	for k, s := range maps.Clone(v.c.rows) {
		if err := each(k, []byte(s)); err != nil {
			return err
		}
	}
	return nil
}

func (v *view) PutAsync(key string, value []byte, done func(error)) { v.change(key, value, done) }
func (v *view) DeleteAsync(key string, done func(error))            { v.change(key, nil, done) }

func (v *view) change(key string, value []byte, done func(error)) {
	v.c.mu.Lock()
	v.c.puts++
	if v.c.rows[key] = string(value); value == nil {
		delete(v.c.rows, key)
	}
	v.c.mu.Unlock()
	for _, o := range v.c.all {
		if o != v && o.book != nil {
			o.book.Changed(key, value)
		}
	}
	done(nil)
}

// node makes the book of one more node.
func (c *common) node(t *testing.T, cfg seen.Config) (b *seen.Book, stop func()) {
	t.Helper()
	v := &view{c: c}
	b, err := seen.New(cfg, v, time.Now, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	v.book = b
	c.all = append(c.all, v)
	ctx, end := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = b.Run(ctx) })
	stop = func() { end(); tasks.Wait() }
	t.Cleanup(stop)
	return b, stop
}

func newCommon() *common { return &common{rows: map[string]string{}} }

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var (
	ann  = seen.Who{Kind: seen.User, Name: "ann"}
	gate = seen.Who{Kind: seen.Device, Name: "gate-1"}
)

func ago(t *testing.T, b *seen.Book, w seen.Who) string {
	t.Helper()
	s, ok := b.Of(w)
	if !ok {
		return "never"
	}
	return fmt.Sprint(s.Node, " ", time.Since(s.At).Round(time.Second))
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// TestAtEveryNode: who was last seen where, at all nodes, after a start, and for as long as
// it is kept.
func TestAtEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		var here atomic.Pointer[[]seen.Sighting]
		here.Store(&[]seen.Sighting{})
		a, stopA := c.node(t, seen.Config{Node: "a", Here: func() []seen.Sighting { return *here.Load() }})
		b, stopB := c.node(t, seen.Config{Node: "b"})
		synctest.Wait()
		a.Saw(ann)
		want(t, "at its node", ago(t, a, ann), "a 0s")
		after(21 * time.Second)
		want(t, "at the other", ago(t, b, ann), "a 21s")

		here.Store(&[]seen.Sighting{{Who: gate, At: time.Now()}})
		after(time.Hour)
		want(t, "once seen", ago(t, b, gate), "a 1h0m0s")
		b.Saw(gate)
		after(2 * time.Minute)
		for name, x := range map[string]*seen.Book{"a": a, "b": b} {
			want(t, "the newest at "+name, ago(t, x, gate), "b 2m0s")
		}
		stopA()
		again, _ := c.node(t, seen.Config{Node: "a", Keep: 48 * time.Hour})
		want(t, "after a start", ago(t, again, gate), "b 2m0s")
		stopB()
		after(48*time.Hour - 5*time.Minute)
		want(t, "for two days", ago(t, again, gate), "b 47h57m0s")
		after(5 * time.Minute)
		want(t, "after two days", ago(t, again, gate), "never")
		after(26 * time.Hour)
		if len(c.rows) != 0 || again.Stats().Known != 0 || again.Stats().Forgotten != 2 {
			t.Errorf("%v is kept, %+v", c.rows, again.Stats())
		}
	})
}

// TestWritesFew: one who stays is written every ten minutes, one who comes and goes each
// minute, and at the end everybody.
func TestWritesFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		stays := seen.Config{Node: "a", Here: func() []seen.Sighting { return []seen.Sighting{{Who: gate, At: time.Now()}} }}
		_, stop := c.node(t, stays)
		after(time.Hour + time.Second)
		if c.puts < 6 || c.puts > 8 {
			t.Errorf("%d records in an hour", c.puts)
		}
		after(5 * time.Minute)
		stop()
		var b *seen.Book
		b, stop = c.node(t, seen.Config{Node: "a"})
		want(t, "after the end", ago(t, b, gate), "a 0s")
		c.puts = 0
		for range 60 {
			b.Saw(ann)
			after(time.Minute)
		}
		if c.puts < 20 || c.puts > 61 {
			t.Errorf("%d records of one who comes and goes in an hour", c.puts)
		}
		b.Forget(ann)
		want(t, "forgotten", ago(t, b, ann), "never")
		stop()
		if len(c.rows) != 1 {
			t.Errorf("%v is kept", c.rows)
		}
	})
}

// TestBounded: more are not kept, and counted; what cannot be read neither.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newCommon().node(t, seen.Config{Node: "a", Most: 2})
		for i := range 5 {
			b.Saw(seen.Who{Kind: seen.User, Name: fmt.Sprint("u", i)})
		}
		b.Saw(seen.Who{Kind: seen.User, Tenant: "t"}) // nobody
		b.Changed("user//u9", []byte(`{"at":"2030-01-01T00:00:00.000Z","node":"b"}`))
		b.Changed("cat//u9", []byte(`{}`))
		b.Changed("user//u1", []byte(`no`))
		if s := b.Stats(); s.Known != 2 || s.Refused != 4 || s.Malformed != 2 {
			t.Errorf("%+v", s)
		}
		if list := b.List(); len(list) != 2 || list[0].Name != "u0" || list[1].Name != "u1" {
			t.Errorf("%v", list)
		}
	})
}

// TestThirtyDays is for how long sightings are kept.
func TestThirtyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newCommon().node(t, seen.Config{Node: "a"})
		for days, known := range map[int]bool{29: true, 30: true, 31: false} {
			w := seen.Who{Kind: seen.User, Name: fmt.Sprint("u", days)}
			at := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
			b.Changed("user//"+w.Name, fmt.Appendf(nil, `{"at":%q,"node":"b"}`, area.At(at)))
			if _, ok := b.Of(w); ok != known {
				t.Errorf("after %d days it is known: %v", days, ok)
			}
		}
	})
}

func TestValidate(t *testing.T) {
	if _, err := seen.New(seen.Config{Keep: -1}, &view{c: newCommon()}, time.Now, slog.Default()); err == nil {
		t.Error("a book without a node")
	}
}
