package area

import (
	"errors"
	"fmt"
	"time"
)

// Hold is a hold without a lease (COORDINATION.md §8.3, §8.6), as one arbiter
// tells another.
type Hold struct {
	Kind   string   `json:"kind"` // "classic" or "dumb"
	Device DeviceID `json:"device"`
	Boot   uint64   `json:"boot,omitempty"`
	MID    string   `json:"mid,omitempty"`
	Claim  uint64   `json:"claim,omitempty"`
	Token  Token    `json:"token,omitempty"` // 0: it sounds while another holds the area
	Prio   Priority `json:"prio,omitempty"`
	LeftMs int64    `json:"left_ms"`
	Work   WorkID   `json:"work,omitempty"`
	Att    int      `json:"att,omitempty"`
}

// Handed is a work that goes from one arbiter to another, with what the first
// one knows of it.
type Handed struct {
	Work     WorkID      `json:"work"`
	Location LocationID  `json:"location,omitempty"`
	Device   DeviceID    `json:"device,omitempty"`
	Prio     Priority    `json:"prio"`
	DurMs    int64       `json:"dur_ms"`
	TTLMs    int64       `json:"ttl_ms"` // what is left of its time; -1: it has none
	Redo     Redo        `json:"redo,omitempty"`
	IfBusy   IfBusy      `json:"if_busy,omitempty"`
	Body     Body        `json:"body"`
	Att      int         `json:"att"`              // from 1
	Reason   string      `json:"reason,omitempty"` // why the attempt before ended
	Given    *Assignment `json:"given,omitempty"`  // who has it; nil: nobody, as far as is known
	Maybe    bool        `json:"maybe,omitempty"`  // it was in the hands of an arbiter that may have granted the area for it
}

// Assignment says whose a work is.
type Assignment struct {
	Device DeviceID `json:"device"`
	MID    string   `json:"mid,omitempty"`
	Boot   uint64   `json:"boot,omitempty"`
}

// Reported is a [Report] on the wire.
type Reported struct {
	Work   WorkID     `json:"work"`
	State  OrderState `json:"state"`
	Device DeviceID   `json:"device,omitempty"`
	MID    string     `json:"mid,omitempty"`
	Boot   uint64     `json:"boot,omitempty"`
	Att    int        `json:"att"`
	Reason string     `json:"reason,omitempty"`
	DurMs  int64      `json:"dur_ms,omitempty"`
	AgoMs  int64      `json:"ago_ms,omitempty"` // it happened so long before it was said
}

// Hand writes a work down for the trunk, as it stands at now.
func Hand(w Work, now time.Time) Handed {
	h := Handed{
		Work: w.ID, Location: w.Location, Device: w.Device, Prio: w.Prio, DurMs: milliseconds(w.Dur), TTLMs: -1,
		Redo: w.Redo, IfBusy: w.IfBusy, Body: w.Body, Att: 1,
	}
	if !w.Expires.IsZero() {
		h.TTLMs = max(0, w.Expires.Sub(now).Milliseconds())
	}
	return h
}

// Take is the inverse of [Hand] for the work itself, in an area at now.
func (h Handed) Take(in Name, now time.Time) Work {
	w := Work{
		ID: h.Work, Area: in, Location: h.Location, Device: h.Device, Prio: h.Prio, Dur: time.Duration(h.DurMs) * time.Millisecond,
		Redo: h.Redo, IfBusy: h.IfBusy, Body: h.Body,
	}
	if h.TTLMs >= 0 {
		w.Expires = now.Add(time.Duration(h.TTLMs) * time.Millisecond)
	}
	return w
}

// Reported writes a report down for the trunk.
func (r Report) Reported(ago time.Duration) *Reported {
	return &Reported{Work: r.Work, State: r.State, Device: r.Device, MID: r.MID, Boot: r.Boot, Att: r.Att, Reason: r.Reason, DurMs: milliseconds(r.Dur), AgoMs: milliseconds(max(0, ago))}
}

// Report is the inverse of [Report.Reported], for an area.
func (r Reported) Report(in Name) Report {
	return Report{
		Work: r.Work, Area: in, State: r.State, Device: r.Device, MID: r.MID, Boot: r.Boot, Att: r.Att, Reason: r.Reason,
		Dur: time.Duration(r.DurMs) * time.Millisecond, Ago: time.Duration(r.AgoMs) * time.Millisecond,
	}
}

func (h Hold) check() error {
	_, err := fromMillis("left_ms", h.LeftMs)
	switch {
	case h.Kind != "classic" && h.Kind != "dumb" || !IsID(string(h.Device)) || h.Work != "" && !IsID(string(h.Work)):
		return fmt.Errorf("a hold has kind %s, device %s, work %s", quote(h.Kind), quote(string(h.Device)), quote(string(h.Work)))
	case h.Boot > MaxCounter || h.Claim > MaxCounter || uint64(h.Token) > MaxCounter || h.Prio < 0 || h.Prio > MaxPriority || h.Att < 0:
		return errors.New("a hold has a number out of range")
	}
	return err
}

func (h *Handed) check() error {
	if h == nil {
		return nil
	}
	_, err := fromMillis("dur_ms", h.DurMs)
	switch {
	case !IsID(string(h.Work)) || h.Location != "" && !IsID(string(h.Location)) || h.Device != "" && !IsID(string(h.Device)):
		return fmt.Errorf("work %s, its location or its device is no id", quote(string(h.Work)))
	case h.Prio < 0 || h.Prio > MaxPriority || h.Att < 1 || h.TTLMs < -1 || h.Redo != "" && h.Redo != RedoRetry && h.Redo != RedoOnce:
		return fmt.Errorf("prio, att, ttl_ms or redo of work %s is out of range", quote(string(h.Work)))
	case h.Given != nil && (!IsID(string(h.Given.Device)) || h.Given.Boot > MaxCounter):
		return fmt.Errorf("the device of work %s is no id", quote(string(h.Work)))
	case h.TTLMs > 0:
		if _, err := fromMillis("ttl_ms", h.TTLMs); err != nil {
			return err
		}
	}
	return err
}

func (r *Reported) check() error {
	if r == nil {
		return nil
	}
	switch r.State {
	case OrderAccepted, OrderWaiting, OrderOffered, OrderAssigned, OrderPlaying, OrderPlayed, OrderExpired, OrderCancelled, OrderFailed:
	default:
		return fmt.Errorf("state %s is not known", quote(string(r.State)))
	}
	if !IsID(string(r.Work)) || r.Device != "" && !IsID(string(r.Device)) || r.Att < 0 || r.Boot > MaxCounter || len(r.MID) > maxSensor {
		return fmt.Errorf("work %s, its device or its attempt is out of range", quote(string(r.Work)))
	}
	for _, ms := range []int64{r.DurMs, r.AgoMs} {
		if _, err := fromMillis("a duration", ms); err != nil {
			return err
		}
	}
	return nil
}
