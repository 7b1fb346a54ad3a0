package devicehub

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// joinedOwn is the key under which a connection keeps where it joined its user's group.
type joinedOwn struct{}

// enterOwn makes a connection a member of its user's group. A user who was nowhere is first
// sent what he has missed since he left; where some of that is gone he is told so, as the
// members of a group are. A further connection of one who is there begins with what comes.
// Where another one was lost this one also takes over the groups of that.
func (h *Hub) enterOwn(c *signalr.Conn, in string) {
	if c.User() == "" {
		_, _ = c.Join(in) // an error means that the connection is ending
		return
	}
	who := userName(c.User())
	there, dead := h.alsoThere(c)
	l, heir := h.take(c.Context(), c, who, dead)
	from, left := signalr.Position{}, false
	switch at := l.Groups[in]; {
	case at != nil:
		from, left = *at, true
	case !there:
		from, left = h.leftAt(c, who, in)
	}
	at := h.joinOwn(c, in, from, left)
	if c.Set(joinedOwn{}, at); at.Epoch != "" {
		h.marks.Set(who, in, at)
	}
	if heir {
		delete(l.Groups, in)
		h.regainAt(c, who, l, h.Now().Add(rejoinAfter))
	}
}

// joinOwn joins a user's group, behind what he has missed.
func (h *Hub) joinOwn(c *signalr.Conn, in string, from signalr.Position, left bool) (at signalr.Position) {
	if !left {
		at, _ = c.Join(in) // an error means that the connection is ending
		return at
	}
	at, gap, err := c.JoinSince(in, from)
	if err != nil { // the log does not answer
		at, _ = c.Join(in)
		gap = true
	}
	if h.regainedBy(c).set(in, gained{from, gap}); gap {
		h.tellGap(c, in, at)
	}
	return at
}

// userName is under which name it is remembered where a user left groups.
func userName(user string) string { return "user/" + user } // unique over tenants

// tellGap tells a client that did not ask that it has missed something of a group.
func (h *Hub) tellGap(c *signalr.Conn, group string, at signalr.Position) {
	event, args := Repositioned(group, at, true)
	_ = c.Send(event, args...) // an error means that the connection is ending
}

// isThere is how long a node may take to say whether a connection is there. One that does
// not say it is taken for dead, long before all are sure of that.
const isThere = time.Second

// alsoThere tells whether a user has another connection, at any node, and lists those that
// he had at nodes that do not answer.
func (h *Hub) alsoThere(c *signalr.Conn) (there bool, dead []presence.Conn) {
	there, dead = h.elsewhereOf(c.Context(), func(o presence.Conn) bool { return o.User == c.User() })
	return there || slices.ContainsFunc(h.Server.User(c.User()).Conns(), func(o *signalr.Conn) bool { return o != c }), dead
}

// elsewhereOf tells whether one of the connections of other nodes that fit is there, and
// lists those of nodes that do not answer.
func (h *Hub) elsewhereOf(ctx context.Context, fits func(presence.Conn) bool) (there bool, dead []presence.Conn) {
	if h.Others == nil {
		return false, nil
	}
	answers := map[string]bool{} // by node
	for _, o := range h.Others.Others(fits) {
		alive, asked := answers[o.Node]
		if !asked || alive && !there {
			err := h.has(ctx, o.ID)
			alive = err == nil || errors.Is(err, signalr.ErrClosed)
			answers[o.Node], there = alive, there || err == nil
		}
		if !alive {
			dead = append(dead, o)
		}
	}
	return there, dead
}

// has answers nil where a connection of another node is there.
func (h *Hub) has(ctx context.Context, id string) error {
	ctx, stop := context.WithTimeout(ctx, isThere)
	defer stop()
	return h.Server.HasConn(ctx, id)
}

// trail has it remembered where the users who are here stand in their own groups, now and
// then, until ctx ends: whose node is killed has left no mark. What was sent to him just
// before may not have arrived, so he is marked where he stood the time before.
func (h *Hub) trail(ctx context.Context) {
	tick := time.NewTicker(onItsWay)
	defer tick.Stop()
	var before, marked map[string]signalr.Position
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := map[string]signalr.Position{}
		for _, c := range h.Server.Conns() {
			user := c.User()
			if _, known := now[user]; known || user == "" {
				continue
			}
			in := room(h.Who(c), userGroup(h.Who(c).Name))
			at, ok := h.Server.Position(in)
			if !ok || at.Epoch == "" {
				continue
			}
			now[user] = at
			if was, ok := before[user]; ok && was != marked[user] {
				h.marks.Set(userName(user), in, was)
			}
		}
		before, marked = now, before
	}
}
