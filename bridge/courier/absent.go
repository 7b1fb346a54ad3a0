package courier

import (
	"context"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// Absent has a node that keeps no clips say so, where others ask it to remove one. It
// is called before the mux runs.
func Absent(m *backplane.Mux) {
	m.OnAsk(kindRemove, func(context.Context, string, []byte) ([]byte, error) { return nil, nil })
}
