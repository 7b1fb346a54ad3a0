package redis

import (
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/redis/redistest"
)

func TestDurability(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string // in what it lacks; none: it lacks nothing
	}{
		"as it should be": {[]string{"--appendonly", "yes", "--maxmemory-policy", "noeviction"}, nil},
		"not on disk":     {nil, []string{"appendonly is no"}},
		"evicting":        {[]string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"}, []string{"maxmemory-policy is allkeys-lru"}},
		"both":            {[]string{"--maxmemory-policy", "allkeys-lru"}, []string{"appendonly", "maxmemory-policy"}},
		"forbidden":       {[]string{"--rename-command", "CONFIG", ""}, []string{"does not show its settings"}},
	} {
		t.Run(name, func(t *testing.T) {
			one, err := redistest.Start("", c.args...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(one.Close)
			s, err := NewServer(Config{URL: one.URL(), Node: "a"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			lacks, err := s.Durability(t.Context())
			if err != nil || (lacks == "") != (len(c.want) == 0) {
				t.Fatalf("it lacks %q, %v, want %q", lacks, err, c.want)
			}
			for _, text := range c.want {
				if !strings.Contains(lacks, text) {
					t.Errorf("it lacks %q, want %q", lacks, text)
				}
			}
			one.Kill()
			if lacks, err := s.Durability(t.Context()); err == nil {
				t.Errorf("a server that is away lacks %q", lacks)
			}
		})
	}
}
