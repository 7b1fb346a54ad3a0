package redis

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// TestShelf: what one node lays down another takes, once; what nobody takes goes after
// its time.
func TestShelf(t *testing.T) {
	e := startEngine(t)
	var list []*Server
	for _, name := range []string{"a", "b"} {
		s, err := NewServer(Config{URL: e.url, Node: name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		list = append(list, s)
	}
	b := bytes.Repeat([]byte{0, 1, 0xff, '\r', '\n'}, 50_000)
	if err := list[0].Lay(t.Context(), "a-1", b, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := list[1].Take(t.Context(), "a-1"); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes are taken, %v", len(got), err)
	}
	if got, err := list[1].Take(t.Context(), "a-1"); !errors.Is(err, ErrGone) {
		t.Errorf("the second time %d bytes, %v", len(got), err)
	}
	if err := list[0].Lay(t.Context(), "a-2", b, time.Minute); err != nil {
		t.Fatal(err)
	}
	out, err := list[0].do(t.Context(), func(c rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{c.Pttl().Key(list[0].cfg.shelfKey("a-2")).Build()}
	})
	if err != nil {
		t.Fatal(err)
	}
	if ms, err := out[0].AsInt64(); err != nil || ms <= 0 || ms > time.Minute.Milliseconds() {
		t.Errorf("what nobody takes is gone after %d ms, %v", ms, err)
	}
}
