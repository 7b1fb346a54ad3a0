package player

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/drivers/media"
)

// sound is how soon a device sounds that does nothing else: after the order, and
// after the grant.
func sound(ctx context.Context, cfg Config, programs, dir string) ([]Figure, error) {
	s, err := newSite(ctx, programs, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	wav := filepath.Join(dir, "gate-1.wav")
	if err := s.startDevice(ctx, programs, nil, "", "--wav", wav); err != nil {
		return nil, err
	}
	var g grants
	listening, done := context.WithCancel(ctx)
	await, err := g.listen(listening, s.mqtt)
	if err != nil {
		done()
		return nil, err
	}
	defer await()
	defer done()
	clip, err := s.keepClip(ctx, media.EncodeWAV(media.Tone(440, soundsLong)))
	if err != nil {
		return nil, err
	}
	beside := "aplay, from its start until it has read a sound"
	if took, err := readByAplay(ctx, dir); err == nil {
		beside += fmt.Sprintf(": %.1f ms", float64(took)/float64(time.Millisecond))
	} else {
		beside = ""
	}
	n := &notes{file: wav + ".jsonl"}
	var all []Figure
	var after spread // the grant
	for _, what := range []struct {
		name string
		keys map[string]any
	}{{"order to sound, clip there", map[string]any{"clip": clip}}, {"order to sound, text said before", map[string]any{"message": "Boarding at gate 1"}}} {
		cfg.Say("%s, %d times", what.name, cfg.Sounds)
		var heard spread
		for i := range cfg.Sounds + 1 {
			soon, granted, err := s.soon(ctx, n, &g, what.keys)
			if err != nil {
				return all, err
			}
			if i > 0 { // the first one brings it there
				heard = append(heard, soon)
				after = append(after, granted)
			}
		}
		all = append(all, heard.figures(what.name, mostOrder, beside)...)
	}
	return append(all, after.figures("grant to first sample", mostGrant, "")...), nil
}

// soon orders a sound and answers how long it took to be heard, since the order
// and since the grant.
func (s *site) soon(ctx context.Context, n *notes, g *grants, what map[string]any) (order, grant time.Duration, err error) {
	began := time.Now()
	id, err := s.order(ctx, what)
	if err != nil {
		return 0, 0, err
	}
	if err := s.played(ctx, id); err != nil {
		return 0, 0, err
	}
	at, token, err := n.started(id)
	if err != nil {
		return 0, 0, err
	}
	granted, ok := g.of(token)
	if !ok {
		return 0, 0, fmt.Errorf("the grant of token %d was not heard", token)
	}
	return at.Sub(began), max(0, at.Sub(granted)), nil
}
