package redis

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/bridge/redis/redistest"
	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

func (e *engine) tables(name string) *Tables {
	e.t.Helper()
	s, err := NewServer(e.node(name))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(s.Close)
	t := NewTables(s)
	e.t.Cleanup(t.Close)
	t.kept = fewChanges
	return t
}

// fewChanges is how many are kept in a test of what happens when that is too few.
const fewChanges = 1000

// keeping runs one server with a data directory, which keeps everything at once where
// it is told to.
func keeping(t *testing.T, always bool) (e *engine, data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{"--dir", data}
	if always {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	s, err := redistest.Start("", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &engine{t: t, one: s, url: s.URL()}, data
}

// site is a common copy at a server, which is away by other means each time. A
// snapshot is what it has on its disk; to restore it the server is killed, and starts
// on that.
func site(t *testing.T, always bool, away func(*engine, bool)) sharedtest.Site {
	e, data := keeping(t, always)
	snapshot := func() (restore func()) {
		kept := filepath.Join(t.TempDir(), "kept")
		if !always {
			e.do("SAVE")
		}
		if err := os.CopyFS(kept, os.DirFS(data)); err != nil {
			t.Fatal(err)
		}
		return func() {
			e.kill()
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(data, os.DirFS(kept)); err != nil {
				t.Fatal(err)
			}
			e.start()
		}
	}
	return sharedtest.Site{
		Join: func(name string) shared.Common { return e.tables(name) }, Away: func(is bool) { away(e, is) },
		Flush: func() { e.do("FLUSHALL") }, Snapshot: snapshot, Kept: fewChanges,
	}
}

func TestTablesContract(t *testing.T) {
	sharedtest.TestTable(t, func(t *testing.T) shared.Common { return startEngine(t).tables("a") })
}

// TestTablesStalled: the server is stopped, and goes on.
func TestTablesStalled(t *testing.T) {
	t.Parallel()
	sharedtest.TestNodes(t, func(t *testing.T) sharedtest.Site {
		return site(t, false, func(e *engine, away bool) {
			e.signal(map[bool]syscall.Signal{true: syscall.SIGSTOP, false: syscall.SIGCONT}[away])
		})
	})
}

// TestTablesKilled: the server is killed, and starts with all that it had.
func TestTablesKilled(t *testing.T) {
	t.Parallel()
	sharedtest.TestNodes(t, func(t *testing.T) sharedtest.Site {
		return site(t, true, func(e *engine, away bool) {
			if away {
				e.kill()
			} else {
				e.start()
			}
		})
	})
}

// TestTablesOldProtocol: a server without RESP3.
func TestTablesOldProtocol(t *testing.T) {
	t.Parallel()
	sharedtest.TestTable(t, func(t *testing.T) shared.Common {
		x := startEngine(t).tables("a")
		x.s.resp2 = true
		return x
	})
}
