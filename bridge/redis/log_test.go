package redis

import (
	"context"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

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
	cfg := x.e.node("n").filled()
	keys := []string{cfg.logListKey(group), cfg.logNumberKey(group), cfg.logEpochKey(group)}
	for _, key := range keys {
		x.e.do("COPY", key, key+"/was")
	}
	return func() {
		for _, key := range keys {
			x.e.do("COPY", key+"/was", key, "REPLACE")
		}
	}
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
func TestHubOfTwoNodesWithLog(t *testing.T) {
	t.Parallel()
	replaytest.TestNodes(t, newLogs)
}

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

// TestLogOldProtocol: a server without RESP3.
func TestLogOldProtocol(t *testing.T) {
	replaytest.Test(t, func(t *testing.T) replaytest.Store { return oldLogs{logs{startEngine(t)}} })
}

type oldLogs struct{ logs }

func (x oldLogs) Log(t testing.TB) signalr.Log {
	l := x.logs.Log(t)
	l.(*Log).s.resp2 = true
	return l
}

// TestLogTorn: a group of which the server has thrown a part away, as one that is full
// does, gets another epoch: no number is given twice.
func TestLogTorn(t *testing.T) {
	e := startEngine(t)
	l := logs{e}.Log(t).(*Log)
	cfg := l.s.cfg
	place := func() signalr.Position {
		t.Helper()
		at := make(chan signalr.Position, 1)
		l.Append("g", []byte("x"), func(p signalr.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			at <- p
		})
		return <-at
	}
	for _, key := range []string{cfg.logListKey("g"), cfg.logNumberKey("g"), cfg.logEpochKey("g")} {
		place()
		was := place()
		e.do("DEL", key)
		for strconv.FormatInt(time.Now().UnixMilli(), 10) == was.Epoch { // which nobody knows any more
		}
		if _, gap, err := l.Since(t.Context(), "g", was); err != nil || !gap {
			t.Errorf("without %s: gap %v, %v", key, gap, err)
		}
		if at := place(); !signalr.Later(at.Epoch, was.Epoch) || at.Offset != 1 {
			t.Errorf("without %s: %v after %v", key, at, was)
		}
	}
}

// TestLogReadWhileWritten: who reads while others append gets each event under its number.
func TestLogReadWhileWritten(t *testing.T) {
	e := startEngine(t)
	a, b := logs{e}.Log(t), logs{e}.Log(t)
	at, err := a.Open(t.Context(), []string{"g"}, []string{""})
	if err != nil {
		t.Fatal(err)
	}
	const events = 5000
	var done sync.WaitGroup
	for i := range events {
		done.Add(1)
		a.Append("g", strconv.AppendInt(nil, int64(i+1), 10), func(_ signalr.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			done.Done()
		})
	}
	for from := at[0]; from.Offset < events; {
		list, _, err := b.Since(t.Context(), "g", from)
		if err != nil {
			t.Log(err)
		}
		for _, r := range list {
			if string(r.Body) != strconv.FormatUint(r.At.Offset, 10) {
				t.Fatalf("event %s is number %d", r.Body, r.At.Offset)
			}
			from = r.At
		}
	}
	done.Wait()
}
