package arbiter

import (
	"maps"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// maxPlayers bounds the players that the roster remembers; one more is refused.
const maxPlayers = 20_000

// Player is what a live device says of itself when it registers.
type Player struct {
	Device     area.DeviceID
	Name       string // empty: the id, or what is known
	Area       string // id or name, as the device gave it
	Location   string // id or name; empty: none
	Via        area.Via
	Link       string // names the live connection, such as "mqtt/17" or "hub/k3…"
	Client     string // MQTT client id on it; empty: it speaks no MQTT
	Boot       uint64
	MID        string // machine id; empty: not told
	Conn       uint64 // connections of this boot so far; 0: not told
	Told       bool   // it said where it is; else that is taken from what it claims
	Volume     *int
	Muted      bool
	Silent     bool // it has nothing to sound by
	Attributes map[string]string
}

type player struct {
	Player
	area     area.Name
	location area.LocationID
	last     area.LocationID // where it was as it went offline
	presence area.Presence
	reason   string
	state    string
	lastSeen area.Time
	renamed  string // name given by an operator; beats the device's own
	// under is MQTT connections that a newer registration took the name from, and
	// that still stand: when the newer one ends, the device is live there again.
	under []Player
}

// Register says that a player is live on a connection. It answers the area and
// the location that it got. Registering again replaces: the device is live on
// the newest connection alone, and the later of two devices has a location.
//
// Its error is an [area.Error]: invalid or unknown_area for an area that cannot
// be, location_conflict where the location is in another area; then the player
// is registered without a location, and the area is still answered.
func (r *Roster) Register(p Player) (area.Name, area.LocationID, error) {
	name, err := r.Seen(p.Area)
	if err != nil {
		return "", "", err
	}
	r.mu.Lock()
	q, known := r.players[p.Device]
	if !known && len(r.players) >= maxPlayers {
		r.mu.Unlock()
		return "", "", area.Errorf(area.CodeRate, "%d players are known, and no more fit", maxPlayers)
	}
	if !known {
		q = &player{state: "idle"}
		r.players[p.Device] = q
	}
	if r.stale(q, p) {
		name, at := q.area, q.location
		r.mu.Unlock()
		return name, at, nil
	}
	moved := q.area != name
	if moved {
		r.unmount(q)
	}
	before := *q
	over := q.cover(p.Link)
	q.Player, q.area = p, name
	q.presence, q.reason, q.lastSeen = area.Online, area.PresentConnected, area.At(r.now())
	places := len(r.places)
	at, err := r.mount(q, p.Location)
	grown := len(r.places) > places
	tell := Presence{Device: p.Device, Area: name, Location: at, Live: true, Via: p.Via, Link: p.Link, MID: p.MID, Silent: p.Silent, Over: over, New: before.link() != p.Link}
	r.mu.Unlock()
	if moved && known && before.area != "" {
		r.joined(Presence{Device: p.Device, Area: before.area, Via: before.Via, Link: before.Link})
	}
	r.joined(tell)
	r.changed()
	if grown {
		r.keep(name)
	}
	return name, at, err
}

// mostUnder bounds the connections that are remembered under the live one.
const mostUnder = 4

// cover notes the connection that a new link takes the name from, and answers
// it; empty where there is none.
func (q *player) cover(link string) (over string) {
	q.uncover(link)
	over = q.link()
	if over == "" || over == link {
		return ""
	}
	if q.Client != "" && len(q.under) < mostUnder {
		q.under = append(q.under, q.Player)
	}
	return over
}

// uncover forgets a connection that has ended, or that is the live one again.
func (q *player) uncover(link string) {
	q.under = slices.DeleteFunc(q.under, func(p Player) bool { return p.Link == link })
}

// stale tells whether a registration is older than what is known: a lower boot,
// or the same and an earlier connection of it. Of two machines neither is the older.
func (r *Roster) stale(q *player, p Player) bool {
	if q.link() == "" || p.Conn == 0 || q.other(p.MID) {
		return false
	}
	return p.Boot < q.Boot || p.Boot == q.Boot && p.Conn < q.Conn
}

// other tells whether it is another machine that is live.
func (q *player) other(mid string) bool { return q.MID != "" && mid != "" && q.MID != mid }

func (q *player) link() string {
	if q.presence != area.Online {
		return ""
	}
	return q.Link
}

// Heard notes that a registered player spoke; it moves last_seen and nothing
// else. It answers false where the player is not live on that connection.
func (r *Roster) Heard(d area.DeviceID, link string) bool {
	_, _, live := r.heard(d, link)
	return live
}

// heard is [Roster.Heard]; it also answers where the player is, and whether it
// said so itself.
func (r *Roster) heard(d area.DeviceID, link string) (in area.Name, told, live bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok := r.players[d]
	if !ok || q.link() != link {
		return "", false, false
	}
	q.lastSeen = area.At(r.now())
	return q.area, q.Told, true
}

// Retained notes a player that is known from its retained status alone: its
// presence is unknown until it speaks.
func (r *Roster) Retained(p Player) error {
	name, err := r.Seen(p.Area)
	if err != nil {
		return err
	}
	r.mu.Lock()
	if _, known := r.players[p.Device]; known || len(r.players) >= maxPlayers {
		r.mu.Unlock()
		return nil
	}
	r.players[p.Device] = &player{Player: p, area: name, presence: area.PresenceUnknown, state: "idle"}
	r.mu.Unlock()
	r.changed()
	return nil
}

// Lost says that a connection ended, and why (goodbye, will, timeout,
// taken_over). Every player that was live on it goes offline at once; what it
// holds is the arbiter's to keep until its lease ends.
func (r *Roster) Lost(link, reason string) {
	var gone []Presence
	var back []Player
	r.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(r.players)) {
		q := r.players[id]
		q.uncover(link)
		if q.link() != link {
			continue
		}
		gone = append(gone, r.leave(q, reason))
		if n := len(q.under); n > 0 {
			back = append(back, q.under[n-1])
			q.under = q.under[:n-1]
		}
	}
	r.mu.Unlock()
	r.tell(gone)
	for _, p := range back {
		_, _, _ = r.Register(p) // it was registered so before; a location that is taken by now stays taken
	}
}

