package speech

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/drivers/media"
)

// The values of [Config.Engine].
const (
	Auto   = "auto"      // piper where it and a model are installed, else espeak-ng, else tone
	Piper  = "piper"     // refuse to start without it and a model
	Espeak = "espeak-ng" // refuse to start without it
	Tone   = "tone"      // one tone per word
)

// MaxText is the most bytes of text that are spoken at once.
const MaxText = 8 << 10

// Config says how to speak.
type Config struct {
	Engine  string        // auto (also empty), piper, espeak-ng or tone
	Voice   string        // default voice, such as "en", "en+f2" or, of piper, "en_GB-alan-medium"; empty: en
	Models  string        // directory of piper's models (NAME.onnx beside NAME.onnx.json); empty: there are none
	Timeout time.Duration // of one text; 0: 15 s
}

var voicePattern = regexp.MustCompile(`^[A-Za-z]{2,8}([-+_][A-Za-z0-9]{1,16}){0,4}$`)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	switch c.Engine {
	case "", Auto, Piper, Espeak, Tone:
	default:
		faults = append(faults, fmt.Errorf("speech engine %q is none of %s, %s, %s, %s", c.Engine, Auto, Piper, Espeak, Tone))
	}
	if c.Engine == Piper && c.Models == "" {
		faults = append(faults, errors.New("speech engine piper needs a directory of models"))
	}
	if c.Voice != "" && !voicePattern.MatchString(c.Voice) {
		faults = append(faults, fmt.Errorf("voice %q is not a name such as \"en\" or \"en+f2\"", c.Voice))
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("speech timeout %v is negative", c.Timeout))
	}
	return errors.Join(faults...)
}

// Speaker turns texts into sound. It is safe for concurrent use.
type Speaker struct {
	engine  engine
	voice   string
	timeout time.Duration
}

// New finds the engine. It fails if c is not valid, or if the engine that it
// names is not installed.
func New(c Config) (*Speaker, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Speaker{voice: c.Voice, timeout: c.Timeout}
	if s.voice == "" {
		s.voice = "en"
	}
	if s.timeout == 0 {
		s.timeout = 15 * time.Second
	}
	var err error
	s.engine, err = find(c)
	return s, err
}

// find is the engine that c asks for.
func find(c Config) (engine, error) {
	any := c.Engine == "" || c.Engine == Auto
	if c.Engine == Piper || any && c.Models != "" {
		e, err := newPiper(c.Models)
		if err == nil || !any {
			return e, err
		}
	}
	if c.Engine == Espeak || any {
		e, err := newEspeak()
		if err == nil || !any {
			return e, err
		}
	}
	return tone{}, nil
}

// Engine is what s speaks with: [Piper], [Espeak] or [Tone].
func (s *Speaker) Engine() string { return s.engine.name() }

// ErrNoText is the error for a text that has nothing to say.
var ErrNoText = errors.New("no text to speak")

// Say speaks text in a voice; an empty voice, or one that the engine does not
// have, is the default one. It blocks until the sound is there, at most the
// configured time and no longer than ctx.
func (s *Speaker) Say(ctx context.Context, text, voice string) (media.Sound, error) {
	text = strings.TrimSpace(clean(text))
	if text == "" {
		return nil, ErrNoText
	}
	if len(text) > MaxText {
		return nil, fmt.Errorf("text of %d bytes is over %d", len(text), MaxText)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if !voicePattern.MatchString(voice) {
		voice = s.voice
	}
	return s.engine.say(ctx, text, voice, s.voice)
}

// clean replaces what is no text by spaces.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
}
