package hubd

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
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/speech"
)

// Bounds of speech.
const (
	speakers    = 2               // texts that are spoken at a time
	mostTexts   = 64              // that wait for it; more are left to the devices, and counted as left
	speechWait  = 2 * time.Second // an order waits no longer for its speech; then the device speaks
	dangerWait  = 500 * time.Millisecond
	freshOrder  = 5 * time.Second // one that is older does not wait at all: it may be one of many after a start
	speechPrint = "speech:"
)

// voice makes the texts of orders into clips before a device is asked to play
// them: once for each text, voice and list of languages. Where there is no engine,
// or it is too slow, the work goes out without a clip and the device speaks
// itself. It is safe for concurrent use.
type voice struct {
	cfg     conf.Speech
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

// SpeechStats counts what the hub has spoken.
type SpeechStats struct {
	Made   uint64 // spoken
	Known  uint64 // orders whose text had been spoken before
	Failed uint64 // by the engine, or could not be kept
	Left   uint64 // to the devices, since too many texts waited
	Late   uint64 // orders that went out without speech because it took too long
}

func (v *voice) stats() SpeechStats {
	return SpeechStats{Made: v.count.made.Load(), Known: v.count.known.Load(), Failed: v.count.failed.Load(), Left: v.count.left.Load(), Late: v.count.late.Load()}
}

// newVoice finds the engine. Tones are for machines that have no other; the hub
// makes them only where it was told to.
func newVoice(cfg conf.Speech, clips *clip.Store, log *slog.Logger) *voice {
	v := &voice{cfg: cfg, clips: clips, log: log, texts: make(chan *spoken, mostTexts), under: map[string]*spoken{}, held: map[area.WorkID]clip.Sum{}}
	s, err := speech.New(speech.Config{Engine: cfg.Engine, Voice: cfg.Voice, Models: cfg.Models})
	switch {
	case err != nil:
		log.Warn("no speech is made here, devices speak themselves", "err", err)
	case s.Engine() != speech.Tone || cfg.Engine == speech.Tone:
		v.speaker = s
	}
	return v
}

// run speaks until ctx ends.
func (v *voice) run(ctx context.Context) error {
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
func (v *voice) keyOf(text string, languages []string) string {
	b, _ := json.Marshal([]any{v.speaker.Engine(), v.cfg.Voice, languages, strings.TrimSpace(text)}) // texts only
	sum := sha256.Sum256(b)
	return speechPrint + hex.EncodeToString(sum[:])
}

// length is how long a text takes to be spoken: exactly, where it was spoken
// before; else about. It has it spoken.
func (v *voice) length(text string, languages []string) time.Duration {
	if v.speaker != nil {
		s := v.begin(text, languages)
		if s.info != nil {
			return s.info.Length
		}
	}
	return estimate(text, languages)
}

// estimate is about how long it takes to speak a text in each language.
func estimate(text string, languages []string) time.Duration {
	n := max(1, len(languages))
	return time.Duration(n)*speech.Estimate(text) + time.Duration(n-1)*media.Pause
}

// begin has a text spoken, unless it was. It does not block: where too many texts
// wait, what it answers is done and has nothing.
func (v *voice) begin(text string, languages []string) *spoken {
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
func (v *voice) speak(ctx context.Context, s *spoken) {
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

// of is the speech of a text, which is waited for.
func (v *voice) of(ctx context.Context, text string, languages []string, wait time.Duration) (clip.Info, bool) {
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

// hold keeps the speech of an order until that has ended.
func (v *voice) hold(id area.WorkID, sum clip.Sum) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held[id] = sum
}

// ended lets go of an order's speech. It is called for each change of an order.
func (v *voice) ended(o area.Order) {
	if !o.State.Ended() {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.held, o.ID)
}

// needed are the clips that orders without an end were spoken into.
func (v *voice) needed(need func(clip.Sum)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, sum := range v.held {
		need(sum)
	}
}

// spokenFirst is the dispatcher of orders, which gets them with their speech.
type spokenFirst struct {
	order.Dispatcher
	h *Hub
}

// Submit hands a work over once its text is spoken, or that takes too long.
func (d spokenFirst) Submit(ctx context.Context, w area.Work) error {
	if w.Body.Message != nil && w.Body.Clip == nil && d.h.voice.speaker != nil {
		d.speak(ctx, &w)
	}
	return d.Dispatcher.Submit(ctx, w)
}

// speak gives a work its speech and its exact length.
func (d spokenFirst) speak(ctx context.Context, w *area.Work) {
	wait := speechWait
	if w.Prio.Class() >= area.Emergency {
		wait = dangerWait
	}
	if o, err := d.h.orders.Get(w.ID); err != nil || time.Since(o.CreatedAt.Time) > freshOrder {
		wait = 0
	}
	info, ok := d.h.voice.of(ctx, *w.Body.Message, w.Body.Languages, wait)
	if !ok {
		return
	}
	d.h.voice.hold(w.ID, info.Sum)
	name, url := info.Sum.String(), "/clips/"+info.Sum.Hex()
	w.Body.Clip, w.Body.URL = &name, &url
	chime, err := media.ChimeLength(w.Body.Chime)
	about := media.AnnounceLength(chime, estimate(*w.Body.Message, w.Body.Languages), w.Body.Repeat)
	if err != nil || w.Dur.Milliseconds() != about.Milliseconds() {
		return // who handed the work in says how long it takes
	}
	w.Dur = media.AnnounceLength(chime, info.Length, w.Body.Repeat)
	d.h.orders.Measured(w.ID, w.Dur)
}
