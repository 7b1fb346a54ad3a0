package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// device wants its area all the time and plays nothing for a moment when it has
// it. It runs the turn of a real device over a connection of its own.
type device struct {
	area  area.Name
	id    area.DeviceID
	play  time.Duration
	stage *stage
	link  *uplink.Client
	turn  *turn.Turn
	in    chan turn.Event
	start time.Time
	over  *time.Timer
}

// inbox bounds what waits for the device; more is dropped, since everything is
// said again.
const inbox = 256

func newDevice(in area.Name, id area.DeviceID, hub string, play time.Duration, s *stage) (*device, error) {
	link, err := uplink.New(uplink.Config{Hubs: []string{hub}, ClientID: string(id)}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &device{
		area: in, id: id, play: play, stage: s, link: link, in: make(chan turn.Event, inbox), start: time.Now(),
		turn: turn.New(turn.Config{Area: in, Device: id, MID: rand.Text(), Boot: 1, StopLatency: -1, Nonce: rand.Text}),
	}, nil
}

func (d *device) now() area.Instant { return area.Instant(time.Since(d.start)) }

// run takes turns until ctx ends; greeted is called once, when the arbiter has
// answered.
func (d *device) run(ctx context.Context, greeted func()) error {
	put := func(ev turn.Event) {
		select {
		case d.in <- ev:
		default:
		}
	}
	_, err := d.link.Subscribe(area.GrantTopic(d.id), func(m area.Message) {
		if a, err := area.ParseAnswer(m.Payload); err == nil {
			put(turn.Heard{Answer: a})
		}
	})
	if err != nil {
		return err
	}
	d.link.Watch(func(up bool, _ uint64, _ string) {
		if up {
			put(turn.Up{})
		} else {
			put(turn.Down{})
		}
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { _ = d.link.Run(ctx) })
	once := sync.OnceFunc(greeted)
	defer once()
	d.loop(ctx, once)
	return nil
}

func (d *device) loop(ctx context.Context, greeted func()) {
	tick := time.NewTimer(time.Hour)
	d.over = time.NewTimer(time.Hour)
	defer tick.Stop()
	defer d.over.Stop()
	for {
		if next := d.turn.Next(); next != area.Never {
			tick.Reset(max(0, next.Sub(d.now())))
		}
		select {
		case <-ctx.Done():
			return
		case ev := <-d.in:
			d.step(ctx, ev)
		case <-tick.C:
			d.step(ctx, turn.Tick{})
		case <-d.over.C:
			d.ended(ctx)
		}
		if d.turn.Greeted() {
			greeted()
			if d.turn.Phase() == turn.Idle {
				d.step(ctx, turn.Wish{Prio: area.Normal, Dur: d.play})
			}
		}
	}
}

func (d *device) ended(ctx context.Context) {
	d.stage.ended(time.Now())
	d.step(ctx, turn.Over{Result: area.Played})
}

func (d *device) step(ctx context.Context, ev turn.Event) {
	for _, a := range append([]turn.Action(nil), d.turn.Step(ev, d.now())...) {
		switch a := a.(type) {
		case turn.Send:
			err := d.link.Publish(ctx, area.Message{Topic: area.ClaimTopic(d.area, d.id), Payload: a.Claim.Encode(), QoS: 1})
			if err != nil && !errors.Is(err, uplink.ErrOffline) && !errors.Is(err, uplink.ErrFull) {
				return // said again at the next refresh
			}
		case turn.Start:
			d.stage.started(time.Now())
			d.over.Reset(d.play)
		case turn.Stop:
			if d.over.Stop() {
				d.ended(ctx)
			}
		case turn.Deaf:
			d.link.Drop()
		}
	}
}
