package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// kindAddress is the backplane's kind of the question where a node's web listener is.
const kindAddress = backplane.KindUser + 48

// Tell has a node tell the others where its web listener is. It is called before the
// mux runs.
func Tell(m *backplane.Mux, at func() Address) {
	m.OnAsk(kindAddress, func(context.Context, string, []byte) ([]byte, error) { return json.Marshal(at()) })
}

// By finds nodes by asking them over the backplane.
func By(m *backplane.Mux) Finder {
	return func(ctx context.Context, node string) (at Address, err error) {
		err = ErrNoNode
		m.Ask(ctx, kindAddress, []string{node}, nil, func(_ string, answer []byte, failed error) bool {
			if err = failed; err == nil {
				err = json.Unmarshal(answer, &at)
			}
			return false
		})
		if errors.Is(err, backplane.ErrNoNode) || errors.Is(err, backplane.ErrGone) {
			err = fmt.Errorf("%w: %s", ErrNoNode, node)
		}
		return at, err
	}
}
