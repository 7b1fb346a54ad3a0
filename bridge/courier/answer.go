package courier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tacet-hub/tacet/broker/clip"
)

// who answers whether a clip is here.
func (c *Courier) who(_ context.Context, _ string, body []byte) ([]byte, error) {
	sum, ok := sumIn(body)
	if !ok {
		return nil, errors.New("courier: no name of a clip")
	}
	info, here := c.clips.Get(sum)
	if !here {
		return nil, nil
	}
	has := holding{Bytes: info.Bytes, Name: info.Name}
	if len(info.Keys) > 0 {
		has.Key = info.Keys[0]
	}
	return json.Marshal(has)
}

// piece lays a piece of a clip down.
func (c *Courier) piece(ctx context.Context, _ string, body []byte) ([]byte, error) {
	var w wanted
	if err := json.Unmarshal(body, &w); err != nil || w.At < 0 || w.Name == "" {
		return nil, errors.New("courier: no question for a piece of a clip")
	}
	sum, err := clip.ParseSum(w.Sum)
	if err != nil {
		return nil, err
	}
	f, _, err := c.clips.Open(sum)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, w.At, pieceBytes))
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("courier: nothing at %d of clip %s", w.At, w.Sum)
	}
	c.count.given.Add(1)
	return nil, c.shelf.Lay(ctx, w.Name, b, shelfTime)
}

// Answers to the question to remove a clip.
const (
	removed = "removed"
	needed  = "needed"
)

// remove removes a clip from this node.
func (c *Courier) remove(_ context.Context, _ string, body []byte) ([]byte, error) {
	sum, ok := sumIn(body)
	if !ok {
		return nil, errors.New("courier: no name of a clip")
	}
	switch err := c.clips.Remove(sum); {
	case err == nil:
		return []byte(removed), nil
	case errors.Is(err, clip.ErrNotFound):
		return nil, nil
	case errors.Is(err, clip.ErrNeeded):
		return []byte(needed), nil
	default:
		return nil, err
	}
}

// Remove removes a clip from every node, this one last. It blocks for the other
// nodes. Its errors wrap [clip.ErrNotFound], [clip.ErrNeeded] where it must stay at
// one of them, who then still gives it to all, and [ErrSilent].
func (c *Courier) Remove(ctx context.Context, sum clip.Sum) error {
	ctx, stop := context.WithTimeout(ctx, pieceTime)
	defer stop()
	gone, stays := false, false
	var silent error
	c.mux.Ask(ctx, kindRemove, nil, sum[:], func(node string, b []byte, err error) bool {
		switch {
		case err != nil:
			silent = fmt.Errorf("%w: %w", ErrSilent, err)
		case string(b) == needed:
			stays = true
		default:
			gone = gone || string(b) == removed
		}
		return true
	})
	switch {
	case stays:
		return clip.ErrNeeded
	case silent != nil:
		return silent
	}
	err := c.clips.Remove(sum)
	if gone && errors.Is(err, clip.ErrNotFound) {
		return nil
	}
	return err
}
