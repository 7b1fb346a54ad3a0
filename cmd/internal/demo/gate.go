package demo

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/speech"
)

// gate is the classic program for this job, as people have written it for
// years: it registers, waits for ReceiveWork, says that it is busy, plays, says
// that it is not. It knows two calls of the hub and nothing of leases.
type gate struct {
	device, area string
	location     int
	speaker      *speech.Speaker
	out          player
	log          *slog.Logger
}

// player is a loudspeaker as the gate uses it.
type player interface {
	Open(rate, channels int) error
	Write(b []byte) (int, error)
	Drain(ctx context.Context) error
	Drop() error
	Close() error
}

// recorder is a loudspeaker that writes down what it played.
type recorder interface {
	Began(work string, token uint64)
	Ended(work string, token uint64)
}

// retry is how long the gate waits before it connects again.
const retry = time.Second

// run keeps the gate connected until ctx ends.
func (g *gate) run(ctx context.Context, hub string) error {
	if err := g.out.Open(media.Rate, 1); err != nil {
		return err
	}
	defer g.out.Close()
	for {
		err := g.connected(ctx, hub)
		if ctx.Err() != nil {
			return nil
		}
		g.log.Warn("gate lost the hub", "device", g.device, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
	}
}

// connected serves one connection until it ends.
func (g *gate) connected(ctx context.Context, hub string) error {
	c, err := signalrtest.Dial(ctx, hub, signalrtest.Options{Header: http.Header{"User-Agent": {g.device}}})
	if err != nil {
		return err
	}
	defer c.Close()
	work := make(chan struct{}, 1)
	c.On("ReceiveWork", func([]json.RawMessage) {
		select {
		case work <- struct{}{}:
		default: // the hub has at most one outstanding
		}
	})
	if _, err := c.Invoke(ctx, "ReceiveDeviceConnected", g.device, g.area, g.location); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.Closed():
			return errors.New("connection closed")
		case <-work:
			if err := g.play(ctx, c); err != nil && ctx.Err() == nil {
				g.log.Warn("gate could not play", "device", g.device, "err", err)
			}
		}
	}
}

// order is the part of an order that the gate reads.
type order struct {
	ID      string  `json:"id"`
	Message *string `json:"message"`
	Chime   string  `json:"chime"`
	Repeat  int     `json:"repeat"`
	Volume  *int    `json:"volume"`
}

// play does one work. The sound is made before the area is claimed, so that
// nobody waits for it.
func (g *gate) play(ctx context.Context, c *signalrtest.Client) error {
	raw, err := c.Invoke(ctx, "GetWork")
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(raw, &o); err != nil || o.ID == "" {
		return err // null: the work went to somebody else
	}
	sound, err := g.render(ctx, o)
	if err != nil {
		return err
	}
	if _, err := c.Invoke(ctx, "BroadcastWorkStatus", g.area, true); err != nil {
		return err
	}
	err = g.sound(ctx, o.ID, sound)
	// The area is given back whatever became of the sound.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, e := c.Invoke(end, "BroadcastWorkStatus", g.area, false); err == nil {
		err = e
	}
	return err
}

func (g *gate) render(ctx context.Context, o order) (media.Sound, error) {
	chime, err := media.Chime(o.Chime)
	if err != nil {
		return nil, err
	}
	text := ""
	if o.Message != nil {
		text = *o.Message
	}
	said, err := g.speaker.Say(ctx, text, "")
	if err != nil {
		return nil, err
	}
	sound := media.Announce(chime, said, max(1, o.Repeat))
	if o.Volume != nil {
		sound = sound.Volume(*o.Volume)
	}
	return sound, nil
}

// chunk is how much sound is written at a time.
const chunk = 20 * time.Millisecond

func (g *gate) sound(ctx context.Context, work string, s media.Sound) error {
	if r, ok := g.out.(recorder); ok {
		r.Began(work, 0)
		defer r.Ended(work, 0)
	}
	for n := media.Samples(chunk); len(s) > 0; {
		if ctx.Err() != nil {
			return g.out.Drop()
		}
		n = min(n, len(s))
		if _, err := g.out.Write(s[:n].Bytes()); err != nil {
			return err
		}
		s = s[n:]
	}
	return g.out.Drain(ctx)
}
