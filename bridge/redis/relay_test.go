package redis

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/relay"
	"github.com/tacet-hub/tacet/broker/relay/relaytest"
)

// joinRelay joins brokers over the engine.
func (e *engine) joinRelay(_ testing.TB, name string, r *relay.Relay) func(context.Context) error {
	m := backplane.NewMux(e.join(name))
	backplane.JoinRelay(m, r)
	return m.Run
}

// Brokers of several processes that are joined by a server.
func TestBrokersOfNodes(t *testing.T) {
	t.Parallel()
	relaytest.Run(t, func(t *testing.T) relaytest.Join { return startEngine(t).joinRelay })
}

// What is retained while the server between the nodes is killed and comes back empty,
// stands still, or is emptied, is the same everywhere within seconds after, deletions
// too; what is published then reaches its subscribers; and what was lost is counted.
func TestRetainedOverAnOutage(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(e *engine) (mend func()){
		"killed":       func(e *engine) func() { e.kill(); return e.start },
		"stands still": func(e *engine) func() { e.signal(syscall.SIGSTOP); return func() { e.signal(syscall.SIGCONT) } },
		"emptied":      func(e *engine) func() { e.do("FLUSHALL"); return func() {} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t)
			n := relaytest.Hub(t, e.joinRelay, "a", "b")
			writers := []mqtt.Client{n[0].Dial(t, "writer-a"), n[1].Dial(t, "writer-b")}
			for i, w := range writers {
				relaytest.Say(t, w, fmt.Sprint("r/", i), 1, true, "before")
				relaytest.Say(t, w, fmt.Sprint("gone/", i), 1, true, "before")
			}
			all := map[string]string{"r/0": "before", "r/1": "before", "gone/0": "before", "gone/1": "before"}
			relaytest.Retains(t, "#", all, n...)
			mend := fault(e)
			if name != "emptied" {
				n[0].Until("the nodes know it", func() bool { return !n[0].Relay.Up() && !n[1].Relay.Up() })
			}
			for i, w := range writers {
				relaytest.Say(t, w, fmt.Sprint("r/", 1-i), 1, true, fmt.Sprint("meanwhile ", i)) // what the other has written
				relaytest.Say(t, w, fmt.Sprint("gone/", i), 1, true, "")
				relaytest.Say(t, w, fmt.Sprint("new/", i), 0, true, "meanwhile")
			}
			mend()
			back := time.Now()
			relaytest.Retains(t, "#", map[string]string{"r/0": "meanwhile 1", "r/1": "meanwhile 0", "new/0": "meanwhile", "new/1": "meanwhile"}, n...)
			t.Logf("the same %v after the server was back: %+v", time.Since(back).Round(time.Millisecond), n[0].Relay.Stats())
			in := brokertest.Subscribe(t, n[1].Dial(t, "reader"), "after", 1)
			n[0].Knows(n[1], "after", true)
			relaytest.Say(t, writers[0], "after", 1, false, "after")
			in.Take(t, 1)
		})
	}
}
