package speech

import (
	"context"
	"sync"

	"github.com/tacet-hub/tacet/drivers/media"
)

// espeak speaks with espeak-ng, which has a voice for most languages, and says of
// one that it has not got so only when it is asked to speak.
type espeak struct {
	program

	mu    sync.Mutex
	known map[string]bool // voices that were tried
}

func newEspeak() (*espeak, error) {
	p, err := findProgram(Espeak)
	return &espeak{program: p, known: map[string]bool{}}, err
}

func (e *espeak) say(ctx context.Context, text, voice, fallback string) (media.Sound, error) {
	if voice != fallback && !e.has(ctx, voice) {
		voice = fallback
	}
	return e.sound(e.speak(ctx, voice, text))
}

func (e *espeak) speak(ctx context.Context, voice, text string) ([]byte, error) {
	return e.run(ctx, text, "--stdin", "--stdout", "-v", voice)
}

// has tries a voice, once.
func (e *espeak) has(ctx context.Context, voice string) bool {
	e.mu.Lock()
	ok, tried := e.known[voice]
	e.mu.Unlock()
	if tried {
		return ok
	}
	_, err := e.speak(ctx, voice, "")
	if ctx.Err() != nil {
		return false
	}
	e.remember(voice, err == nil)
	return err == nil
}

func (e *espeak) remember(voice string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.known) >= 200 { // espeak-ng has 130; more is somebody guessing
		clear(e.known)
	}
	e.known[voice] = ok
}
