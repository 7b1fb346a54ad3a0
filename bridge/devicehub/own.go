package devicehub

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// enterOwn makes a connection a member of its user's group. A user who was nowhere is first
// sent what he has missed since he left; where some of that is gone he is told so, as the
// members of a group are. A further connection of one who is there begins with what comes.
func (h *Hub) enterOwn(c *signalr.Conn, in string) {
	who := userName(c.User())
	from, left := signalr.Position{}, false
	if c.User() != "" && !h.there(c) {
		from, left = h.leftAt(c, who, in)
	}
	if !left {
		_, _ = c.Join(in) // an error means that the connection is ending
		return
	}
	at, gap, err := c.JoinSince(in, from)
	if err != nil { // the log does not answer
		at, _ = c.Join(in)
		gap = true
	}
	if gap {
		h.tellGap(c, in, at)
	}
	if at.Epoch != "" {
		h.marks.Set(who, in, at)
	}
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

// there tells whether a user has another connection, at any node.
func (h *Hub) there(c *signalr.Conn) bool {
	if slices.ContainsFunc(h.Server.User(c.User()).Conns(), func(o *signalr.Conn) bool { return o != c }) {
		return true
	}
	if h.Others == nil {
		return false
	}
	silent := map[string]bool{}
	for _, o := range h.Others.Others(func(o presence.Conn) bool { return o.User == c.User() }) {
		if silent[o.Node] {
			continue
		}
		err := h.has(c.Context(), o.ID)
		if err == nil {
			return true
		}
		silent[o.Node] = !errors.Is(err, signalr.ErrClosed)
	}
	return false
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
