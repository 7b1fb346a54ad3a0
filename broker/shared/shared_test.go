package shared_test

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

func TestAlone(t *testing.T) {
	sharedtest.TestTable(t, func(*testing.T) shared.Common { return nil })
}

func TestMemory(t *testing.T) {
	sharedtest.TestTable(t, func(*testing.T) shared.Common { return &shared.Memory{} })
}

func TestNodes(t *testing.T) {
	sharedtest.TestNodes(t, func(*testing.T) sharedtest.Site {
		m := &shared.Memory{}
		return sharedtest.Site{Join: func(string) shared.Common { return m }, Away: m.Away, Flush: m.Flush, Snapshot: m.Snapshot, Kept: 1024}
	})
}
