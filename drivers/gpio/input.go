package gpio

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// Kind is what an [Event] tells.
type Kind int

// The kinds of events.
const (
	Pressed  Kind = iota // the input has become active
	Released             // and no longer is
	Stuck                // it has been active, or restless, for too long
	Free                 // and no longer is
	Gone                 // the line cannot be had, or no more; Err says why
	Back                 // the line can be had, at first or again; On says how it is
)

// Event is something that happened at an input.
type Event struct {
	Input string // name of the input
	Kind  Kind
	On    bool  // whether it is active now
	Err   error // of Gone
}

// input is one debounced line.
type input struct {
	name   string
	low    bool // active low
	settle time.Duration
	stuck  time.Duration
	open   func() (gpio.PinIn, error)
	tell   func(Event)
	count  *counters

	had, on atomic.Bool // for State
}

const (
	retryFirst = time.Second
	retryMost  = time.Minute
)

// run watches the line until ctx ends. A line that cannot be had, or is lost, is
// told once, and tried again after 1 s, 2 s and so on up to a minute.
func (in *input) run(ctx context.Context) {
	told := false // that it cannot be had
	for retry := retryFirst; ctx.Err() == nil; retry = min(2*retry, retryMost) {
		pin, err := in.open()
		if err == nil {
			began := time.Now()
			err = errors.Join(in.watch(ctx, pin), give(pin))
			if time.Since(began) > retryMost {
				retry = retryFirst
			}
		}
		if ctx.Err() != nil {
			return
		}
		if in.had.Swap(false) || !told {
			told = true
			in.count.gone.Add(1)
			in.tell(Event{Input: in.name, Kind: Gone, Err: err})
		}
		pause(ctx, retry)
	}
}

// watch debounces until ctx ends, which answers nil, or the line is lost.
// It can be used when a wait for it has not failed.
func (in *input) watch(ctx context.Context, pin gpio.PinIn) error {
	defer context.AfterFunc(ctx, func() { _ = pin.Halt() })()
	d := debounce{settle: in.settle, stuck: in.stuck}
	d.start(in.active(pin), time.Now())
	in.on.Store(d.on)
	fails, _ := pin.(interface{ Err() error })
	lost, _ := pin.(interface{ Lost() uint64 })
	for ctx.Err() == nil {
		began, wait := time.Now(), d.wait(time.Now(), waitMost)
		edge := pin.WaitForEdge(wait)
		if lost != nil {
			in.count.lost.Add(lost.Lost())
		}
		if fails != nil && fails.Err() != nil {
			return fails.Err()
		}
		if !in.had.Swap(true) {
			in.tell(Event{Input: in.name, Kind: Back, On: d.on})
		}
		if edge {
			in.count.edges.Add(1)
		} else { // a wait that ends early must not become a loop that never rests
			pause(ctx, wait-time.Since(began))
		}
		in.step(&d, in.active(pin))
	}
	return nil
}

func (in *input) active(pin gpio.PinIn) bool { return bool(pin.Read()) != in.low }

// step tells everything that a level means.
func (in *input) step(d *debounce, level bool) {
	for now := time.Now(); ; {
		c := d.step(level, now)
		if c == nothing {
			return
		}
		in.on.Store(d.on)
		kind := map[change]Kind{pressed: Pressed, released: Released, stuck: Stuck, free: Free}[c]
		switch kind {
		case Pressed:
			in.count.presses.Add(1)
		case Stuck:
			in.count.stuck.Add(1)
		}
		in.tell(Event{Input: in.name, Kind: kind, On: d.on})
	}
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
