package hubd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/cmd/internal/voice"
	"github.com/tacet-hub/tacet/drivers/media"
)

// longestClip is how long a clip may sound: no device plays longer.
const longestClip = 15 * time.Minute

// openClips opens the sound files that the hub keeps.
func (h *Hub) openClips() (err error) {
	h.clips, err = clip.Open(clip.Config{
		Dir: filepath.Join(h.cfg.Data, "clips"), MaxBytes: h.cfg.Limits.ClipsBytes, Meter: &meter{}, Needed: h.neededClips, Log: h.log,
	})
	if err == nil {
		h.voice = voice.New(voice.Config(h.cfg.Speech), h.clips, h.log)
	}
	return err
}

// neededClips are the clips that must stay: those of orders without an end and of
// schedules, and speech that was made for such an order.
func (h *Hub) neededClips() map[clip.Sum]bool {
	needed := map[clip.Sum]bool{}
	need := func(name string) {
		if sum, err := clip.ParseSum(name); err == nil {
			needed[sum] = true
		}
	}
	h.voice.Needed(func(sum clip.Sum) { needed[sum] = true })
	for _, name := range h.orders.Clips() {
		need(name)
	}
	for _, s := range h.schedule.List() {
		if s.Work.Clip != nil {
			need(*s.Work.Clip)
		}
	}
	return needed
}

// mediaTypes are the media types of the kinds of sound files.
var mediaTypes = map[media.Kind]string{media.WAV: "audio/wav", media.MP3: "audio/mpeg", media.FLAC: "audio/flac", media.Vorbis: "audio/ogg"}

// meter is what drivers/media knows of a sound file. It reads one at a time: each
// takes as much memory as it sounds long.
type meter struct{ mu sync.Mutex }

// mostMissing is how much of a file may be missing: players of all kinds take one
// whose last buffer was not written; more was lost on the way here.
const mostMissing = time.Second

// Measure reads the whole file: only that tells how long it sounds, and that it
// does to its end.
func (m *meter) Measure(file io.ReadSeeker) (mediaType string, length time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := media.Decode(file, longestClip)
	if err != nil {
		return "", 0, err
	}
	if c.Missing > mostMissing {
		return "", 0, fmt.Errorf("%w: it ends %v before its head says", media.ErrDamaged, c.Missing.Round(100*time.Millisecond))
	}
	return mediaTypes[c.Kind], c.Sound.Duration(), nil
}

// clipLength is how long a clip that an order names sounds. From now on it stays
// until the order could be stored.
func (h *Hub) clipLength(name string) (time.Duration, error) {
	sum, err := clip.ParseSum(name)
	if err != nil {
		return 0, area.InvalidField("clip", "%s", err)
	}
	h.bringClip(context.Background(), sum)
	info, ok := h.clips.Use(sum)
	if !ok {
		return 0, area.InvalidField("clip", "no such clip is kept here: send it to %s/clips first", api.Prefix)
	}
	return info.Length, nil
}

// serveClip answers the bytes of a clip, which never change, to whoever may
// read.
func (h *Hub) serveClip(w http.ResponseWriter, r *http.Request) {
	p, err := h.who.who(r)
	if err == nil {
		err = p.May(auth.Read, "")
	}
	if err != nil {
		api.Fail(w, r, err)
		return
	}
	sum, err := clip.ParseSum(r.PathValue("clip"))
	if err != nil || p.Tenant != auth.DefaultTenant {
		api.Fail(w, r, api.ClipError(clip.ErrNotFound))
		return
	}
	h.bringClip(r.Context(), sum)
	f, info, err := h.clips.Open(sum)
	if err != nil {
		api.Fail(w, r, api.ClipError(err))
		return
	}
	defer f.Close()
	head := w.Header()
	head.Set("ETag", `"`+sum.Hex()+`"`)
	head.Set("Cache-Control", "private, max-age=31536000, immutable")
	head.Set("Content-Type", info.Type)
	h.sent.asked.Add(1)
	http.ServeContent(counting{w, &h.sent.bytes}, r, "", info.Added, f)
}

// clipsSent counts the clips that are given out.
type clipsSent struct{ asked, bytes atomic.Uint64 }

// sentStats is what was counted since the start.
type sentStats struct {
	Asked uint64 // for a clip that is here, or a part of one
	Bytes uint64 // that were sent
}

func (s *clipsSent) stats() sentStats {
	return sentStats{Asked: s.asked.Load(), Bytes: s.bytes.Load()}
}

// uploads takes in the clips that come over the hub.
type uploads struct{ h *Hub }

// Upload takes a clip in and answers its name, as orders use it.
func (u uploads) Upload(ctx context.Context, name string, r io.Reader) (string, error) {
	info, _, err := sharedClips{u.h.clips, u.h}.Put(ctx, r, clip.About{Name: name})
	if err != nil {
		return "", api.ClipError(err)
	}
	return info.Sum.String(), nil
}
