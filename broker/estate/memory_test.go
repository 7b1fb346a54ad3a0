package estate_test

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/estate/estatetest"
)

func TestMemory(t *testing.T) {
	estatetest.Run(t, func(*testing.T) estate.Common { return new(estate.Memory) })
}
