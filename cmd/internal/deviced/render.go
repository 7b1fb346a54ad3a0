package deviced

import (
	"context"
	"fmt"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/speech"
)

// renderer makes works into sound: the chime, then the text, once per language
// in the voice of that language, all of it repeated as often as the order says.
type renderer struct{ speaker *speech.Speaker }

func newRenderer() (renderer, error) {
	s, err := speech.New(speech.Config{})
	return renderer{speaker: s}, err
}

// Render is firmware.Renderer.
func (r renderer) Render(ctx context.Context, b area.Body) ([]byte, error) {
	if b.Message == nil {
		return nil, fmt.Errorf("work of kind %q has no text", b.Kind)
	}
	chime, err := media.Chime(b.Chime)
	if err != nil {
		return nil, err
	}
	languages := b.Languages
	if len(languages) == 0 {
		languages = []string{""}
	}
	var said media.Sound
	for i, l := range languages {
		s, err := r.speaker.Say(ctx, *b.Message, l)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			said = append(said, media.Silence(media.Pause)...)
		}
		said = append(said, s...)
	}
	return media.Announce(chime, said, b.Repeat).Bytes(), nil
}
