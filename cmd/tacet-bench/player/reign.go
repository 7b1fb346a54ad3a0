package player

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/heard"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// ReignConfig says how the death of who leads is measured.
type ReignConfig struct {
	Dir     string // where a directory of its own is made; it must exist
	Rounds  int    // deaths
	Devices int    // of the one area; with two, one is left
	Say     func(format string, args ...any)
}

// The targets (COORDINATION.md §8.21), with a lease of 6 s.
const (
	mostFollow = 5 * time.Second  // until a device speaks to the new leader
	mostVoice  = 12 * time.Second // until it sounds
)

// Reign kills the device that leads its area with -9, again and again, and measures
// how long it takes until each of the others speaks to the one that leads then, by
// its log, and until it sounds what is ordered at the hub meanwhile, by its
// recording. It builds the programs, and blocks for some 20 s for each round.
func Reign(ctx context.Context, cfg ReignConfig) ([]Figure, error) {
	st, err := newStage(ctx, plan{under: cfg.Dir, devices: cfg.Devices, area: ", topology: local", device: "peers: {mode: auto, bind: \"127.0.0.1:0\"}\n", log: "info", say: cfg.Say})
	if err != nil {
		return nil, err
	}
	defer st.stop()
	r := reign{stage: st}
	if r.clip, err = st.site.keepClip(ctx, media.EncodeWAV(media.Tone(440, soundsLong))); err != nil {
		return nil, err
	}
	listening, done := context.WithCancel(ctx)
	await, err := r.listen(listening)
	if err != nil {
		done()
		return nil, err
	}
	defer await()
	defer done()
	for n := range cfg.Rounds {
		if err := r.round(ctx, n); err != nil {
			return nil, fmt.Errorf("round %d: %w", n+1, err)
		}
	}
	listed, _, err := st.plays()
	if err != nil {
		return nil, err
	}
	overlaps, longest := overlapping(listed)
	figures := r.follow.figures("the leader killed: until a device follows the next", float64(mostFollow/time.Millisecond), "")
	figures = append(figures, r.voice.figures("the leader killed: until it sounds", float64(mostVoice/time.Millisecond), "the same with nobody dead: "+r.calm.words())...)
	return append(figures, Figure{Name: "overlaps on the recordings", Value: float64(overlaps), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("longest %s", longest)}), nil
}

// reign is the measuring under way.
type reign struct {
	*stage
	clip                string
	follow, voice, calm spread

	mu     sync.Mutex
	leader area.Leader // as the hub has it
}

// listen hears at the hub who leads, until ctx ends.
func (r *reign) listen(ctx context.Context) (wait func(), err error) {
	c, err := uplink.New(uplink.Config{Hubs: []string{r.site.mqtt}, ClientID: "bench"}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	_, err = c.Subscribe(area.LeaderTopic("north"), func(m area.Message) {
		var l area.Leader
		if json.Unmarshal(m.Payload, &l) == nil {
			r.mu.Lock()
			r.leader = l
			r.mu.Unlock()
		}
	})
	if err != nil {
		return nil, err
	}
	var work sync.WaitGroup
	work.Go(func() { _ = c.Run(ctx) })
	return work.Wait, nil
}

// led waits until the hub says that a device leads which lives, and answers which.
func (r *reign) led(ctx context.Context, after uint64) (i int, term uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	err = poll(ctx, func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i = range r.running {
			if r.leader.Host == string(device(i)) && r.leader.Mode == area.TopologyLocal && r.leader.Term > after {
				term = r.leader.Term
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("nobody leads after term %d: %w", after, err)
	}
	return i, term, nil
}

// round has everybody sound, then the leader die and everybody sound again.
func (r *reign) round(ctx context.Context, n int) error {
	first, term, err := r.led(ctx, 0)
	if err != nil {
		return err
	}
	r.say("round %d: %s leads in term %d", n+1, device(first), term)
	calm, err := r.sound(ctx, -1, time.Now())
	if err != nil {
		return err
	}
	r.calm = append(r.calm, calm...)
	dead(r.running[first])
	at := time.Now()
	voice, err := r.sound(ctx, first, at)
	if err != nil {
		return err
	}
	r.voice = append(r.voice, voice...)
	for i := range r.running {
		if i == first {
			continue
		}
		follow, err := r.followed(r.running[i].said.String(), at)
		if err != nil {
			return fmt.Errorf("%s: %w", device(i), err)
		}
		r.follow = append(r.follow, follow)
	}
	return r.startDevice(ctx, first)
}

// sound has each device that lives sound, and answers how long after a moment it did.
func (r *reign) sound(ctx context.Context, dead int, since time.Time) (took spread, err error) {
	ids := map[int]area.WorkID{}
	for i := range r.running {
		if i == dead {
			continue
		}
		body, err := json.Marshal(map[string]any{"to": map[string]string{"device": string(device(i))}, "kind": "play", "clip": r.clip})
		if err != nil {
			return nil, err
		}
		var made area.Accepted
		if err := r.site.ask(ctx, http.MethodPost, "/orders", "application/json", body, &made); err != nil {
			return nil, err
		}
		ids[i] = made.ID
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for i, id := range ids {
		err := poll(ctx, func() (bool, error) {
			list, err := heard.List(r.wav(i, r.starts[i]), device(i))
			n := slices.IndexFunc(list, func(p heard.Play) bool { return p.Work == id && !p.Open })
			if n >= 0 {
				took = append(took, list[n].From.Sub(since))
			}
			return n >= 0, err
		})
		if err != nil {
			return nil, fmt.Errorf("%s has not sounded %s: %w", device(i), id, err)
		}
	}
	return took, nil
}

var errNoFollower = errors.New("its log has no connection after that")

// followed is how long after a moment a device had its connection to who leads now,
// by its log: the first one elsewhere than at the hub.
func (r *reign) followed(log string, since time.Time) (time.Duration, error) {
	hub := strings.TrimPrefix(r.site.mqtt, "mqtt://")
	for line := range strings.Lines(log) {
		if !strings.Contains(line, " msg=connected ") || strings.Contains(line, " node="+hub) {
			continue
		}
		word, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		if at, err := time.Parse(time.RFC3339Nano, word); err == nil && at.After(since) {
			return at.Sub(since), nil
		}
	}
	return 0, errNoFollower
}
