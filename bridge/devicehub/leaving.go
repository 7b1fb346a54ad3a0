package devicehub

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/absence"
	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
)

// Absences keeps what lost connections of users and devices have left, for who comes back.
// What it does blocks for a moment.
type Absences interface {
	Keep(ctx context.Context, who string, l absence.Left)
	// Take takes what one connection has left: one that fits, or one of more.
	Take(ctx context.Context, who string, fits func(absence.Left) bool, more ...absence.Left) (absence.Left, bool)
	// Drop forgets a connection.
	Drop(ctx context.Context, who, conn string)
}

// mostGone is of how many nodes that are gone what their connections left waits to be kept.
const mostGone = 16

// keeping bounds how long the end of a connection waits for what it leaves to be kept.
const keeping = 3 * time.Second

// deviceName is under which name it is remembered where a device left groups.
func deviceName(d area.DeviceID) string { return "device/" + string(d) }

// deviceTag is the attribute by which the connection of a device is found.
const deviceTag = "device "

// owner is whose groups of a connection are: its device's, else its user's; empty: nobody
// can come back for them.
func owner(c *signalr.Conn) string {
	if at, ok := c.Get(registered{}).(place); ok {
		return deviceName(at.device)
	}
	if c.User() != "" {
		return userName(c.User())
	}
	return ""
}

// ownRoom is the group of a connection's user; empty: it has none.
func (h *Hub) ownRoom(c *signalr.Conn) string {
	if c.User() == "" {
		return ""
	}
	p := h.Who(c)
	return room(p, userGroup(p.Name))
}

// returns tells whether the membership of a group is kept for who comes back: not that of
// areas, of which JoinArea has a snapshot, and not of what every connection gets anew.
func returns(group string) bool {
	return !area.Group(nameIn(group)).Reserved()
}

// nameIn is the name of a group of the library within its tenant.
func nameIn(group string) string {
	if strings.HasPrefix(group, "@") {
		_, group, _ = strings.Cut(group, "/")
	}
	return group
}

// leave keeps what a connection that has ended leaves, where its client has not said
// goodbye and was not sent away. Its user's own group is the user's, also of a device.
func (h *Hub) leave(c *signalr.Conn, cause error) {
	who, own := owner(c), h.ownRoom(c)
	if h.Absences == nil || who == "" {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), keeping)
	defer stop()
	if sentAway := (*signalr.HubError)(nil); cause == nil || errors.As(cause, &sentAway) {
		h.Absences.Drop(ctx, who, c.ID())
		return
	}
	left := map[string]map[string]*signalr.Position{}
	for _, group := range c.Groups() {
		to := who
		if group == own {
			to = userName(c.User())
		} else if !returns(group) {
			continue
		}
		at, ok := h.stood(c, group, true)
		if !ok && group == own { // his mark says it
			continue
		}
		if left[to] == nil {
			left[to] = map[string]*signalr.Position{}
		}
		if left[to][group] = nil; ok {
			left[to][group] = &at
		}
	}
	for _, to := range []string{who, userName(c.User())} {
		h.passOn(ctx, c, to, left)
	}
	for to, groups := range left {
		h.Absences.Keep(ctx, to, absence.Left{Conn: c.ID(), At: c.Heard(), Groups: groups})
		h.Left(to)
	}
}

// passOn adds what a connection has taken over and was not in the groups of yet.
func (h *Hub) passOn(ctx context.Context, c *signalr.Conn, who string, left map[string]map[string]*signalr.Position) {
	l, ok := c.Get(pending{who}).(absence.Left)
	if !ok {
		return
	}
	if left[who] == nil {
		left[who] = map[string]*signalr.Position{}
	}
	for group := range l.Groups {
		if _, known := left[who][group]; !known {
			at := h.stoodAt(ctx, group, l)
			left[who][group] = &at
		}
	}
}

// Left says that something of a user or device is left: one who has come back before that
// was known takes it over. It does not block; where the queue is full the next one does who
// comes back.
func (h *Hub) Left(who string) {
	select {
	case h.owners <- who:
	default:
		h.count.late.Add(1)
	}
}

// Gone keeps what the connections of a node that is gone have left. It does not block;
// where the queue is full they leave nothing.
func (h *Hub) Gone(conns []presence.Conn) {
	select {
	case h.gone <- conns:
	default:
		h.count.late.Add(1)
	}
}

// handOver does what [Hub.Left] and [Hub.Gone] ask for, until ctx ends.
func (h *Hub) handOver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case who := <-h.owners:
			h.late(ctx, who)
		case conns := <-h.gone:
			for _, o := range conns {
				h.keepOf(ctx, o)
			}
		}
	}
}

// keepOf keeps what a connection of a node that is gone has left: nobody knows where it
// stood, but when the node was heard last.
func (h *Hub) keepOf(ctx context.Context, o presence.Conn) {
	if who := ownerOf(o); who != "" && h.Absences != nil {
		ctx, stop := context.WithTimeout(ctx, keeping)
		defer stop()
		if l := leftOf(o, h.Now().Add(-h.nodeTimeout)); len(l.Groups) > 0 {
			h.Absences.Keep(ctx, who, l)
			h.late(ctx, who)
		}
	}
}

// ownerOf is owner for a connection of another node.
func ownerOf(o presence.Conn) string {
	if s, ok := parseSeat(o); ok && s.Device != nil {
		return deviceName(*s.Device)
	}
	if o.User != "" {
		return userName(o.User)
	}
	return ""
}

func leftOf(o presence.Conn, at time.Time) absence.Left {
	l := absence.Left{Conn: o.ID, At: at, Groups: map[string]*signalr.Position{}}
	for _, group := range o.Groups {
		if returns(group) {
			l.Groups[group] = nil
		}
	}
	return l
}
