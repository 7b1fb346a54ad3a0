package redis

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/rueidis"
)

// Durability answers in words what the server lacks to keep what the nodes have in
// common: it should write it to disk (appendonly yes), and never throw keys away
// (maxmemory-policy noeviction). Empty: it lacks nothing. A server that does not show
// its settings is said to do so. Nothing is lost for good without: the nodes have
// everything themselves, and fill the server again; but a change that is in one node
// and on the server alone is safe only as far as each of them is.
//
// It may block for as long as the server takes; the error is that it cannot be asked.
func (s *Server) Durability(ctx context.Context) (lacks string, err error) {
	c, err := s.connected()
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	var faults []string
	for _, want := range [][2]string{{"appendonly", "yes"}, {"maxmemory-policy", "noeviction"}} {
		is, err := setting(ctx, c, want[0])
		if err != nil {
			return "", err
		}
		switch is {
		case want[1]:
		case "":
			return "the server does not show its settings: see that it has appendonly yes and maxmemory-policy noeviction", nil
		default:
			faults = append(faults, fmt.Sprintf("%s is %s and should be %s", want[0], is, want[1]))
		}
	}
	return strings.Join(faults, ", "), nil
}

// setting is one of the server's; empty where it does not show it.
func setting(ctx context.Context, c rueidis.Client, name string) (string, error) {
	r := c.Do(ctx, c.B().ConfigGet().Parameter(name).Build().Pin())
	if err := r.NonRedisError(); err != nil {
		return "", err
	}
	all, err := r.AsStrMap()
	if err != nil {
		return "", nil // forbidden, or not there
	}
	return all[name], nil
}
