package firmware

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// play is one play; its writer goroutine owns the loudspeaker while it runs.
type play struct {
	a      *Agent
	work   area.WorkID
	token  area.Token
	sound  []byte
	volume *int // of the order; nil: 100
	prio   area.Priority
	lead   time.Duration // to wait before the first sample
	ctx    context.Context
	cancel context.CancelFunc
	first  area.Instant // when it began to sound; 0: it has not
	last   area.Instant // when it was silent again
	until  area.Instant // what was written has been heard by then
}

// playEnd is what became of a play.
type playEnd struct {
	play   *play
	result area.Result
	err    error
}

// start begins to sound.
func (a *Agent) start(act turn.Start) {
	if a.play != nil || a.current == nil || a.current.sound == nil {
		a.step(turn.Over{Result: area.Failed})
		return
	}
	p := &play{a: a, work: act.Work, token: act.Token, sound: a.current.sound, volume: a.current.body.Volume, prio: a.current.prio}
	p.ctx, p.cancel = context.WithCancel(a.renderer)
	a.play = p
	if !a.ampOn {
		p.lead = a.cfg.AmpLead
	}
	a.ampOff = area.Never
	a.amp(true)
	a.Log.Info("playing", "work", p.work, "lease", uint64(p.token), "dur", a.cfg.length(len(p.sound)).Round(time.Millisecond))
	a.shared.writing.Store(true)
	a.spawn(func() {
		result, err := p.run()
		a.shared.writing.Store(false)
		if p.first != 0 { // after a time in which the process stood still it is silent for longer than it knows
			p.last = max(p.first, min(a.now(), p.until.Add(a.Player.Tail()))) // until is 0 where nothing was taken
		}
		a.over <- playEnd{play: p, result: result, err: err}
	})
}

// halt has the writer stop; where none is, nothing sounds.
func (a *Agent) halt() {
	if a.play == nil {
		a.step(turn.Over{Result: area.Stopped})
		return
	}
	a.play.cancel()
}

// ended takes in that a play is over.
func (a *Agent) ended(e playEnd) {
	e.play.cancel()
	a.play = nil
	a.ampOff = a.now().Add(a.cfg.AmpHold)
	if e.err != nil || e.result == area.Played {
		a.fault("sound", e.err)
	}
	if e.err != nil {
		a.Log.Error("sound failed", "work", e.play.work, "err", e.err)
	}
	if !a.link.up { // what the turn says of it comes with the hub's answer, if ever
		a.Log.Info("sound over, the hub cannot be told now", "work", e.play.work, "err", string(e.result))
	}
	a.step(turn.Over{Result: e.result, First: e.play.first, Last: e.play.last})
}

// run is the writer: it sounds until the sound is over, the deadline has come,
// or it is cancelled, and leaves the loudspeaker silent.
func (p *play) run() (area.Result, error) {
	rec, _ := p.a.Player.(Recorder)
	if rec != nil {
		rec.Began(string(p.work), uint64(p.token))
		defer rec.Ended(string(p.work), uint64(p.token))
	}
	if err := pause(p.ctx, p.lead); err != nil {
		return p.silence(err)
	}
	size := p.a.cfg.bytes(chunk)
	for rest := p.sound; len(rest) > 0; {
		n := min(size, len(rest))
		before, err := p.room()
		if err != nil {
			return p.silence(err)
		}
		if !p.may() {
			return p.silence(nil)
		}
		if p.first == 0 {
			p.first = p.a.now() // it may be heard from here on
		}
		if _, err := p.a.Player.Write(p.loud(rest[:n])); err != nil {
			return p.silence(err)
		}
		p.until = p.a.now().Add(before + p.a.cfg.length(n))
		p.a.shared.steps.Add(1)
		rest = rest[n:]
	}
	ctx, cancel := context.WithTimeout(p.ctx, drainTime)
	defer cancel()
	if err := p.a.Player.Drain(ctx); err != nil {
		return p.silence(err)
	}
	if p.work == "" {
		return area.Played, nil
	}
	// It was heard, whatever the disk says: a journal that cannot be written
	// costs the protection against a second play, not this one.
	return area.Played, p.a.Memory.Journal(p.work)
}

// may is the fence: sound is written only while the deadline is to come. It is
// asked immediately before each Write.
func (p *play) may() bool {
	return p.a.now() < area.Instant(p.a.shared.fence.Load())
}

// room waits until a chunk can be written without being more than 50 ms ahead of
// what is heard, and answers by how much that is ahead without the chunk. It waits
// here and not in Write, because time may pass here without the fence being passed.
func (p *play) room() (before time.Duration, err error) {
	for {
		before, err = p.a.Player.Delay()
		if err != nil {
			return 0, err
		}
		if before+chunk <= ahead {
			return before, p.ctx.Err()
		}
		if err := pause(p.ctx, before+chunk-ahead); err != nil {
			return 0, err
		}
	}
}

// silence ends a play early.
func (p *play) silence(err error) (area.Result, error) {
	dropped := p.a.Player.Drop()
	if p.ctx.Err() != nil || err == nil {
		return area.Stopped, dropped
	}
	return area.Failed, errors.Join(err, dropped)
}

// loud is the samples at the volume of this moment: the order's, which is the
// area's where nothing else was asked for, at the device's own, and what the noise
// adds to that.
func (p *play) loud(samples []byte) []byte {
	percent := min(p.a.shared.volume.Load()+p.a.shared.boost.Load(), 100)
	if p.volume != nil {
		percent = percent * int64(min(max(*p.volume, 0), 100)) / 100
	}
	if p.quiet() {
		percent = 0
	}
	if percent == 100 {
		return samples
	}
	out := make([]byte, len(samples)&^1)
	for i := 0; i+1 < len(samples); i += 2 {
		v := int64(int16(binary.LittleEndian.Uint16(samples[i:])))
		binary.LittleEndian.PutUint16(out[i:], uint16(v*percent/100))
	}
	return out
}

// quiet tells whether the play is not to be heard: the device is muted, and the
// work is no emergency, which nobody at the device may silence.
func (p *play) quiet() bool { return p.a.shared.muted.Load() && p.prio < area.Emergency }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
