package fault

import (
	"context"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// Settings are the same for every program.
type Settings struct {
	Kind     servers.Kind
	Program  string // of the hub: what [servers.Build] has built
	Dir      string // where directories of the program's own are made; it must exist
	Rounds   int
	Retained int                              // messages that are there all the time, in whole thousands
	Sessions int                              // sessions that are there all the time
	Say      func(format string, args ...any) // what broke, in words

	lie bool // of a test: fsync does nothing and says that it has, until the first cut
}

// Program is one kind of fault.
type Program struct {
	Name  string
	Short string
	Kinds []servers.Kind // whom it is for, the hub first
	Once  bool           // it has no rounds
	// Run does it to one server. Its error is that it could not be done, or that
	// the server could not be brought to serve.
	Run func(context.Context, Settings) ([]Figure, error)
}

// Programs are all of them.
func Programs() []Program {
	keep := []servers.Kind{servers.Hub, servers.MochiBolt, servers.Autosave}
	waits := []servers.Kind{servers.Hub, servers.Mochi, servers.Mosquitto}
	return []Program{
		{"kill", "kill -9 at random moments under load, every fifth time again while starting", keep, false, Kill},
		{"power", "cut the power at random moments under load (needs root)", keep, false, Power},
		{"full", "fill the file system, free it, and kill (needs root)", keep, true, Full},
		{"eio", "let every fsync fail (needs strace)", keep[:2], true, EIO},
		{"corrupt", "damage the stored files at random and start", keep, false, Corrupt},
		{"halfopen", "a thousand connections that say nothing, on each port", waits, true, HalfOpen},
		{"descriptors", "a flood of connections where there are 256 descriptors", waits, true, Descriptors},
	}
}

func (s Settings) spec(dir string) servers.Spec {
	return servers.Spec{Kind: s.Kind, Dir: dir, Program: s.Program}
}

// tell says in words what broke.
func (s Settings) tell(r *rig) {
	r.count.mu.Lock()
	defer r.count.mu.Unlock()
	for _, line := range r.count.lines {
		s.Say("%s: %s", s.Kind, line)
	}
}
