package redis

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/estate/estatetest"
)

// estates are those of a server, as a node sees them.
func (e *engine) estates(name string) *Estates {
	e.t.Helper()
	s, err := NewServer(e.node(name))
	if err != nil {
		e.t.Fatal(err)
	}
	x := NewEstates(s)
	e.t.Cleanup(func() { x.Close(); s.Close() })
	return x
}

// TestEstates runs the contract of what nodes leave behind against a server.
func TestEstates(t *testing.T) {
	t.Parallel()
	estatetest.Run(t, func(t *testing.T) estate.Common { return startEngine(t).estates("a") })
}
