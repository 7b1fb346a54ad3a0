package voice

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/speech"
)

// Bounds of what waits.
const (
	speakers  = 2  // texts that are spoken at a time
	mostTexts = 64 // that wait for it
	keyPrefix = "speech:"
)

// Config says how to speak; the fields are those of speech.Config.
type Config struct{ Engine, Voice, Models string }

// Voice speaks the texts of orders. Its methods are safe for concurrent use.
type Voice struct {
	cfg     Config
	clips   *clip.Store
	log     *slog.Logger
	speaker *speech.Speaker // nil: the devices speak
	texts   chan *spoken
	count   struct{ made, known, failed, left, late atomic.Uint64 }

	mu    sync.Mutex
	under map[string]*spoken       // being made, by key
	held  map[area.WorkID]clip.Sum // speech of orders without an end
}

// spoken is a text that is being spoken.
type spoken struct {
	key, text string
	languages []string
	done      chan struct{} // closed when info is there, or nothing
	info      *clip.Info
}

// Stats counts what a [Voice] has done.
type Stats struct {
	Made   uint64 // spoken
	Known  uint64 // orders whose text had been spoken before
	Failed uint64 // by the engine, or could not be kept
	Left   uint64 // to the devices, since too many texts waited
	Late   uint64 // orders that went out without speech because it took too long
}

// Stats is a snapshot of the counters.
func (v *Voice) Stats() Stats {
	return Stats{Made: v.count.made.Load(), Known: v.count.known.Load(), Failed: v.count.failed.Load(), Left: v.count.left.Load(), Late: v.count.late.Load()}
}

// New makes a voice, which speaks when it runs. Where the engine is not installed
// it is mute, and says so to the log; tones, which are for machines that have no
// engine at all, it makes only where it is told to.
func New(cfg Config, clips *clip.Store, log *slog.Logger) *Voice {
	v := &Voice{cfg: cfg, clips: clips, log: log, texts: make(chan *spoken, mostTexts), under: map[string]*spoken{}, held: map[area.WorkID]clip.Sum{}}
	s, err := speech.New(speech.Config{Engine: cfg.Engine, Voice: cfg.Voice, Models: cfg.Models})
	switch {
	case err != nil:
		log.Warn("no speech is made here, devices speak themselves", "err", err)
	case s.Engine() != speech.Tone || cfg.Engine == speech.Tone:
		v.speaker = s
	}
	return v
}

// Speaks tells whether the voice has an engine.
func (v *Voice) Speaks() bool { return v.speaker != nil }

// Run speaks until ctx ends; it returns nil.
func (v *Voice) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range speakers {
		all.Go(func() {
			for {
				select {
				case s := <-v.texts:
					v.speak(ctx, s)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	all.Wait()
	return nil
}

// keyOf names what the sound of a text depends on.
func (v *Voice) keyOf(text string, languages []string) string {
	b, _ := json.Marshal([]any{v.speaker.Engine(), v.cfg.Voice, append([]string{}, languages...), strings.TrimSpace(text)}) // texts only
	sum := sha256.Sum256(b)
	return keyPrefix + hex.EncodeToString(sum[:])
}

// Length is how long a text takes to be spoken: exactly, where it was spoken
// before; else about, and it will be. It does not block.
func (v *Voice) Length(text string, languages []string) time.Duration {
	if v.Speaks() {
		s := v.begin(text, languages)
		if s.info != nil {
			return s.info.Length
		}
	}
	return Estimate(text, languages)
}

// Estimate is about how long it takes to speak a text once in each language, or
// once where there is none.
func Estimate(text string, languages []string) time.Duration {
	n := max(1, len(languages))
	return time.Duration(n)*speech.Estimate(text) + time.Duration(n-1)*media.Pause
}

// begin has a text spoken, unless it was. It does not block: where too many texts
// wait, what it answers is done and has nothing.
func (v *Voice) begin(text string, languages []string) *spoken {
	key := v.keyOf(text, languages)
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.under[key]; s != nil {
		return &spoken{key: key, done: s.done}
	}
	s := &spoken{key: key, text: text, languages: languages, done: make(chan struct{})}
	if info, ok := v.clips.Find(key); ok {
		s.info = &info
		close(s.done)
		return s
	}
	select {
	case v.texts <- s:
		v.under[key] = s
		return &spoken{key: key, done: s.done}
	default:
		v.count.left.Add(1)
		close(s.done)
		return s
	}
}

// speak makes a clip of a text.
func (v *Voice) speak(ctx context.Context, s *spoken) {
	defer func() {
		v.mu.Lock()
		delete(v.under, s.key)
		v.mu.Unlock()
		close(s.done)
	}()
	sound, err := speech.Speak(ctx, v.speaker, s.text, s.languages)
	if err == nil {
		_, _, err = v.clips.Put(ctx, bytes.NewReader(media.EncodeWAV(sound)), clip.About{Key: s.key})
	}
	if err != nil {
		v.count.failed.Add(1)
		if ctx.Err() == nil {
			v.log.Warn("text not spoken here, devices try", "err", err)
		}
		return
	}
	v.count.made.Add(1)
}

// Clip is the speech of a text; it blocks until that is there, so long at most.
// It is kept for ten seconds at least: by then [Voice.Hold] keeps it. A voice that
// is mute, or takes too long, has none.
func (v *Voice) Clip(ctx context.Context, text string, languages []string, wait time.Duration) (clip.Info, bool) {
	if !v.Speaks() {
		return clip.Info{}, false
	}
	s := v.begin(text, languages)
	if s.info != nil {
		v.count.known.Add(1)
		return v.clips.Use(s.info.Sum)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-s.done:
		info, _ := v.clips.Find(s.key)
		return v.clips.Use(info.Sum)
	case <-t.C:
	case <-ctx.Done():
	}
	v.count.late.Add(1)
	return clip.Info{}, false
}

// Hold keeps the speech of an order until that has ended.
func (v *Voice) Hold(id area.WorkID, sum clip.Sum) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held[id] = sum
}

// Changed hears of a change of an order: the speech of one that has ended may go.
func (v *Voice) Changed(o area.Order) {
	if !o.State.Ended() {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.held, o.ID)
}

// Needed names the clips that orders without an end were spoken into. need must
// not call back.
func (v *Voice) Needed(need func(clip.Sum)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, sum := range v.held {
		need(sum)
	}
}
