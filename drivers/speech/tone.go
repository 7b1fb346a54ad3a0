package speech

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/drivers/media"
)

// tone is the engine that every machine has.
type tone struct{}

func (tone) name() string { return Tone }

func (tone) say(_ context.Context, text, _, _ string) (media.Sound, error) { return tones(text), nil }

// tones is a tone per word: longer words sound longer, and each letter it begins
// with has its own pitch, so that two texts can be told apart.
func tones(text string) media.Sound {
	const gap = 60 * time.Millisecond
	scale := [...]float64{261.63, 293.66, 329.63, 392, 440, 523.25, 587.33, 659.26}
	var out media.Sound
	for _, word := range strings.Fields(text) {
		first, _ := utf8.DecodeRuneInString(strings.ToLower(word))
		n := min(utf8.RuneCountInString(word), 12)
		d := 80*time.Millisecond + time.Duration(n)*perLetter*2/3
		out = append(out, media.Tone(scale[int(first)%len(scale)], d)...)
		out = append(out, media.Silence(gap)...)
	}
	return out
}
