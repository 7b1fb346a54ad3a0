package redis

import (
	"context"
	"sync"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/bridge/replay/replaytest"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// logs is the logs of several nodes at one engine.
type logs struct{ e *engine }

func newLogs(t *testing.T) replaytest.Store { return logs{startEngine(t)} }

func (x logs) Log(t testing.TB) signalr.Log {
	s, err := NewServer(x.e.node("n"))
	if err != nil {
		t.Fatal(err)
	}
	l := NewLog(s, replaytest.Numbers)
	ctx, end := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = l.Run(ctx) })
	t.Cleanup(func() { end(); tasks.Wait(); s.Close() })
	return l
}

func (x logs) Forget(testing.TB) { x.e.do("FLUSHALL") }

func (x logs) Snapshot(t testing.TB, group string) (restore func()) {
	key := x.Log(t).(*Log).key(group)
	x.e.do("COPY", key, "{"+key+"}/was")
	return func() { x.e.do("COPY", "{"+key+"}/was", key, "REPLACE") }
}

// Away has the engine stand still: what it was sent before it goes on comes later.
func (x logs) Away(_ testing.TB, away bool) {
	if away {
		x.e.signal(syscall.SIGSTOP)
		return
	}
	x.e.signal(syscall.SIGCONT)
}

func TestLogContract(t *testing.T) { replaytest.Test(t, newLogs) }

// TestHubOfTwoNodesWithLog: the other node's clients over the memory plane, so that the
// log alone is away.
func TestHubOfTwoNodesWithLog(t *testing.T) { replaytest.TestNodes(t, newLogs) }

// TestLogFull: what the queue does not take is refused at once.
func TestLogFull(t *testing.T) {
	e := startEngine(t)
	cfg := e.node("n")
	cfg.Queue = 100
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l := NewLog(s, replaytest.Numbers)
	var refused error
	l.Append("g", make([]byte, 60), func(signalr.Position, error) {})
	l.Append("g", make([]byte, 60), func(_ signalr.Position, err error) { refused = err })
	if refused != ErrLog || l.Stats().Refused != 1 {
		t.Errorf("got %v, %+v", refused, l.Stats())
	}
}
