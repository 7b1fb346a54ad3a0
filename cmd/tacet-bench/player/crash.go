package player

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/heard"
	"github.com/tacet-hub/tacet/drivers/media"
)

// CrashConfig says how the death of who sounds is measured.
type CrashConfig struct {
	Dir     string // where a directory of its own is made; it must exist
	Rounds  int    // deaths
	Devices int    // of the one area; with two, one is left
	Say     func(format string, args ...any)
}

const (
	crashLease = 6 * time.Second
	crashGuard = 250 * time.Millisecond // COORDINATION.md §3.6
	mostCrash  = crashLease + crashGuard + 500*time.Millisecond
	crashLong  = 15 * time.Second // outlasts the lease
)

// Crash kills a device with -9 in the middle of a play, again and again, while a
// neighbour waits for the area, and measures how long it takes until that sounds.
// Beside it stands the same without a death: from the last sample of one device to
// the first of the next, as the recordings have them. It builds the programs, and
// blocks for some 15 s for each round.
func Crash(ctx context.Context, cfg CrashConfig) ([]Figure, error) {
	st, err := newStage(ctx, plan{under: cfg.Dir, devices: cfg.Devices, say: cfg.Say})
	if err != nil {
		return nil, err
	}
	defer st.stop()
	c := crash{stage: st}
	for _, d := range []time.Duration{soundsLong, crashLong} {
		name, err := st.site.keepClip(ctx, media.EncodeWAV(media.Tone(440, d)))
		if err != nil {
			return nil, err
		}
		c.clips = append(c.clips, name)
	}
	for n := range cfg.Rounds {
		cfg.Say("round %d of %d", n+1, cfg.Rounds)
		if err := c.round(ctx, n%cfg.Devices, (n+1)%cfg.Devices); err != nil {
			return nil, fmt.Errorf("round %d: %w", n+1, err)
		}
	}
	listed, sounded, err := st.plays()
	if err != nil {
		return nil, err
	}
	overlaps, longest := overlapping(listed)
	audible, most := overlapping(sounded)
	return append(c.dirty.figures("the holder killed: until the next sounds", float64(mostCrash/time.Millisecond), "a clean hand-over in this run: "+c.clean.words()),
		Figure{Name: "overlaps on the recordings", Value: float64(overlaps), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("longest %s", longest)},
		Figure{Name: "overlaps of the samples", Value: float64(audible), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("longest %s", most)}), nil
}

// crash is the measuring under way.
type crash struct {
	*stage
	clips        []string // short, long
	clean, dirty spread
}

// words are the figures of a comparison.
func (s spread) words() string {
	return fmt.Sprintf("median %.1f ms, longest of %d %.1f ms", s.of(0.5), len(s), s.of(1))
}

// round has device a hand over to b, and then die while b waits.
func (c *crash) round(ctx context.Context, a, b int) error {
	first, err := c.ask(ctx, a, c.clips[0])
	if err != nil {
		return err
	}
	second, err := c.ask(ctx, b, c.clips[0])
	if err != nil {
		return err
	}
	for _, id := range []area.WorkID{first, second} {
		if err := c.site.played(ctx, id); err != nil {
			return err
		}
	}
	from, err := c.play(ctx, a, first, over)
	if err != nil {
		return err
	}
	to, err := c.play(ctx, b, second, over)
	if err != nil {
		return err
	}
	if d := to.From.Sub(from.To); d >= 0 { // else b was asked first
		c.clean = append(c.clean, d)
	}

	victim, err := c.ask(ctx, a, c.clips[1])
	if err != nil {
		return err
	}
	if _, err := c.play(ctx, a, victim, begun); err != nil {
		return err
	}
	next, err := c.ask(ctx, b, c.clips[0])
	if err != nil {
		return err
	}
	if err := c.waits(ctx, device(b)); err != nil {
		return err
	}
	dead(c.running[a])
	at := time.Now()
	p, err := c.play(ctx, b, next, begun)
	if err != nil {
		return err
	}
	c.dirty = append(c.dirty, p.From.Sub(at))
	if err := c.startDevice(ctx, a); err != nil {
		return err
	}
	return c.settled(ctx, b, victim, next)
}

// ask orders a clip at the location of a device.
func (c *crash) ask(ctx context.Context, i int, clip string) (area.WorkID, error) {
	body, err := json.Marshal(map[string]any{"to": map[string]string{"location": strconv.Itoa(i + 1)}, "kind": "play", "clip": clip})
	if err != nil {
		return "", err
	}
	var made area.Accepted
	err = c.site.ask(ctx, http.MethodPost, "/orders", "application/json", body, &made)
	return made.ID, err
}

// What is waited for of a play.
func begun(heard.Play) bool  { return true }
func over(p heard.Play) bool { return !p.Open }

// play waits for a device's play of a work.
func (c *crash) play(ctx context.Context, i int, work area.WorkID, fits func(heard.Play) bool) (p heard.Play, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	err = poll(ctx, func() (bool, error) {
		list, err := heard.List(c.wav(i, c.starts[i]), device(i))
		n := slices.IndexFunc(list, func(p heard.Play) bool { return p.Work == work && fits(p) })
		if n >= 0 {
			p = list[n]
		}
		return n >= 0, err
	})
	return p, err
}

// waits waits until a device waits for the area.
func (c *crash) waits(ctx context.Context, d area.DeviceID) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		var a area.Area
		err := c.site.ask(ctx, http.MethodGet, "/areas/north", "", nil, &a)
		var b area.Busy
		if err == nil {
			b, err = area.ParseBusy(a.Busy)
		}
		return slices.Contains(b.Queue, d), err
	})
}

// settled ends a round: the order that was cut off is cancelled when the other one
// has ended, unless somebody was quicker and has said it again.
func (c *crash) settled(ctx context.Context, b int, victim, next area.WorkID) error {
	if _, err := c.play(ctx, b, next, over); err != nil {
		return err
	}
	err := c.site.ask(ctx, http.MethodDelete, "/orders/"+string(victim), "", nil, nil)
	if err != nil && strings.Contains(err.Error(), string(area.CodeEnded)) {
		return nil
	}
	return err
}
