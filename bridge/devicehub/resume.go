package devicehub

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
)

// Past knows when the events of groups were. It must not block.
type Past interface {
	// Before answers where a group stood at an instant, false where nothing that is
	// kept came later.
	Before(group, epoch string, t time.Time) (signalr.Position, bool)
}

// Marks remembers where users and devices left groups.
type Marks interface {
	// Set must not block.
	Set(who, group string, at signalr.Position)
	// Get may block for a moment; false where it is not known.
	Get(who, group string) (signalr.Position, bool)
}

// LogPast knows when the events of numbered groups were.
type LogPast interface {
	// Before answers where a group stood at an instant, or the oldest position that is
	// kept; false where that is not known. It may block for a moment.
	Before(ctx context.Context, group string, t time.Time) (signalr.Position, bool)
}

// longSilent is how long a node takes at most to notice that a client of its own is gone:
// who is there and comes back to another node has had what was sent before.
const longSilent = 30 * time.Second

// onItsWay is how long an event may have been on its way to a client that was
// lost: who asks to go on where he was is sent such events again.
const onItsWay = 5 * time.Second

// joined is the answer to JoinGroup: where the group's history stands.
type joined struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
	Gap    bool   `json:"gap"`
}

// EventPosition tells the members of a group that its counting begins anew.
const EventPosition = "PositionChanged"

// position is what EventPosition tells: who counts goes on from here. Gap says that some
// events before may be missing.
type position struct {
	Group string `json:"group"`
	joined
}

// Repositioned is what the members of a group are told when its counting begins anew: a
// signalr.Config's Repositioned.
func Repositioned(group string, at signalr.Position, gap bool) (event string, args []any) {
	if strings.HasPrefix(group, "@") { // of a tenant
		_, group, _ = strings.Cut(group, "/")
	}
	return EventPosition, []any{position{group, joined{Epoch: at.Epoch, Offset: at.Offset, Gap: gap}}}
}

// joinGroup answers the position of the group, with since after what the client
// has missed: since is a position, or "resume", which is where this user or
// device left.
func (h *Hub) joinGroup(ctx context.Context, c *signalr.Call) (any, error) {
	var name string
	var since json.RawMessage
	if err := c.BindOptional(1, &name, &since); err != nil {
		return nil, err
	}
	p := h.caller(c)
	g, err := h.MayJoin(p, name)
	if err != nil {
		return nil, err
	}
	defer h.Server.Listen(ctx, room(p, g))()
	done, err := h.joinings.take(ctx, c.Conn(), room(p, g))
	if err != nil {
		return nil, err
	}
	defer done()
	return h.goOn(c.Conn(), room(p, g), since)
}

// goOn joins a group behind what a client has missed of it.
func (h *Hub) goOn(c *signalr.Conn, group string, since json.RawMessage) (any, error) {
	from, back, err := h.since(c, group, since)
	if err != nil {
		return nil, err
	}
	if gap, ok := h.regained(c, group, from, resumes(since)); back && ok {
		at, err := c.JoinAt(group)
		return joined{Epoch: at.Epoch, Offset: at.Offset, Gap: gap}, err
	}
	if !back {
		at, err := c.JoinAt(group)
		return joined{Epoch: at.Epoch, Offset: at.Offset}, err
	}
	at, gap, err := c.JoinSince(group, from)
	return joined{Epoch: at.Epoch, Offset: at.Offset, Gap: gap}, err
}

// resumes tells whether a client wants to go on where its user or device left.
func resumes(since json.RawMessage) bool { return string(bytes.TrimSpace(since)) == `"resume"` }

