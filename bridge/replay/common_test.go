package replay_test

import (
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/replay/replaytest"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// memory is a store of one process.
type memory struct{ *replay.Common }

func (m memory) Log(testing.TB) signalr.Log                 { return m.Common }
func (m memory) Forget(testing.TB)                          { m.Common.Forget() }
func (m memory) Away(_ testing.TB, away bool)               { m.Common.Away(away) }
func newMemory(*testing.T) replaytest.Store                 { return memory{replay.NewCommon(replaytest.Numbers, 0)} }
func (m memory) Snapshot(_ testing.TB, group string) func() { return m.Common.Snapshot(group) }
func TestCommonContract(t *testing.T)                       { replaytest.Test(t, newMemory) }
func TestHubOfTwoNodesWithCommon(t *testing.T)              { replaytest.TestNodes(t, newMemory) }

// TestCutOffNode: a node that is cut off from the others and from the log.
func TestCutOffNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { replaytest.TestCut(t, newMemory) })
}
