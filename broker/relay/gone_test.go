package relay

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A session that is taken up here is newer than that of a node that is gone, however its
// clock goes.
func TestNewerThanOfAGoneNode(t *testing.T) {
	besideB(t, &bookBroker{}, &bookWire{}, func(t *testing.T, ctx context.Context, r *Relay) {
		ahead := time.Now().Add(time.Hour).UnixMicro()
		r.Hear("b", telling{to: 1, first: true, last: true, list: []fact{{key: key(aboutClient, "c"), value: session{at: ahead}.encode()}}}.append([]byte{wordFacts}))
		r.Nodes([]Node{{"a", 1}})
		synctest.Wait()
		if node, _ := r.Newest("c"); node != "b" {
			t.Fatalf("the session is at %q", node)
		}
		r.Client("c", time.Now().UnixMicro(), true)
		if node, since := r.Newest("c"); node != "a" || since != ahead+1 {
			t.Errorf("the newest is at %q since %d, want here and %d", node, since, ahead+1)
		}
	})
}

// Of the nodes that are gone those are remembered that left last.
func TestManyNodesLeave(t *testing.T) {
	besideB(t, &bookBroker{}, &bookWire{}, func(t *testing.T, ctx context.Context, r *Relay) {
		for i := range mostLeft + 2 {
			name := fmt.Sprint("n", i)
			r.Nodes([]Node{{"a", 1}, {name, 1}})
			list := []fact{{key: key(aboutClient, name), value: session{at: 1}.encode()}}
			r.Hear(name, telling{to: 1, first: true, last: true, list: list}.append([]byte{wordFacts}))
		}
		r.Nodes([]Node{{"a", 1}})
		synctest.Wait()
		for i := range mostLeft + 2 {
			name, want := fmt.Sprint("n", i), ""
			if i >= 2 {
				want = name
			}
			if node, _ := r.Newest(name); node != want {
				t.Errorf("the session of %s is at %q, want %q", name, node, want)
			}
		}
	})
}
