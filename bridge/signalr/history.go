package signalr

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// Past is an event that a group has had.
type Past struct {
	// At is the event's own place: the first of an epoch has the offset 1.
	At Position
	// Event is its name.
	Event string
	// Args are its arguments, a JSON array. They must not be changed.
	Args []byte
}

// History keeps events of groups, so that a client that comes back is sent what
// it has missed. Its methods are called by many goroutines and must not block
// for long; they must not call the server.
type History interface {
	// Wants tells whether an event of a group is to be kept.
	Wants(group, event string) bool
	// Keep keeps an event. It is called in the order of the offsets of a group,
	// while the group's next event waits. Offsets that are left out belong to
	// events that are not wanted.
	Keep(group string, p Past)
	// Since lists what is kept of a group behind a position and up to another of
	// the same epoch, oldest first. gap says that wanted events are missing.
	Since(group string, from, to Position) (list []Past, gap bool)
}

// remember encodes an event for the history, where that wants it. The server's
// own locks must not be held: encoding calls the program's methods.
func (s *Server) remember(g *group, e *event) (keep bool) {
	h := s.cfg.History
	if h == nil || g.name == "" || !h.Wants(g.name, e.m.Target) {
		return false
	}
	if e.kept == nil {
		if err := e.prepare(1 << dialect(protocol.JSON)); err != nil {
			s.log.Error("event cannot be kept", "group", g.name, "err", err)
			return false
		}
		e.kept = e.arguments()
	}
	return e.kept != nil
}

// arguments is where the event's arguments stand in its JSON frame: what is sent
// and what is kept are the same bytes. The mark cannot stand in the event's name,
// in which a quote has a backslash before it. nil where the event has no JSON.
func (e *event) arguments() []byte {
	f := e.frames[dialect(protocol.JSON)]
	if f == nil {
		return nil
	}
	const mark, end = `,"arguments":`, 2 // behind them: a bracket and the separator
	if i := bytes.Index(f.b, []byte(mark)); i >= 0 {
		return f.b[i+len(mark) : len(f.b)-end : len(f.b)-end]
	}
	return nil
}

// JoinSince is [Conn.Join] for a client that was a member before: the events
// behind from are sent to it first, and then it sees every one that follows, none
// twice and none left out. gap says that some are missing: from is of another
// epoch, or what followed it is kept no more, or is more than half of what may
// wait for a connection; of that the newest are sent. Without [Config.History]
// nothing is kept. It returns the position up to which everything was sent. In a group
// that a [Log] numbers from may be a position of any node; it then blocks until the log
// has answered.
func (c *Conn) JoinSince(name string, from Position) (at Position, gap bool, err error) {
	if err := c.permitGroup(name); err != nil {
		return Position{}, false, err
	}
	if c.s.numbers(name) {
		return c.joinSinceNumbered(name, from)
	}
	r := c.s.rooms
	g := r.find(name)
	if g == nil { // nobody was ever there, or that is forgotten
		at, err = c.Join(name)
		return at, true, err
	}
	g.order.Lock()
	defer g.order.Unlock()
	if at, err = r.join(name, c); err != nil {
		return at, false, err
	}
	r.choose(name, c, nil)
	if at.Epoch != from.Epoch || from.Offset > at.Offset {
		return at, true, nil // also where the group was forgotten since it was found
	}
	return at, c.catchUp(name, from, at), nil
}

// Replay sends what a group had behind from and up to to, where a member joined it that
// should have heard that before: it comes late, behind what the group has had since. gap
// says that some of it is missing. In a group that a [Log] numbers it blocks until the log
// has answered, else it needs [Config.History].
func (c *Conn) Replay(name string, from, to Position) (gap bool) {
	if from == to {
		return false
	}
	if from.Epoch != to.Epoch || from.Offset > to.Offset {
		return true
	}
	var list []Past
	switch h := c.s.cfg.History; {
	case c.s.numbers(name):
		var err error
		if list, gap, err = c.s.pastOf(c.ctx, name, from); err != nil {
			return true
		}
		list = slices.DeleteFunc(list, func(p Past) bool { return p.At.Epoch != to.Epoch || p.At.Offset > to.Offset })
	case h != nil:
		list, gap = h.Since(name, from, to)
	default:
		return true
	}
	return !c.resend(name, list) || gap
}

// catchUp sends what a group had between two positions. The group's order is
// held; the arguments are JSON already, so that no method of the program is
// called. before is what lies in front of from, where that is known already.
func (c *Conn) catchUp(name string, from, to Position, before ...Past) (gap bool) {
	list := before
	if h := c.s.cfg.History; h != nil {
		var rest []Past
		rest, gap = h.Since(name, from, to)
		list = append(list, rest...)
	} else {
		gap = from != to
	}
	return !c.resend(name, list) || gap
}

// resend sends events of the past, the newest of them where not all fit into half of what
// may wait for a connection; it then answers false.
func (c *Conn) resend(name string, list []Past) (all bool) {
	room := c.s.cfg.OutboxBytes/2 - c.line.Load().out.load()
	frames := make([]*frame, len(list))
	first := len(list)
	for ; first > 0; first-- {
		f, err := c.pastFrame(list[first-1])
		if err != nil {
			c.s.log.Error("event of the past cannot be encoded", "group", name, "err", err)
			break
		}
		if room -= f.size(); room < 0 {
			break
		}
		frames[first-1] = f
	}
	if first < len(list) {
		_ = c.post(false, frames[first:]...) // an error means that the connection is ending
		c.s.count.replayed.Add(uint64(len(list) - first))
	}
	return first == 0
}

func (c *Conn) pastFrame(p Past) (*frame, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(p.Args, &raw); err != nil {
		return nil, err
	}
	args := make([]any, len(raw))
	for i := range raw {
		args[i] = raw[i]
	}
	return c.eventFrame(p.Event, args)
}

// LeftAt returns where a connection that has ended stood in a group that it was
// a member of to its end; false when it was not.
func (c *Conn) LeftAt(group string) (Position, bool) {
	r := c.s.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := c.rooms[groupKey(group)]; m != nil && c.left {
		return m.left, true
	}
	return Position{}, false
}

// Heard returns when bytes came from the client last.
func (c *Conn) Heard() time.Time { return c.s.start.Add(time.Duration(c.heard.Load())) }