// Left says that one player said goodbye, or that its Will did. A (boot, conn)
// older than the live one, and one of another machine, is ignored: takeover and Will
// come in any order.
func (r *Roster) Left(d area.DeviceID, mid string, boot, conn uint64, reason string) {
	var gone []Presence
	r.mu.Lock()
	if q, ok := r.players[d]; ok && q.presence == area.Online && !q.other(mid) && (boot > q.Boot || boot == q.Boot && conn >= q.Conn) {
		gone = append(gone, r.leave(q, reason))
	}
	r.mu.Unlock()
	r.tell(gone)
}

// Ended tells whether the connection on which a player has said (boot, conn), or a later
// one, has ended, and why the newest has.
func (r *Roster) Ended(d area.DeviceID, boot, conn uint64) (reason string, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok := r.players[d]
	if !ok || q.presence != area.Offline || boot > q.Boot || boot == q.Boot && conn > q.Conn {
		return "", false
	}
	return q.reason, true
}

// leave takes a player off its connection; the caller holds the lock.
func (r *Roster) leave(q *player, reason string) Presence {
	p := Presence{Device: q.Device, Area: q.area, Via: q.Via, Link: q.Link}
	q.last = q.location
	r.unmount(q)
	q.presence, q.reason, q.lastSeen = area.Offline, reason, area.At(r.now())
	return p
}

func (r *Roster) tell(gone []Presence) {
	for _, p := range gone {
		r.joined(p)
	}
	if len(gone) > 0 {
		r.changed()
	}
}

// setStates notes who holds an area and who waits for it.
func (r *Roster) setStates(name area.Name, holder area.DeviceID, waiting []area.DeviceID) {
	changed := false
	r.mu.Lock()
	for id, q := range r.players {
		if q.area != name {
			continue
		}
		state := "idle"
		switch {
		case id == holder:
			state = "playing"
		case slices.Contains(waiting, id):
			state = "waiting"
		}
		if q.state != state {
			q.state, changed = state, true
		}
	}
	r.mu.Unlock()
	if changed {
		r.changed()
	}
}

// client is the MQTT client id on which a player is live; empty: none.
func (r *Roster) client(d area.DeviceID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q, ok := r.players[d]; ok && q.link() != "" {
		return q.Client
	}
	return ""
}

// linkOf is the connection on which a player is live; empty: none.
func (r *Roster) linkOf(d area.DeviceID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q, ok := r.players[d]; ok {
		return q.link()
	}
	return ""
}

// Players lists every player in the order of their ids, without readings and
// seq, which are not the roster's.
func (r *Roster) Players() []area.Device {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]area.Device, 0, len(r.players))
	for id, q := range r.players {
		list = append(list, r.showPlayer(id, q))
	}
	slices.SortFunc(list, func(x, y area.Device) int { return compareIDs(string(x.ID), string(y.ID)) })
	return list
}

// Player is one player, as [Roster.Players] lists it.
func (r *Roster) Player(d area.DeviceID) (area.Device, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q, ok := r.players[d]; ok {
		return r.showPlayer(d, q), true
	}
	return area.Device{}, false
}

func (r *Roster) showPlayer(id area.DeviceID, q *player) area.Device {
	d := area.Device{
		ID: id, Name: cmpOr(q.renamed, q.Name, string(id)), Kind: "player", Via: q.Via, Area: q.area, Presence: q.presence,
		Node: cmpOr(nodeOfLink(q.Link), r.node), Boot: q.Boot, Volume: q.Volume, Muted: q.Muted,
		Attributes: maps.Clone(q.Attributes), Readings: []area.Reading{},
	}
	if d.Attributes == nil {
		d.Attributes = map[string]string{}
	}
	if at := r.whereabouts(q); at != "" {
		d.Location = &at
	}
	if q.reason != "" {
		why := q.reason
		d.Reason = &why
	}
	if !q.lastSeen.IsZero() {
		at := q.lastSeen
		d.LastSeen = &at
	}
	if q.presence != area.Offline { // what it does is not known, whatever lease it left behind
		state := q.state
		d.State = &state
	}
	return d
}

func cmpOr(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
