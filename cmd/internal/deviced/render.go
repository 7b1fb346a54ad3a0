package deviced

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/speech"
)

// longestSound is the most that one play has.
const longestSound = 15 * time.Minute

// renderer makes works into sound: the chime, then the clip, or the text once per
// language in the voice of that language, all of it repeated as often as the
// order says.
type renderer struct{ speaker *speech.Speaker }

func newRenderer() (renderer, error) {
	s, err := speech.New(speech.Config{})
	return renderer{speaker: s}, err
}

// Render is firmware.Renderer.
func (r renderer) Render(ctx context.Context, b area.Body, clip io.ReadSeeker) ([]byte, error) {
	chime, err := media.Chime(b.Chime)
	if err != nil {
		return nil, err
	}
	said, err := r.said(ctx, b, clip)
	if err != nil {
		return nil, err
	}
	return media.Announce(chime, said, b.Repeat).Bytes(), nil
}

// said is the sound of the clip, or of the text.
func (r renderer) said(ctx context.Context, b area.Body, clip io.ReadSeeker) (media.Sound, error) {
	if clip != nil {
		c, err := media.Decode(clip, longestSound)
		return c.Sound, err
	}
	if b.Message == nil {
		return nil, fmt.Errorf("work of kind %q has no text", b.Kind)
	}
	return speech.Speak(ctx, r.speaker, *b.Message, b.Languages)
}
