package arbiter

import (
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// here is who is live on connections of this node, by area, in the order of the
// ids. Devices of a leader are the leader's to tell of.
func (r *Roster) here() map[area.Name][]herePlayer {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[area.Name][]herePlayer{}
	for id, q := range r.players {
		link := q.link()
		if link == "" || nodeOfLink(link) != "" || isTrunkLink(link) {
			continue
		}
		out[q.area] = append(out[q.area], herePlayer{
			Device: id, Name: cmpOr(q.renamed, q.Name), Location: string(q.location), Via: q.Via, Boot: q.Boot, MID: q.MID, Conn: q.Conn, Told: q.Told, Link: sharedLink(link),
			Volume: q.Volume, Muted: q.Muted, Silent: q.Silent, Attributes: q.Attributes,
		})
	}
	for _, list := range out {
		slices.SortFunc(list, func(x, y herePlayer) int { return strings.Compare(string(x.Device), string(y.Device)) })
	}
	return out
}

// registerFrom registers a device that is live at another node. One that is live
// here too stays here, unless the other connection is known to be newer. Of one on a
// connection that all nodes hear, what was heard here counts.
func (r *Roster) registerFrom(node string, in area.Name, p herePlayer) {
	link := cmpOr(p.Link, nodeLink(node))
	r.mu.Lock()
	q := r.players[p.Device]
	stays := false
	if q != nil && q.link() != "" && nodeOfLink(q.link()) == "" {
		newer := p.Conn != 0 && (p.Boot > q.Boot || p.Boot == q.Boot && p.Conn > q.Conn)
		stays = !newer
	}
	if p.Link != "" {
		stays = q != nil && q.presence != area.PresenceUnknown
	}
	r.mu.Unlock()
	if stays {
		return
	}
	_, _, _ = r.Register(Player{ // a location that is another area's here is so there
		Device: p.Device, Name: p.Name, Area: string(in), Location: p.Location, Via: p.Via, Link: link, Boot: p.Boot, MID: p.MID, Conn: p.Conn, Told: p.Told,
		Volume: p.Volume, Muted: p.Muted, Silent: p.Silent, Attributes: p.Attributes,
	})
}

// lostFrom notes that a device is no longer live in an area at another node.
func (r *Roster) lostFrom(node string, in area.Name, d area.DeviceID) {
	var gone []Presence
	r.mu.Lock()
	if q := r.players[d]; q != nil && q.link() == nodeLink(node) && q.area == in {
		gone = append(gone, r.leave(q, area.PresentGoodbye))
	}
	r.mu.Unlock()
	r.tell(gone)
}

// led takes in which devices of a leader are live.
func (r *Roster) led(l ledDevices) {
	link := trunkLink(l.Leader)
	switch {
	case l.Lost:
		r.Lost(link, area.PresentTimeout)
	case l.Gone != "":
		r.Departed(l.Gone, link, l.Reason)
	default:
		r.Serving(link, l.Serves, leaderSilent)
	}
}

// live is who is live in an area, a leader's own devices apart.
func (r *Roster) live(in area.Name) (list []Presence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, q := range r.players {
		if link := q.link(); q.area == in && link != "" && !isTrunkLink(link) {
			list = append(list, Presence{Device: id, Area: in, Location: q.location, Live: true, Via: q.Via, Link: link, MID: q.MID, Silent: q.Silent})
		}
	}
	slices.SortFunc(list, func(x, y Presence) int { return strings.Compare(string(x.Device), string(y.Device)) })
	return list
}
