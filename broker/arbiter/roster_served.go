package arbiter

import (
	"cmp"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Departed says that a device is not live any more on a connection that others
// share, that of a leader, and why. The reason counts also where the device's own
// word, or its will, came first.
func (r *Roster) Departed(d area.DeviceID, link, reason string) {
	switch reason {
	case area.PresentGoodbye, area.PresentWill, area.PresentTakenOver:
	default:
		reason = area.PresentTimeout
	}
	var gone []Presence
	r.mu.Lock()
	q, ok := r.players[d]
	ok = ok && q.Link == link
	corrected := ok && q.presence == area.Offline && q.reason != reason
	switch {
	case corrected:
		q.reason = reason
	case ok && q.presence == area.Online:
		gone = append(gone, r.leave(q, reason))
	}
	r.mu.Unlock()
	r.tell(gone)
	if corrected {
		r.changed()
	}
}

// Serving says which devices are live on a connection that they share. One that
// is not on the list, and was not heard there for so long, has gone: the message
// that said so was lost. One of which only a retained status is known is live there.
func (r *Roster) Serving(link string, list []area.DeviceID, long time.Duration) {
	since := r.now().Add(-long)
	var gone []Presence
	r.mu.Lock()
	come := r.appear(link, list)
	for id, q := range r.players {
		if q.link() == link && !slices.Contains(list, id) && q.lastSeen.Before(since) {
			gone = append(gone, r.leave(q, area.PresentTimeout))
		}
	}
	r.mu.Unlock()
	slices.SortFunc(gone, func(x, y Presence) int { return cmp.Compare(x.Device, y.Device) })
	r.tell(append(gone, come...))
}

// appear has the devices of a list be live on a connection of which nobody knew whether
// they are. The caller holds the lock.
func (r *Roster) appear(link string, list []area.DeviceID) (come []Presence) {
	for _, id := range list {
		if q := r.players[id]; q != nil && q.presence == area.PresenceUnknown {
			q.presence, q.reason, q.Link, q.Client, q.lastSeen = area.Online, area.PresentConnected, link, "", area.At(r.now())
			come = append(come, Presence{Device: id, Area: q.area, Location: q.location, Live: true, Via: q.Via, Link: link, MID: q.MID, Silent: q.Silent, New: true})
		}
	}
	return come
}
