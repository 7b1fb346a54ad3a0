package firmware

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/firmware/fetch"
)

// How long a clip is waited for; never longer than the order has time.
const (
	fetchers  = 4                // clips that are brought at a time
	ownVoice  = 3 * time.Second  // then the device speaks the text itself
	inDanger  = 10 * time.Second // an emergency: then a neighbour may try
	fetchTime = 10 * time.Minute

	// Who has just waited in vain speaks the next texts at once.
	cutOffTime = time.Minute
	lookTime   = 200 * time.Millisecond
	keepEvery  = time.Second // a device that waits for a clip says that it is there

	declinedWait = 500 * time.Millisecond // for neighbours, who may be able to do what this device was not
)

// job is a work whose sound is to be made, with its clip where it has one.
type job struct {
	item *item
	clip io.ReadSeekCloser // nil: none
}

func (j job) close() {
	if j.clip != nil {
		_ = j.clip.Close() // it was only read
	}
}

// able tells whether the device can do a work: speak a text, play a clip or bring
// one.
func (a *Agent) able(b area.Body) bool {
	if loads(b) {
		return a.clipOf(b) != ""
	}
	return b.Message != nil && *b.Message != "" || a.clipOf(b) != ""
}

// clipOf names the clip that a work needs; empty: none, or none can be had.
func (a *Agent) clipOf(b area.Body) string {
	if b.Clip == nil || a.Clips == nil {
		return ""
	}
	return *b.Clip
}

// prepare has the sound of an assigned work made, which has so much time left.
// A work for which there is no room, since older ones that were given up are
// still being made, is given back.
func (a *Agent) prepare(i *item, ttl time.Duration) {
	i.ctx, i.cancel = context.WithTimeout(a.renderer, patience(i, ttl))
	a.keepAt = min(a.keepAt, a.now().Add(keepEvery))
	switch {
	case loads(i.body):
		if offer(a.toLoad, i) {
			return
		}
	case a.clipOf(i.body) != "":
		if offer(a.toFetch, i) {
			return
		}
	default:
		if offer(a.toMake, job{item: i}) {
			return
		}
	}
	a.decline(i, "")
}

// offer puts something into a queue; false: there is no room.
func offer[T any](queue chan<- T, v T) bool {
	select {
	case queue <- v:
		return true
	default:
		return false
	}
}

func patience(i *item, ttl time.Duration) time.Duration {
	switch {
	case loads(i.body):
		return min(max(ttl, lookTime), fetchTime)
	case i.body.Message != nil && *i.body.Message != "":
		return ownVoice
	case i.prio.Class() >= area.Emergency:
		return inDanger
	case ttl > 0:
		return min(ttl, fetchTime)
	}
	return fetchTime
}

// fetch brings clips until the agent ends; several goroutines do, so that a clip
// that does not come keeps nothing else from being made.
func (a *Agent) fetch() {
	for {
		select {
		case i := <-a.toFetch:
			a.bring(i)
		case <-a.renderer.Done():
			return
		}
	}
}

// bring hands a work on with its clip. A text is spoken here where its clip
// cannot be had; that is found out by waiting once a minute.
func (a *Agent) bring(i *item) {
	text := i.body.Message != nil && *i.body.Message != ""
	ctx := i.ctx
	if text && a.now() < area.Instant(a.shared.cutOff.Load()) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lookTime)
		defer cancel()
	}
	clip, err := a.Clips.Fetch(ctx, a.Web, *i.body.Clip)
	j := job{item: i, clip: clip}
	if err != nil {
		j.clip = nil
		if !text {
			a.tell(rendered{item: i, err: err, reason: reasonOf(err)})
			return
		}
		a.shared.cutOff.Store(int64(a.now().Add(cutOffTime)))
		a.Log.Warn("clip not fetched, the text is spoken here", "work", i.work, "err", err)
	}
	select {
	case a.toMake <- j:
	case <-a.renderer.Done():
		j.close()
	}
}

// tell hands the owner what became of a sound.
func (a *Agent) tell(r rendered) {
	select {
	case a.made <- r:
	case <-a.renderer.Done():
	}
}

// reasonOf is the reason of an order's end that a missing clip is.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, fetch.ErrHash):
		return area.EndClipHash
	case errors.Is(err, fetch.ErrMissing):
		return area.EndClipMissing
	}
	return area.EndDeviceError
}

// The parts that health has a fault of where a work could not be made into sound.
const (
	partRender = "render"
	partClip   = "clip"
)

// part is what has failed.
func (r rendered) part() string {
	if r.reason == area.EndClipMissing || r.reason == area.EndClipHash {
		return partClip
	}
	return partRender
}

// keepTaken tells the arbiter that works whose sound is not there yet are not
// forgotten, and learns which of them are taken back: each is taken once more.
func (a *Agent) keepTaken(now area.Instant) {
	if now < a.keepAt {
		return
	}
	a.keepAt = area.Never
	for _, i := range a.queue {
		if !i.made() {
			a.step(turn.Take{Work: i.work, Att: i.att})
			a.keepAt = now.Add(keepEvery)
		}
	}
}

// takenBack forgets a work that is not the device's any more.
func (a *Agent) takenBack(w area.WorkID) {
	for _, i := range a.queue {
		if i.work == w && i != a.current {
			a.forget(i)
			return
		}
	}
}

// made tells whether the work can be played, or was.
func (i *item) made() bool { return i.done || i.sound != nil }

// giveUp ends what is done for the work's sound.
func (i *item) giveUp() {
	if i.cancel != nil {
		i.cancel()
	}
}

// dropJobs closes the clips of the works that nobody makes any more.
func (a *Agent) dropJobs() {
	for {
		select {
		case j := <-a.toMake:
			j.close()
		default:
			return
		}
	}
}
