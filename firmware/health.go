package firmware

import (
	"maps"
	"math"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// How often health is looked at, and told: a change that matters at most every
// 10 s, one that is of interest at most every minute. The rest of the status is
// told at once.
const (
	lookEvery  = 10 * time.Second
	minorEvery = time.Minute
	warmer     = 3 // °C that are of interest
)

// fault notes that a part does not work, or, where err is nil, that it does.
func (a *Agent) fault(part string, err error) {
	a.shared.mu.Lock()
	defer a.shared.mu.Unlock()
	if err == nil {
		delete(a.shared.faults, part)
		return
	}
	a.shared.faults[part] = err.Error()
}

// faulty tells whether a part does not work.
func (a *Agent) faulty() bool {
	a.shared.mu.Lock()
	defer a.shared.mu.Unlock()
	return len(a.shared.faults) > 0
}

// Look has the agent read its gauges and tell its state anew, because something
// has changed.
func (a *Agent) Look() {
	a.enqueue(func() { a.read(a.now()) })
}

// HeardTerm has the agent say a term of an area which it has not from its arbiter
// but from its neighbours, where it is in that area: whoever it speaks to next then
// settles for what the one who has that term may have granted (COORDINATION.md §8.2).
// It does not block.
func (a *Agent) HeardTerm(in area.Name, term uint64) {
	a.enqueue(func() {
		if in == a.area {
			a.step(turn.Lease{Term: term})
		}
	})
}

// look reads the gauges, where they were not read for a while.
func (a *Agent) look(now area.Instant) {
	if a.health != nil && now < a.looked.Add(lookEvery) {
		return
	}
	a.read(now)
}

// read reads the gauges.
func (a *Agent) read(now area.Instant) {
	a.looked = now
	a.shared.mu.Lock()
	h := &area.Health{Faults: maps.Clone(a.shared.faults), Pins: map[string]string{}}
	a.shared.mu.Unlock()
	for _, g := range a.Gauges {
		g(h)
	}
	h.BootReason, h.SafeMode = a.cfg.Start.Reason, a.cfg.Start.Safe
	if a.Calendar != nil {
		h.Clock = a.Calendar.State()
	}
	h.UptimeS = int64(now.Sub(a.began) / time.Second)
	if a.Ring != nil {
		if text := a.Ring.LastError(); text != "" {
			h.LastError = &text
		}
	}
	bound(h)
	a.health = h
}

// mostText bounds each text of the health, and how many of a kind there are, so
// that a status stays small.
const (
	mostText  = 200
	mostTexts = 40
)

func bound(h *area.Health) {
	h.AudioDevice = short(h.AudioDevice)
	if h.LastError != nil {
		text := short(*h.LastError)
		h.LastError = &text
	}
	for _, m := range []map[string]string{h.Faults, h.Pins} {
		for k, v := range m {
			if m[k] = short(v); len(m) > mostTexts {
				delete(m, k)
			}
		}
	}
}

func short(s string) string {
	if len(s) <= mostText {
		return s
	}
	cut := mostText
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not within a character
		cut--
	}
	return s[:cut] + "…"
}

// worthTelling tells whether the health is to be told though nothing else of the
// status has changed.
func (a *Agent) worthTelling(now area.Instant) bool {
	if a.told == nil {
		return a.health != nil
	}
	switch {
	case a.health == a.told:
		return false
	case major(a.health, a.told):
		return now >= a.toldAt.Add(lookEvery)
	case minor(a.health, a.told):
		return now >= a.toldAt.Add(minorEvery)
	}
	return false
}

// major tells whether somebody may have to act.
func major(a, b *area.Health) bool {
	return a.Clock != b.Clock || a.AudioDevice != b.AudioDevice || !maps.Equal(a.Pins, b.Pins) || !maps.Equal(a.Faults, b.Faults) ||
		!same(a.UnderVoltage, b.UnderVoltage) || !same(a.Peers, b.Peers)
}

// minor tells whether something is of interest.
func minor(a, b *area.Health) bool {
	if a.Xruns != b.Xruns || !same(a.LastError, b.LastError) || (a.TemperatureC == nil) != (b.TemperatureC == nil) {
		return true
	}
	return a.TemperatureC != nil && math.Abs(*a.TemperatureC-*b.TemperatureC) >= warmer
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
