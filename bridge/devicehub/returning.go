package devicehub

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/absence"
	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
)

// cameBack has the connection of a device that has just registered be found as such, and
// take over what one of the device has left.
func (h *Hub) cameBack(ctx context.Context, c *signalr.Conn, d area.DeviceID) {
	c.SetAttribute(deviceTag, string(d))
	if h.Absences == nil {
		return
	}
	text := []byte(`"device":"` + string(d) + `"`) // an id has no other form in JSON
	_, dead := h.elsewhereOf(ctx, func(o presence.Conn) bool { return bytes.Contains(o.About, text) && ownerOf(o) == deviceName(d) })
	h.takeOver(ctx, c, deviceName(d), h.Now().Add(rejoinAfter), dead)
}

// late has one who has come back take over what was found to be left only then.
func (h *Hub) late(ctx context.Context, who string) {
	kind, name, _ := strings.Cut(who, "/")
	t := h.Server.Attribute(deviceTag, name)
	if kind == "user" {
		t = h.Server.User(name)
	}
	list := t.Conns()
	slices.SortFunc(list, func(a, b *signalr.Conn) int { return a.Since().Compare(b.Since()) })
	for _, c := range list {
		if h.takeOver(ctx, c, who, c.Since().Add(rejoinAfter), nil) {
			return
		}
	}
}

// heir is the key under which a connection keeps that it has taken something over.
type heir struct{ of string }

// regained is the key under which a connection keeps the groups that it has taken over.
type regained struct{}

// gainings are groups that a connection has taken over.
type gainings struct {
	mu  sync.Mutex
	all map[string]gained
}

// gained is from where on the events of a group were sent then, and whether some were
// missing.
type gained struct {
	from signalr.Position
	gap  bool
}

func (g *gainings) set(group string, t gained) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all[group] = t
}

func (g *gainings) drop(group string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.all, group)
}

func (g *gainings) of(group string) (t gained, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok = g.all[group]
	return t, ok
}

// covers tells whether all behind a position was sent.
func (t gained) covers(at signalr.Position) bool {
	return !t.gap && t.from.Epoch == at.Epoch && t.from.Offset <= at.Offset
}

// take takes what is left of somebody for a connection that has taken nothing yet.
func (h *Hub) take(ctx context.Context, c *signalr.Conn, who string, dead []presence.Conn) (absence.Left, bool) {
	if h.Absences == nil {
		return absence.Left{}, false
	}
	h.heirs.Lock()
	was := c.Get(heir{who}) != nil
	if !was {
		c.Set(heir{who}, true)
	}
	h.heirs.Unlock()
	if was {
		return absence.Left{}, false
	}
	ctx, stop := context.WithTimeout(ctx, keeping)
	defer stop()
	var more []absence.Left
	for _, o := range dead {
		more = append(more, leftOf(o, h.Now().Add(-max(longSilent, h.nodeTimeout))))
	}
	l, ok := h.Absences.Take(ctx, who, func(l absence.Left) bool {
		return l.Conn != c.ID() && l.At.Before(c.Since()) && !h.lives(ctx, l.Conn)
	}, more...)
	if !ok {
		c.Set(heir{who}, nil)
	}
	return l, ok
}

// lives tells whether a connection that was taken for lost is there after all.
func (h *Hub) lives(ctx context.Context, id string) bool {
	if h.Server.Conn(id) != nil {
		return true
	}
	listed := h.Others != nil && len(h.Others.Others(func(o presence.Conn) bool { return o.ID == id })) > 0
	return listed && h.has(ctx, id) == nil
}

// takeOver has a connection take over what one of somebody has left, if there is something
// and it has taken nothing yet, then or a little later.
func (h *Hub) takeOver(ctx context.Context, c *signalr.Conn, who string, at time.Time, dead []presence.Conn) bool {
	l, ok := h.take(ctx, c, who, dead)
	if ok {
		h.regainAt(c, who, l, at)
	}
	return ok
}

// rejoinAfter is for how long it is left to a client that has come back to join its groups
// itself: it may know better than the hub what it has heard.
const rejoinAfter = 2 * time.Second

// returner is a connection that has taken over what one of somebody has left, and is to be
// in its groups then.
type returner struct {
	c   *signalr.Conn
	who string
	at  time.Time
}

// pending is the key under which a connection keeps what it has taken over and is not in
// the groups of yet.
type pending struct{ of string }

// regainAt has a connection be in the groups that another one has left, at that time; at
// once where too many wait.
func (h *Hub) regainAt(c *signalr.Conn, who string, l absence.Left, at time.Time) {
	c.Set(pending{who}, l)
	select {
	case h.returners <- returner{c, who, at}:
	default:
		h.regain(c, who)
	}
}

// forgo has a connection not be in a group any more that it was to be in soon.
func (h *Hub) forgo(c *signalr.Conn, group string) {
	for _, who := range h.selves(c) {
		if l, ok := c.Get(pending{who}).(absence.Left); ok {
			l.Groups = maps.Clone(l.Groups)
			delete(l.Groups, group)
			c.Set(pending{who}, l)
		}
	}
}

