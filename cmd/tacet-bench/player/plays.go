package player

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// plays is many plays in a row, on a PulseAudio server where there is one.
func plays(ctx context.Context, cfg Config, programs, dir string) ([]Figure, error) {
	s, err := newSite(ctx, programs, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	server, err := startPulse(ctx, dir)
	if err != nil {
		return nil, err
	}
	keys, environ, on := "", []string(nil), "the simulated loudspeaker"
	if server != nil {
		defer server.stop()
		keys, environ, on = "audio: {output: pulse}\n", []string{"PULSE_SERVER=unix:" + server.socket}, "PulseAudio"
	}
	if err := s.startDevice(ctx, programs, environ, keys); err != nil {
		return nil, err
	}
	cfg.Say("%d plays on %s", cfg.Plays, on)
	r, err := s.playMany(ctx, cfg)
	if err != nil {
		return nil, err
	}
	figures := []Figure{
		{Name: strconv.Itoa(cfg.Plays) + " plays on " + on + ", not played", Value: float64(r.failed), Exact: true},
		{Name: "descriptors more than after the first", Value: float64(r.after - r.before), Exact: true, Beside: fmt.Sprintf("%d, then %d", r.before, r.after)},
		{Name: "memory after them, resident", Value: float64(r.rss) / mega, Unit: "MB", Most: mostRSS},
	}
	if server == nil {
		return figures, nil
	}
	told, err := s.xruns(ctx)
	if err != nil {
		return nil, err
	}
	heard, gaps := server.heard()
	missing := cfg.Plays + 1 - r.failed - heard
	gaps += max(0, -missing) // a long one makes two sounds of one
	return append(figures,
		Figure{Name: "plays missing in the recording", Value: float64(max(0, missing)), Exact: true},
		Figure{Name: "gaps heard", Value: float64(gaps), Beside: fmt.Sprintf("%d told in the status", told)},
		Figure{Name: "gaps heard and not told", Value: float64(max(0, gaps-told)), Exact: true}), nil
}

// many is what became of many plays.
type many struct {
	failed        int
	before, after int // descriptors, after the first and after the last
	rss           int64
}

// between is the silence that a recording has between two plays, at least.
const between = 120 * time.Millisecond

// playMany plays the same clip again and again; the first time is one more, which
// opens what stays open.
func (s *site) playMany(ctx context.Context, cfg Config) (r many, err error) {
	clip, err := s.keepClip(ctx, media.EncodeWAV(media.Tone(440, soundsLong)))
	if err != nil {
		return r, err
	}
	for i := range cfg.Plays + 1 {
		id, err := s.order(ctx, map[string]any{"clip": clip})
		if err == nil {
			err = s.played(ctx, id)
		}
		if err == nil {
			err = wait(ctx, between)
		}
		if err != nil {
			cfg.Say("play %d: %v", i, err)
			if r.failed++; ctx.Err() != nil || r.failed > cfg.Plays/10+1 {
				return r, err
			}
		}
		if i == 0 {
			if r.before, err = s.device.files(); err != nil {
				return r, err
			}
		}
	}
	if r.after, err = s.device.files(); err != nil {
		return r, err
	}
	r.rss, err = s.device.rss()
	return r, err
}

// xruns is how many gaps the device has told of.
func (s *site) xruns(ctx context.Context) (int, error) {
	if err := wait(ctx, 75*time.Second); err != nil { // of interest, so told within a minute
		return 0, err
	}
	var topics struct {
		Items []area.TopicValue `json:"items"`
	}
	if err := s.ask(ctx, "GET", "/topics?filter=tacet/device/gate-1/status", "", nil, &topics); err != nil {
		return 0, err
	}
	return xrunsOf(topics.Items)
}
