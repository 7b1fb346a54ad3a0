package bridge

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Alert is what an operator has to know, as ReceiveSystemAlert has it.
type Alert struct {
	Level   string `json:"level"` // one of the constants below
	Message string `json:"message"`
}

// Levels of alerts.
const (
	AlertInfo    = "info"    // it is over, or looks after itself
	AlertWarning = "warning" // look
	AlertError   = "error"   // act
)

// Cause is a reason for alerts. Those of one key are told once a minute.
type Cause struct {
	Key   string // what it is about, such as "password 192.0.2.7"
	Alert        // the newest message of a key is the one that is told
	Least int    // how often in a minute it must happen before it is told; 0: once
}

// Bounds of alerts.
const (
	alertSpan   = time.Minute
	alertsMost  = 10 // in a span; what is over is told of in the next
	alertKeys   = 256
	alertsEvery = time.Second // how often is looked whether a span is over
)

// Alerts tells group "alerts" what an operator has to know: the first of a kind
// at once, its repetitions as one line with their number when a minute is over,
// and no more than ten lines a minute. It keeps at most 256 kinds; the overflow
// policy is to drop the new one, counted by AlertStats.Dropped.
type Alerts struct {
	hub  Hub
	now  func() time.Time
	wake chan struct{} // holds one token while something is to be told

	sent, dropped atomic.Uint64

	mu    sync.Mutex
	kinds map[string]*alertKind
	order []string    // of kinds, oldest first
	told  []time.Time // of the last span
}

// alertKind is what has come of one key.
type alertKind struct {
	cause Cause
	began time.Time // of its span
	n     int       // in it, and not told
	told  bool      // in it
}

// AlertStats counts alerts since the start.
type AlertStats struct {
	Sent    uint64
	Dropped uint64 // causes that came while 256 others were known
}

// NewAlerts makes alerts; they are sent while Run does.
func NewAlerts(hub Hub, now func() time.Time) *Alerts {
	return &Alerts{hub: hub, now: now, wake: make(chan struct{}, 1), kinds: map[string]*alertKind{}}
}

// Raise notes n occurrences of a cause. It never blocks.
func (a *Alerts) Raise(c Cause, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.kinds[c.Key]
	if k == nil {
		if len(a.kinds) == alertKeys {
			a.dropped.Add(1)
			return
		}
		k = &alertKind{began: a.now()}
		a.kinds[c.Key] = k
		a.order = append(a.order, c.Key)
	}
	k.cause = c
	k.n += n
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends; it then returns nil.
func (a *Alerts) Run(ctx context.Context) error {
	tick := time.NewTicker(alertsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-tick.C:
		}
		for _, alert := range a.due(a.now()) {
			a.sent.Add(1)
			a.hub.Send(GroupAlerts, eventAlert, alert)
		}
	}
}

// Stats answers the counts.
func (a *Alerts) Stats() AlertStats {
	return AlertStats{Sent: a.sent.Load(), Dropped: a.dropped.Load()}
}

// due is what is to be told now.
func (a *Alerts) due(now time.Time) (out []Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.told) > 0 && now.Sub(a.told[0]) >= alertSpan {
		a.told = a.told[1:]
	}
	keep := a.order[:0]
	for _, key := range a.order {
		k := a.kinds[key]
		over := now.Sub(k.began) >= alertSpan
		if ripe := k.n > 0 && k.n >= k.cause.Least && (over || !k.told); ripe && len(a.told) < alertsMost {
			out = append(out, k.tell())
			a.told = append(a.told, now)
			k.began, over = now, false
		}
		if over && (k.n == 0 || k.n < k.cause.Least) { // it is quiet again
			delete(a.kinds, key)
			continue
		}
		keep = append(keep, key)
	}
	a.order = keep
	return out
}

func (k *alertKind) tell() Alert {
	alert := k.cause.Alert
	if k.n > 1 {
		alert.Message += fmt.Sprintf(" (%d times)", k.n)
	}
	k.n, k.told = 0, true
	return alert
}
