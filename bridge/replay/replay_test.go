package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func at(n uint64) signalr.Position { return signalr.Position{Epoch: "e", Offset: n} }

func newMemory(t *testing.T, cfg Config) (*Memory, *clock) {
	t.Helper()
	c := &clock{time.Unix(1000, 0)}
	m, err := New(cfg, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return m, c
}

// keep keeps an event whose name is its offset.
func keep(m *Memory, group string, p signalr.Position) {
	m.Keep(group, signalr.Past{At: p, Event: fmt.Sprint(p.Offset), Args: []byte("[]")})
}

func since(m *Memory, group string, from, to signalr.Position) string {
	list, gap := m.Since(group, from, to)
	var names []string
	for _, p := range list {
		names = append(names, p.Event)
	}
	return fmt.Sprintf("%s %v", strings.Join(names, ","), gap)
}

func TestSince(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		kept []uint64 // offsets
		from uint64
		to   uint64
		want string
	}{
		"nothing kept":          {from: 0, to: 7, want: " false"},
		"all":                   {kept: []uint64{1, 2, 3}, from: 0, to: 3, want: "1,2,3 false"},
		"the rest":              {kept: []uint64{1, 2, 3}, from: 1, to: 3, want: "2,3 false"},
		"nothing new":           {kept: []uint64{1, 2, 3}, from: 3, to: 3, want: " false"},
		"only up to":            {kept: []uint64{1, 2, 3}, from: 1, to: 2, want: "2 false"},
		"some unwanted":         {kept: []uint64{4, 9}, from: 2, to: 12, want: "4,9 false"},
		"too many":              {cfg: Config{Events: 2}, kept: []uint64{1, 2, 3}, from: 0, to: 3, want: "2,3 true"},
		"too many, not missed":  {cfg: Config{Events: 2}, kept: []uint64{1, 2, 3}, from: 1, to: 3, want: "2,3 false"},
		"too long":              {cfg: Config{GroupBytes: 2*cost + 7}, kept: []uint64{1, 2, 3}, from: 0, to: 3, want: "2,3 true"},
		"too long over all":     {cfg: Config{Bytes: 2*cost + 7}, kept: []uint64{1, 2, 3}, from: 0, to: 3, want: "2,3 true"},
		"none fits over all":    {cfg: Config{Bytes: 1}, kept: []uint64{1, 2, 3}, from: 0, to: 3, want: " true"},
		"none fits, not missed": {cfg: Config{Bytes: 1}, kept: []uint64{1, 2, 3}, from: 3, to: 3, want: " false"},
	} {
		m, _ := newMemory(t, c.cfg)
		for _, n := range c.kept {
			keep(m, "g", at(n))
		}
		if got := since(m, "g", at(c.from), at(c.to)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if s := m.Stats(); s.Events+int(s.Dropped) != len(c.kept) || s.Bytes < 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestOldEventsGo(t *testing.T) {
	m, c := newMemory(t, Config{Age: time.Hour})
	keep(m, "g", at(1))
	c.t = c.t.Add(40 * time.Minute)
	keep(m, "g", at(2))
	c.t = c.t.Add(40 * time.Minute)
	if got := since(m, "g", at(0), at(2)); got != "2 true" {
		t.Errorf("got %q", got)
	}
	if got := since(m, "g", at(1), at(2)); got != "2 false" {
		t.Errorf("got %q", got)
	}
}

func TestEpochs(t *testing.T) {
	m, _ := newMemory(t, Config{})
	keep(m, "g", at(5))
	if got := since(m, "g", signalr.Position{Epoch: "x", Offset: 5}, at(5)); got != " true" {
		t.Errorf("of another epoch: %q", got)
	}
	next := signalr.Position{Epoch: "next", Offset: 1}
	keep(m, "g", next)
	if got := since(m, "g", signalr.Position{Epoch: "next"}, next); got != "1 false" {
		t.Errorf("after the epoch has changed: %q", got)
	}
	if s := m.Stats(); s.Events != 1 || s.Groups != 1 || s.Gaps != 1 {
		t.Errorf("%+v", s)
	}
}

// TestGroupsGiveWay: the group that has been silent longest is forgotten first,
// and who asks for it is told so.
func TestGroupsGiveWay(t *testing.T) {
	m, _ := newMemory(t, Config{Groups: 2})
	for _, g := range []string{"a", "b", "a", "c"} {
		p, _ := m.Since(g, at(0), at(9))
		keep(m, g, at(uint64(len(p)+1)))
	}
	for g, want := range map[string]string{"a": "1,2 false", "b": " true", "c": "1 false"} {
		if got := since(m, g, at(0), at(9)); got != want {
			t.Errorf("%s: got %q, want %q", g, got, want)
		}
	}
}

func TestBefore(t *testing.T) {
	m, c := newMemory(t, Config{Events: 3})
	start := c.t
	for n := range uint64(4) {
		keep(m, "g", at(10*(n+1)))
		c.t = c.t.Add(time.Second)
	}
	for _, x := range []struct {
		after time.Duration
		want  string
	}{{-time.Second, "9 true"}, {time.Second, "29 true"}, {2500 * time.Millisecond, "39 true"}, {3 * time.Second, "0 false"}} {
		p, ok := m.Before("g", "e", start.Add(x.after))
		if got := fmt.Sprint(p.Offset, ok); got != x.want {
			t.Errorf("%v: got %s, want %s", x.after, got, x.want)
		}
	}
	if _, ok := m.Before("g", "other", start); ok {
		t.Error("a position in another epoch")
	}
}

func TestWants(t *testing.T) {
	m, _ := newMemory(t, Config{Wants: func(g, e string) bool { return g == "g" && e == "E" }})
	if !m.Wants("g", "E") || m.Wants("g", "X") || m.Wants("h", "E") {
		t.Error("wants the wrong ones")
	}
}

func TestMarks(t *testing.T) {
	m := NewMarks(2)
	m.Set("ann", "a", at(1))
	m.Set("ann", "b", at(2))
	m.Set("ann", "a", at(3))
	m.Set("bob", "a", at(4))
	for who, want := range map[mark]string{{"ann", "a"}: "3 true", {"ann", "b"}: "0 false", {"bob", "a"}: "4 true", {"bob", "b"}: "0 false"} {
		p, ok := m.Get(who.who, who.group)
		if got := fmt.Sprint(p.Offset, ok); got != want {
			t.Errorf("%v: got %s, want %s", who, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	if _, err := New(Config{Events: -1}, time.Now); err == nil {
		t.Error("a negative bound is taken")
	}
}
