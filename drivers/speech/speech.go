package speech

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/drivers/media"
)

// The values of [Config.Engine].
const (
	Auto   = "auto"      // espeak-ng where it is installed, else tone
	Espeak = "espeak-ng" // refuse to start without it
	Tone   = "tone"      // one tone per word
)

// MaxText is the most bytes of text that are spoken at once.
const MaxText = 8 << 10

// Config says how to speak.
type Config struct {
	Engine  string        // auto (also empty), espeak-ng or tone
	Voice   string        // default voice, such as "en" or "en+f2"; empty: en
	Timeout time.Duration // of one text; 0: 15 s
}

var voicePattern = regexp.MustCompile(`^[A-Za-z]{2,8}([-+_][A-Za-z0-9]{1,16}){0,4}$`)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	switch c.Engine {
	case "", Auto, Espeak, Tone:
	default:
		faults = append(faults, fmt.Errorf("speech engine %q is none of %s, %s, %s", c.Engine, Auto, Espeak, Tone))
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
	program string // path of espeak-ng; empty: tones
	voice   string
	timeout time.Duration

	mu    sync.Mutex
	known map[string]bool // voices that were tried
}

// New finds the engine. It fails if c is not valid, or if the engine is
// espeak-ng and that is not installed.
func New(c Config) (*Speaker, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Speaker{voice: c.Voice, timeout: c.Timeout, known: map[string]bool{}}
	if s.voice == "" {
		s.voice = "en"
	}
	if s.timeout == 0 {
		s.timeout = 15 * time.Second
	}
	if c.Engine == Tone {
		return s, nil
	}
	path, err := exec.LookPath(Espeak)
	if err != nil && c.Engine == Espeak {
		return nil, fmt.Errorf("speech engine: %w", err)
	}
	if err == nil {
		s.program = path
	}
	return s, nil
}

// Engine is what s speaks with: [Espeak] or [Tone].
func (s *Speaker) Engine() string {
	if s.program == "" {
		return Tone
	}
	return Espeak
}

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
	if s.program == "" {
		return tones(text), nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	out, err := s.run(ctx, s.pick(ctx, voice), text)
	if err != nil {
		return nil, err
	}
	return media.DecodeWAV(out)
}

// pick is voice if the engine has it, else the default one.
func (s *Speaker) pick(ctx context.Context, voice string) string {
	if voice == "" || voice == s.voice || !voicePattern.MatchString(voice) {
		return s.voice
	}
	s.mu.Lock()
	ok, tried := s.known[voice]
	s.mu.Unlock()
	if !tried {
		_, err := s.run(ctx, voice, "")
		if ctx.Err() != nil {
			return s.voice
		}
		ok = err == nil
		s.remember(voice, ok)
	}
	if !ok {
		return s.voice
	}
	return voice
}

func (s *Speaker) remember(voice string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= 200 { // espeak-ng has 130; more is somebody guessing
		clear(s.known)
	}
	s.known[voice] = ok
}

func (s *Speaker) run(ctx context.Context, voice, text string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.program, "--stdin", "--stdout", "-v", voice)
	cmd.Stdin = strings.NewReader(text)
	cmd.WaitDelay = time.Second
	var said limited
	cmd.Stderr = &said
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", Espeak, ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", Espeak, err, strings.TrimSpace(string(said)))
	}
	return out, nil
}

// limited keeps the beginning of what a program complains.
type limited []byte

func (l *limited) Write(p []byte) (int, error) {
	const most = 200
	*l = append(*l, p[:min(len(p), max(0, most-len(*l)))]...)
	return len(p), nil
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