// regainers is how many connections are brought into their groups at a time.
const regainers = 4

// bringBack does what [Hub.regainAt] asks for, until ctx ends. Who comes last waits no
// shorter than who came before.
func (h *Hub) bringBack(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-h.returners:
			wait := time.NewTimer(r.at.Sub(h.Now()))
			select {
			case <-wait.C:
				h.regain(r.c, r.who)
			case <-r.c.Context().Done(): // it leaves that itself
			case <-ctx.Done():
			}
			wait.Stop()
		}
	}
}

// stoodBefore is where the one stood in a group of whose groups a connection is to be a
// member soon; false where there is none.
func (h *Hub) stoodBefore(c *signalr.Conn, who, group string) (signalr.Position, bool) {
	l, ok := c.Get(pending{who}).(absence.Left)
	if ok {
		_, ok = l.Groups[group]
	}
	if !ok {
		return signalr.Position{}, false
	}
	return h.stoodAt(c.Context(), group, l), true
}

// regain makes a connection a member of the groups that another one has left, behind the
// events that it has missed. Those that its client has joined by itself, or left, stay as
// they are.
func (h *Hub) regain(c *signalr.Conn, who string) {
	l, _ := c.Get(pending{who}).(absence.Left)
	defer c.Set(pending{who}, nil)
	p, own := h.Who(c), h.ownRoom(c)
	groups := slices.Sorted(maps.Keys(l.Groups))
	defer h.Server.Listen(c.Context(), groups...)()
	for _, group := range groups {
		if group == own {
			h.regainOwn(c, own, l.Groups[group])
			continue
		}
		if g, err := h.MayJoin(p, nameIn(group)); err != nil || room(p, g) != group {
			continue
		}
		if err := h.regainOne(c, who, group); errors.Is(err, signalr.ErrClosed) || errors.Is(err, signalr.ErrGroups) {
			return
		}
	}
}

// regainOne makes a connection a member of one such group. Its error is that the
// connection has ended, or is in too many groups.
func (h *Hub) regainOne(c *signalr.Conn, who, group string) error {
	done, err := h.joinings.take(c.Context(), c, group)
	if err != nil {
		return signalr.ErrClosed
	}
	defer done()
	l, _ := c.Get(pending{who}).(absence.Left)
	if _, is := l.Groups[group]; !is || slices.Contains(c.Groups(), group) {
		return nil
	}
	from := h.stoodAt(c.Context(), group, l)
	at, gap, err := c.JoinSince(group, from)
	if errors.Is(err, signalr.ErrClosed) || errors.Is(err, signalr.ErrGroups) {
		return err
	}
	if err != nil {
		at, _ = c.Join(group)
		gap = true
	}
	if h.regainedBy(c).set(group, gained{from, gap}); gap {
		h.tellGap(c, group, at)
	}
	return nil
}

// regainOwn sends a connection what its user's group had between where the lost one stood
// and where it has joined, or from where on it was sent all when it did.
func (h *Hub) regainOwn(c *signalr.Conn, own string, from *signalr.Position) {
	if from == nil {
		return
	}
	to, _ := c.Get(joinedOwn{}).(signalr.Position)
	if to.Epoch == "" {
		to, _ = h.Server.Began(own)
	}
	if was, ok := h.regainedBy(c).of(own); ok && !was.gap && was.from.Epoch == from.Epoch {
		if was.covers(*from) {
			return
		}
		to = was.from
	}
	if c.Replay(own, *from, to) {
		h.tellGap(c, own, to)
	}
}

// stoodAt is where a lost connection stood in a group; the zero position, which is a gap,
// where that is not known.
func (h *Hub) stoodAt(ctx context.Context, group string, l absence.Left) signalr.Position {
	if at := l.Groups[group]; at != nil {
		return *at
	}
	if h.Log == nil {
		return signalr.Position{}
	}
	at, _ := h.Log.Before(ctx, group, l.At.Add(-onItsWay))
	return at
}

// regainedBy has the groups that a connection has taken over.
func (h *Hub) regainedBy(c *signalr.Conn) *gainings {
	h.heirs.Lock()
	defer h.heirs.Unlock()
	g, ok := c.Get(regained{}).(*gainings)
	if !ok {
		g = &gainings{all: map[string]gained{}}
		c.Set(regained{}, g)
	}
	return g
}

// regained tells whether a client that wants to go on from somewhere does so already, and
// whether something was missing then: all that has come since was sent when it took the
// group over.
func (h *Hub) regained(c *signalr.Conn, group string, from signalr.Position, resumes bool) (gap, ok bool) {
	g, ok := c.Get(regained{}).(*gainings)
	if !ok {
		return false, false
	}
	t, ok := g.of(group)
	return t.gap, ok && (resumes || t.covers(from))
}
