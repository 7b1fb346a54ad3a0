package hubd

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tacet-hub/tacet/bridge/courier"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// bringTime is how long who asks for a clip waits until another node has given it;
// a device waits 15 s for an answer to begin.
const bringTime = 10 * time.Second

// bringClip brings a clip from another node, unless it is here. Where no node has it,
// the store says so. It blocks for the other nodes.
func (h *Hub) bringClip(ctx context.Context, sum clip.Sum) {
	if _, here := h.clips.Get(sum); here || h.nodes == nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, bringTime)
	defer stop()
	if _, err := h.nodes.courier.Fetch(ctx, sum); err != nil && !errors.Is(err, clip.ErrNotFound) {
		h.log.Warn("clip of another node not brought", "rule", sum.Hex(), "err", err)
	}
}

// sharedClips is the clips of all nodes: each has those that were sent to any.
type sharedClips struct {
	*clip.Store
	h *Hub
}

// Put takes a clip in, and has the other nodes bring it.
func (s sharedClips) Put(ctx context.Context, r io.Reader, about clip.About) (info clip.Info, known bool, err error) {
	info, known, err = s.Store.Put(ctx, r, about)
	if err == nil && s.h.nodes != nil {
		s.h.nodes.courier.Announce(info.Sum)
	}
	return info, known, err
}

// Get tells what is known of a clip that any node has.
func (s sharedClips) Get(sum clip.Sum) (clip.Info, bool) {
	s.h.bringClip(context.Background(), sum)
	return s.Store.Get(sum)
}

// Remove removes a clip from all nodes.
func (s sharedClips) Remove(sum clip.Sum) error {
	if s.h.nodes == nil {
		return s.Store.Remove(sum)
	}
	err := s.h.nodes.courier.Remove(context.Background(), sum)
	if errors.Is(err, courier.ErrSilent) {
		return area.Errorf(area.CodeDegraded, "not every node has removed the clip: %s", err)
	}
	return err
}