// since reads the position that a client wants to go on from; back is false for
// one that comes for the first time. A user or device of whom it is not known
// where he left gets the zero position, which answers a gap.
func (h *Hub) since(c *signalr.Conn, group string, raw json.RawMessage) (from signalr.Position, back bool, err error) {
	text := string(bytes.TrimSpace(raw))
	switch text {
	case "", "null":
		return from, false, nil
	case `"resume"`:
		for _, who := range h.selves(c) {
			if at, ok := h.stoodBefore(c, who, group); ok {
				return at, true, nil
			}
			if at, ok := h.leftAt(c, who, group); ok {
				return at, true, nil
			}
		}
		return from, true, nil
	}
	var at struct {
		Epoch  *string `json:"epoch"`
		Offset *uint64 `json:"offset"`
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&at) != nil || at.Epoch == nil || at.Offset == nil {
		return from, false, area.Errorf(area.CodeBadRequest, "since is neither {\"epoch\",\"offset\"} nor \"resume\"")
	}
	return signalr.Position{Epoch: *at.Epoch, Offset: *at.Offset}, true, nil
}

// leftAt is where somebody left a group, as far as that is known. Whose node was killed,
// or has not noticed that he is gone, has left no mark there: what may have been sent to
// him in vain is sent again.
func (h *Hub) leftAt(c *signalr.Conn, who, group string) (signalr.Position, bool) {
	at, ok := h.marks.Get(who, group)
	if h.Log == nil || !h.elsewhere(c, who, group) {
		return at, ok
	}
	before, known := h.Log.Before(c.Context(), group, h.Now().Add(-max(longSilent, h.nodeTimeout)-onItsWay))
	if known && (!ok || at.Epoch != before.Epoch || at.Offset < before.Offset) {
		return before, true
	}
	return at, ok
}

// elsewhere tells whether somebody is a member of a group at another node.
func (h *Hub) elsewhere(c *signalr.Conn, who, group string) bool {
	if h.Others == nil {
		return false
	}
	kind, name, _ := strings.Cut(who, "/")
	in := member(group)
	for _, s := range h.others(func(x presence.Conn) bool { return x.ID != c.ID() && in(x) && (kind != "user" || x.User == name) }) {
		if kind == "user" || s.Device != nil && string(*s.Device) == name {
			return true
		}
	}
	return false
}

// selves are the names under which it is remembered where a connection left:
// that of its device, and that of its user.
func (h *Hub) selves(c *signalr.Conn) (names []string) {
	if at, ok := c.Get(registered{}).(place); ok {
		names = append(names, deviceName(at.device))
	}
	if u := c.User(); u != "" {
		names = append(names, userName(u))
	}
	return names
}

// mark remembers where a connection left a group.
func (h *Hub) mark(c *signalr.Conn, group string, at signalr.Position) {
	for _, who := range h.selves(c) {
		h.marks.Set(who, group, at)
	}
}

// markAll remembers where a connection that has ended stood in its groups. What
// was sent to one that was lost, after it was heard last, may not have arrived.
func (h *Hub) markAll(c *signalr.Conn, lost bool) {
	if len(h.selves(c)) == 0 {
		return
	}
	for _, group := range c.Groups() {
		if at, ok := h.stood(c, group, lost); ok {
			h.mark(c, group, at)
		}
	}
}

// stood is where a connection that has ended stood in a group; false where that was never
// known, since it ended before the log had said it.
func (h *Hub) stood(c *signalr.Conn, group string, lost bool) (signalr.Position, bool) {
	at, ok := c.LeftAt(group)
	ok = ok && at.Epoch != ""
	if ok && lost && h.Past != nil {
		if before, ok := h.Past.Before(group, at.Epoch, c.Heard().Add(-onItsWay)); ok && before.Offset < at.Offset {
			at = before
		}
	}
	return at, ok
}

func (h *Hub) leaveGroup(ctx context.Context, c *signalr.Call) (any, error) {
	var name string
	if err := c.Bind(&name); err != nil {
		return nil, err
	}
	g, err := area.ParseGroup(name)
	if err != nil {
		return nil, err
	}
	group := room(h.caller(c), g)
	done, err := h.joinings.take(ctx, c.Conn(), group)
	if err != nil {
		return nil, err
	}
	defer done()
	h.forgo(c.Conn(), group)
	if g, ok := c.Conn().Get(regained{}).(*gainings); ok {
		g.drop(group)
	}
	if at, ok := c.Conn().Leave(group); ok {
		h.mark(c.Conn(), group, at)
	}
	return nil, nil
}
