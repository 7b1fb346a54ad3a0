package order

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// pause is what a hand-over between two orders is taken to last (DESIGN.md
// §3.6, Estimated start).
const pause = 500 * time.Millisecond

// present is which players are there.
type present struct {
	device map[area.DeviceID]bool
	area   map[area.Name]bool
}

func presentOf(players []area.Device) present {
	p := present{device: map[area.DeviceID]bool{}, area: map[area.Name]bool{}}
	for i := range players {
		if players[i].Presence == area.Online {
			p.device[players[i].ID] = true
			p.area[players[i].Area] = true
		}
	}
	return p
}

// canDo tells whether a player that may do e is present. A location's work
// falls to its area where no device is at the location.
func (p present) canDo(e *entry) bool {
	if e.device != "" {
		return p.device[e.device]
	}
	return p.area[e.order.Area]
}

// turn is where an entry stands in the line of its area.
type turn struct {
	start time.Time // zero: not known
	after area.WorkID
}

// movedFrom tells whether a watcher who was told u wants to know t. That what
// could start at once still could is no news.
func (t turn) movedFrom(u turn, now time.Time) bool {
	return !t.near(u) && (t.after != u.after || t.start.IsZero() != u.start.IsZero() || t.start.After(now) || u.start.After(now))
}

// near tells whether t is u but for a difference that nobody cares for.
func (t turn) near(u turn) bool {
	return t.after == u.after && t.start.IsZero() == u.start.IsZero() && t.start.Sub(u.start).Abs() < moved
}

// lineOf is the waiting entries of an area in the arbiter's order: those whose
// time has come by class, then by arrival; behind them the others by their
// time.
func lineOf(entries []*entry, now time.Time) []*entry {
	var line []*entry
	for _, e := range entries {
		if !e.order.State.Ended() && e.order.State != area.OrderPlaying {
			line = append(line, e)
		}
	}
	slices.SortStableFunc(line, func(a, b *entry) int {
		if x, y := a.due(now), b.due(now); x != y {
			if x {
				return -1
			}
			return 1
		}
		if !a.due(now) {
			if c := a.order.NotBefore.Compare(b.order.NotBefore.Time); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(b.order.Priority.Class(), a.order.Priority.Class()), cmp.Compare(a.arrival, b.arrival))
	})
	return line
}

// turns works out when each waiting entry of an area will start. Entries are
// all those of one area; the caller holds the lock.
func turns(entries []*entry, p present, now time.Time) map[*entry]turn {
	free, sounding := soundOf(entries, now)
	out := map[*entry]turn{}
	next, last := now, area.WorkID("")
	for _, e := range lineOf(entries, now) {
		start, after := next, last
		if sounding != nil && !preempts(&e.order, &sounding.order) && start.Before(free) {
			start = free
			after = cmp.Or(last, sounding.order.ID)
		}
		if !e.due(now) {
			out[e] = turn{start: laterOf(e.order.NotBefore.Time, now)}
		} else {
			out[e] = turn{start: start, after: after}
			next, last = start.Add(e.length()+pause), e.order.ID
		}
		if !p.canDo(e) || e.order.State == area.OrderWaiting && e.order.Reason != nil && *e.order.Reason == area.EndDeviceError {
			t := out[e]
			t.start = time.Time{}
			out[e] = t
		}
	}
	return out
}

// soundOf is what sounds in the area, and when it will be over.
func soundOf(entries []*entry, now time.Time) (free time.Time, sounding *entry) {
	free = now
	for _, e := range entries {
		if e.order.State != area.OrderPlaying {
			continue
		}
		sounding = e
		free = laterOf(free, laterOf(e.order.StartedAt.Add(e.length()), now).Add(pause))
	}
	return free, sounding
}

// preempts tells whether o would cut p short: an emergency whatever is lower,
// interrupt what is not higher, and neither an emergency.
func preempts(o, p *area.Order) bool {
	if p.Priority.Class() == area.Emergency {
		return false
	}
	return o.Priority.Class() == area.Emergency || o.IfBusy == area.BusyInterrupt && p.Priority.Class() <= o.Priority.Class()
}

func laterOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Speech is a [Renderer] that guesses: it knows no clips, and takes a text to
// be read at an ordinary pace.
type Speech struct{}

// What Speech takes sounds to last: 150 words of six letters a minute, and the
// chimes of drivers/media to be no longer than this.
const (
	perLetter = 67 * time.Millisecond
	perChime  = 1500 * time.Millisecond
	shortest  = 500 * time.Millisecond
)

// Duration guesses from the number of letters; a clip is refused.
func (Speech) Duration(r area.OrderRequest) (time.Duration, error) {
	if r.Clip != nil {
		return 0, area.InvalidField("clip", "no clips are kept here yet: send a message")
	}
	d := unknownLength
	if r.Message != nil {
		d = max(shortest, time.Duration(utf8.RuneCountInString(*r.Message))*perLetter)
	}
	d *= time.Duration(max(1, len(r.Languages)))
	if r.Chime != "" && r.Chime != DefaultChime {
		d += perChime
	}
	if r.Repeat != nil {
		d *= time.Duration(*r.Repeat)
	}
	return d, nil
}
