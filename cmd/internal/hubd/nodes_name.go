package hubd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/redis"
)

// nodeHome is the text by which the others know that a start of this node follows an
// earlier one, which is over since it had this store open. It is made at the first
// start.
func (h *Hub) nodeHome() (home string, err error) {
	table := h.store.Table("node")
	if err = table.Load(func(key string, value []byte) error {
		if key == "home" {
			home = string(value)
		}
		return nil
	}); err != nil || home != "" {
		return home, err
	}
	home = rand.Text()
	return home, table.Put(context.Background(), "home", []byte(home))
}

// nameIsFree answers an error where another hub process has this node's name. Where
// the server cannot be asked, the backplane finds that later.
func (h *Hub) nameIsFree(p *redis.Plane) error {
	if err := p.Free(context.Background()); errors.Is(err, backplane.ErrTwice) {
		return fmt.Errorf("redis: %w (--node gives this one another name)", err)
	}
	return nil
}
