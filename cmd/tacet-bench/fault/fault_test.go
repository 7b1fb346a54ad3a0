package fault

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// TestMain is a server where one is started as a process.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == servers.ServeCommand { // mqtt-serve --kind K --dir D
		if err := servers.Serve(context.Background(), servers.Kind(os.Args[3]), os.Args[5], os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// built is the directory of the hub's program, which is built once.
var built = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tacet-fault-") })

var program = sync.OnceValues(func() (string, error) {
	dir, err := built()
	if err != nil {
		return "", err
	}
	return servers.Build(context.Background(), dir)
})

// settings are for one server and few rounds.
func settings(t *testing.T, kind servers.Kind, rounds int) Settings {
	t.Helper()
	s := Settings{Kind: kind, Dir: t.TempDir(), Rounds: rounds, Retained: 1000, Sessions: 20, Say: t.Logf}
	if kind == servers.Hub {
		var err error
		if s.Program, err = program(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// broken are the promises that are not kept, by their names.
func broken(list []Figure) map[string]float64 {
	found := make(map[string]float64)
	for _, f := range list {
		if f.Broken() {
			found[f.Name] = f.Value
		}
	}
	return found
}

// TestKillFinds: a server that keeps nothing breaks promises, and that is seen.
func TestKillFinds(t *testing.T) {
	list, err := Kill(t.Context(), settings(t, servers.Broker, 1))
	if err != nil {
		t.Fatal(err)
	}
	if broken(list)["LOST"] == 0 {
		t.Errorf("nothing is lost: %+v", list)
	}
}
