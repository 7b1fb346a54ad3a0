package fault

import (
	"context"
	"os"
	"os/exec"
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

// broken are the promises that are not kept, by their names, but for those about
// time, which a busy machine may break.
func broken(list []Figure) map[string]float64 {
	found := make(map[string]float64)
	for _, f := range list {
		if f.Broken() && f.Unit != "s" {
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

// TestPowerFinds: what is not on the disk is gone after a cut, and that is seen.
func TestPowerFinds(t *testing.T) {
	if !mayMount(t) {
		return
	}
	tool(t, "strace", "strace")
	s := settings(t, servers.Hub, 1)
	s.lie = true
	list, err := Power(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if broken(list)["LOST"] == 0 {
		t.Errorf("nothing is lost: %+v", list)
	}
}

// TestHub runs the programs on the real hub, in few rounds. That of half-open
// connections takes a quarter of a minute and is not here; package broker has
// its test.
func TestHub(t *testing.T) {
	for name, c := range map[string]struct {
		run    func(context.Context, Settings) ([]Figure, error)
		rounds int
		mounts bool
	}{
		"kill":        {Kill, secondKill, false}, // the last of them with a second kill
		"power":       {Power, 2, true},
		"full":        {Full, 1, true},
		"eio":         {EIO, 1, false},
		"corrupt":     {Corrupt, 3, false},
		"descriptors": {Descriptors, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.mounts && !mayMount(t) {
				return
			}
			if name == "eio" {
				tool(t, "strace", "strace")
			}
			keeps(t, c.run, c.rounds)
		})
	}
}

func keeps(t *testing.T, run func(context.Context, Settings) ([]Figure, error), rounds int) {
	t.Helper()
	list, err := run(t.Context(), settings(t, servers.Hub, rounds))
	if err != nil {
		t.Fatal(err)
	}
	if bad := broken(list); len(bad) > 0 {
		t.Errorf("promises broken: %v", bad)
	}
	if len(list) == 0 {
		t.Error("no figures")
	}
}

// mayMount tells whether this process may mount file systems; where everything
// has to run, that it may not is a failure.
func mayMount(t *testing.T) bool {
	t.Helper()
	tool(t, "mkfs.ext4", "e2fsprogs")
	dir := t.TempDir()
	err := command(t.Context(), "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Logf("no right to mount: %v", err)
		return false
	}
	return command(t.Context(), "umount", dir) == nil
}

// tool is a program of another's that must be installed.
func tool(t *testing.T, name, debian string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is missing: install the Debian package %s (make test does)", name, debian)
	}
}
