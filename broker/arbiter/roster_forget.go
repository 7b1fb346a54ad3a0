package arbiter

import "github.com/tacet-hub/tacet/broker/area"

// Forget takes a player off the roster that is not live; its location stays. It
// comes back when it says its status. The error is an [area.Error]: not_found,
// conflict where the player is live.
func (r *Roster) Forget(d area.DeviceID) error {
	r.mu.Lock()
	q, ok := r.players[d]
	switch {
	case !ok:
		r.mu.Unlock()
		return area.Errorf(area.CodeNotFound, "no device %s", d)
	case q.presence == area.Online:
		r.mu.Unlock()
		return area.Errorf(area.CodeConflict, "device %s is online: switch it off first, or withdraw its credential", d)
	}
	r.unmount(q)
	delete(r.players, d)
	r.mu.Unlock()
	r.changed()
	return nil
}
