package prooftest

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/proof"
)

func TestMemory(t *testing.T) {
	Test(t, func(*testing.T) func() proof.Common {
		m := proof.NewMemory(0)
		return func() proof.Common { return m }
	})
}
