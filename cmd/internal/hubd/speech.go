package hubd

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/cmd/internal/voice"
	"github.com/tacet-hub/tacet/drivers/media"
)

// How long an order waits for its speech; then the device speaks.
const (
	speechWait = 2 * time.Second
	dangerWait = 500 * time.Millisecond // an emergency
	freshOrder = 5 * time.Second        // one that is older does not wait: it may be one of many after a start
)

// spokenFirst is the dispatcher of orders, which gets them with their speech.
type spokenFirst struct {
	order.Dispatcher
	h *Hub
}

// Submit hands a work over once its text is spoken, or that takes too long.
func (d spokenFirst) Submit(ctx context.Context, w area.Work) error {
	if w.Body.Message != nil && w.Body.Clip == nil && d.h.voice.Speaks() {
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
	info, ok := d.h.voice.Clip(ctx, *w.Body.Message, w.Body.Languages, wait)
	if !ok {
		return
	}
	d.h.voice.Hold(w.ID, info.Sum)
	name, url := info.Sum.String(), "/clips/"+info.Sum.Hex()
	w.Body.Clip, w.Body.URL = &name, &url
	chime, err := media.ChimeLength(w.Body.Chime)
	about := media.AnnounceLength(chime, voice.Estimate(*w.Body.Message, w.Body.Languages), w.Body.Repeat)
	if err != nil || w.Dur.Milliseconds() != about.Milliseconds() {
		return // who handed the work in says how long it takes
	}
	w.Dur = media.AnnounceLength(chime, info.Length, w.Body.Repeat)
	d.h.orders.Measured(w.ID, w.Dur)
}
