package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config bounds a [Service]. The zero value means the defaults.
type Config struct {
	MaxLive int           // most orders without an end; 0: 10,000
	MaxKeys int           // most idempotency keys that are remembered; 0: 10,000
	KeyLife time.Duration // how long a key is remembered; 0: 24 h
	Nodes   *Nodes        // the other nodes; nil: there are none
	Grace   time.Duration // how long after its expiry an unassigned order waits for the dispatcher's word; 0: 30 s
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	for name, n := range map[string]int64{"MaxLive": int64(c.MaxLive), "MaxKeys": int64(c.MaxKeys), "KeyLife": int64(c.KeyLife), "Grace": int64(c.Grace)} {
		if n < 0 {
			faults = append(faults, fmt.Errorf("order: %s is negative", name))
		}
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	c.MaxLive = orDefault(c.MaxLive, 10_000)
	c.MaxKeys = orDefault(c.MaxKeys, 10_000)
	c.KeyLife = orDefault(c.KeyLife, 24*time.Hour)
	c.Grace = orDefault(c.Grace, 30*time.Second)
	return c
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Roster says what an order's target is, and who is present. Its methods are
// called on the callers' goroutines and must not call back.
type Roster interface {
	Area(a area.Name) (area.Area, bool)
	Players() []area.Device
	// Resolve answers the area of a target, its location and its device where it
	// has one, or an [area.Error] of code unknown_area, unknown_location or
	// unknown_device.
	Resolve(to area.To) (area.Name, area.LocationID, area.DeviceID, error)
}

// Dispatcher finds a device for a work and reports what becomes of it through
// [Service.Report], in order per work, until an end.
type Dispatcher interface {
	// Submit hands over a work. A work whose id it has already is not taken a
	// second time, and is no error. An [area.Error] of code rate, invalid or
	// unknown_… refuses the work for good; after another error it is tried again.
	Submit(ctx context.Context, w area.Work) error

	// Cancel takes a work back for a reason (user, stop, expired). Its end comes
	// as a report; not_found and ended are answers of a race, not faults.
	Cancel(ctx context.Context, id area.WorkID, reason string) error
}

// Renderer knows how long an order will sound.
type Renderer interface {
	// Duration is the length of the whole sound, chime and repeats included, for
	// a request that was checked and has its defaults. It may be an estimate and
	// must be quick. An [area.Error] refuses the order; a clip that is not kept
	// is one of code invalid, about field clip.
	Duration(r area.OrderRequest) (time.Duration, error)
}

// By says on whose behalf an order is made.
type By struct {
	Who            string        // principal; scope of the idempotency key
	Schedule       string        // schedule that makes it; empty: none
	IdempotencyKey string        // 1 to 128 characters; empty: none
	Redo           area.Redo     // empty: retry
	Dur            time.Duration // length, where the caller knows it; 0: the renderer says
	// May is asked, once nothing else is wrong, whether it may go to the area that
	// its target is in; its error refuses it. nil: it may.
	May func(in area.Name) error
}
