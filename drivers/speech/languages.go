package speech

import (
	"context"

	"github.com/tacet-hub/tacet/drivers/media"
)

// Speak speaks a text once in the voice of each language, with a pause between
// them; without a language once in the default voice. It blocks as
// [Speaker.Say] does, for each.
func Speak(ctx context.Context, s *Speaker, text string, languages []string) (media.Sound, error) {
	if len(languages) == 0 {
		languages = []string{""}
	}
	var said media.Sound
	for i, l := range languages {
		one, err := s.Say(ctx, text, l)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			said = append(said, media.Silence(media.Pause)...)
		}
		said = append(said, one...)
	}
	return said, nil
}
