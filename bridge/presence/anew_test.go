package presence

import (
	"encoding/json"
	"testing"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// TestNodeBeginsAnew: a node that was killed and is back before anybody has missed it has
// none of its connections any more, and they are told to be gone, once.
func TestNodeBeginsAnew(t *testing.T) {
	var gone []Conn
	d := New(Config{Kind: kind}, backplane.NewMux(new(backplane.Exchange).Join("a", "")), nil)
	d.OnGone(func(list []Conn) { gone = append(gone, list...) })
	asked := 0
	take := func(e event) { d.take(e, func(string) { asked++ }) }
	all := func(life uint64, conns ...Conn) event {
		n := &node{members: newMembers(), life: life}
		for _, c := range conns {
			n.set(c)
		}
		return event{from: "b", all: n, done: true}
	}
	says := func(w word) event {
		b, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		return event{from: "b", body: b}
	}
	take(event{nodes: []backplane.Node{{Name: "a"}, {Name: "b"}}})
	take(all(1, Conn{ID: "1", User: "ann"}))
	take(says(word{Life: 2})) // a beat
	if asked != 2 || len(gone) != 0 {
		t.Fatalf("asked %d times, gone are %v", asked, gone)
	}
	take(all(2, Conn{ID: "2", User: "bob"}))
	if len(gone) != 1 || gone[0].ID != "1" || d.IsUserOnline("ann") || !d.IsUserOnline("bob") {
		t.Errorf("gone are %v", gone)
	}
	take(event{nodes: []backplane.Node{{Name: "a"}}})
	if len(gone) != 2 || gone[1].ID != "2" {
		t.Errorf("with the node these are gone: %v", gone)
	}
}
