package devicehub

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Receiver is whom an event or a question is for. One of its fields is set.
type Receiver struct {
	Group      string
	User       string // of the sender's tenant
	Connection string // its id
	Tenant     string
}

// receivers is the connections that a [Receiver] stands for.
type receivers struct {
	signalr.Target
	group area.Group               // with whose topic they share what is sent; empty: none
	here  []*signalr.Conn          // those of this node
	fits  func(presence.Conn) bool // those of others
}

// receivers finds whom somebody means, who must have the right to send there. Its error
// is an [area.Error] of code invalid, unknown_area, not_found or forbidden.
func (h *Hub) receivers(p auth.Principal, to Receiver) (r receivers, err error) {
	switch {
	case to.Connection != "":
		return h.alone(to.Connection), h.runs(p, to.Connection)
	case to.User != "":
		return h.inRoom(p, userGroup(to.User)), p.May(auth.Operate, "")
	case to.Tenant == "":
		g, err := h.MaySend(p, to.Group)
		return h.inRoom(p, g), err
	case to.Tenant != p.Tenant:
		return r, area.Errorf(area.CodeNotFound, "no tenant %.80q", to.Tenant)
	}
	if p.Kind == auth.KindAnonymous { // in open mode nobody is of any, and all are of one
		return receivers{Target: h.Server.All(), here: h.Server.Conns(), fits: everybody}, nil
	}
	return h.inRoom(p, tenantGroup(to.Tenant)), p.May(auth.Admin, "")
}

func (h *Hub) inRoom(p auth.Principal, g area.Group) receivers {
	in := room(p, g)
	r := receivers{Target: h.Server.Group(in), here: h.Server.Members(in), fits: member(in)}
	if _, err := area.ParseGroup(string(g)); err == nil && !foreign(p) { // topics of other tenants are not mirrored
		r.group = g
	}
	return r
}

func (h *Hub) alone(id string) receivers {
	r := receivers{Target: h.Server.Client(id), fits: func(c presence.Conn) bool { return c.ID == id }}
	if c := h.Server.Conn(id); c != nil {
		r.here = append(r.here, c)
	}
	return r
}

// reached is how many connections there are, at all nodes.
func (h *Hub) reached(r receivers) int {
	if h.Others == nil {
		return len(r.here)
	}
	return len(r.here) + len(h.Others.Others(r.fits))
}

// Send sends an event on somebody's behalf, and answers to how many connections it goes,
// of all nodes. What goes to a user or a group is kept for those who are away. Its error
// is an [area.Error] of code invalid, unknown_area, not_found, forbidden or bad_request.
func (h *Hub) Send(p auth.Principal, to Receiver, event string, args []any) (connections int, err error) {
	r, err := h.receivers(p, to)
	if err != nil {
		return 0, err
	}
	if to.Group != "" {
		if err := maySay(area.Group(to.Group), event); err != nil {
			return 0, err
		}
	}
	payload, err := json.Marshal(args)
	if err != nil {
		return 0, area.Errorf(area.CodeBadRequest, "an argument is no JSON")
	}
	n := h.reached(r)
	r.Target.Send(event, args...)
	if r.group != "" {
		h.Mirror.GroupSent(area.FromHub, r.group, event, payload)
	}
	return n, nil
}

// Reply is what a connection has answered, or why it has not.
type Reply struct {
	ConnectionID *string         `json:"connection_id"` // nil: a whole node, which did not answer
	Result       json.RawMessage `json:"result,omitempty"`
	Error        string          `json:"error,omitempty"` // in place of a result
}

// mostAsked bounds how many connections are asked at once.
const mostAsked = 1000

// asked is receivers for a question.
func (h *Hub) asked(p auth.Principal, to Receiver) (receivers, error) {
	r, err := h.receivers(p, to)
	if err == nil && h.reached(r) > mostAsked {
		err = area.Errorf(area.CodeInvalid, "more than %d connections are there to be asked", mostAsked)
	}
	return r, err
}

// InvokeAll calls a method of each connection on somebody's behalf, and answers what all
// have answered, in the order of their ids, or have not when ctx ends. Its error is as of
// [Hub.Send], and invalid where more than 1,000 are to be asked.
func (h *Hub) InvokeAll(ctx context.Context, p auth.Principal, to Receiver, method string, args []any) ([]Reply, error) {
	r, err := h.asked(p, to)
	if err != nil {
		return nil, err
	}
	list := []Reply{}
	for _, a := range r.Target.InvokeAll(ctx, method, args...) {
		list = append(list, replyOf(a.ID, a.Result, a.Err))
	}
	slices.SortFunc(list, func(a, b Reply) int { return strings.Compare(a.id(), b.id()) })
	return list, nil
}

// InvokeOne is InvokeAll that takes the first answer that is none of a failure. Where
// there is none its error is one of code no_answer.
func (h *Hub) InvokeOne(ctx context.Context, p auth.Principal, to Receiver, method string, args []any) (Reply, error) {
	r, err := h.asked(p, to)
	if err != nil {
		return Reply{}, err
	}
	id, result, err := r.Target.InvokeOne(ctx, method, args...)
	if err != nil {
		return Reply{}, area.Errorf(area.CodeNoAnswer, "%s", unanswered(err))
	}
	return replyOf(id, result, nil), nil
}

func (r Reply) id() string {
	if r.ConnectionID == nil {
		return ""
	}
	return *r.ConnectionID
}

func replyOf(id string, result json.RawMessage, err error) (r Reply) {
	if id != "" {
		r.ConnectionID = &id
	}
	switch {
	case err != nil:
		r.Error = unanswered(err)
	case result == nil:
		r.Result = json.RawMessage("null")
	default:
		r.Result = result
	}
	return r
}

// unanswered says why there is no answer: what a client has said, or what is known.
func unanswered(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "no answer in time"
	case errors.Is(err, signalr.ErrNobody):
		return "nobody is there"
	}
	return err.Error()
}
