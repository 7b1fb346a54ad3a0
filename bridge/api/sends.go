package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var sendRoutes = []route{
	{http.MethodPost, "/groups/{group}/send", auth.Announce, (*API).send},
	{http.MethodPost, "/groups/{group}/invoke", auth.Announce, (*API).invoke},
	{http.MethodPost, "/users/{user}/send", auth.Operate, (*API).send},
	{http.MethodPost, "/users/{user}/invoke", auth.Operate, (*API).invoke},
	{http.MethodPost, "/connections/{connection}/send", auth.Operate, (*API).send},
	{http.MethodPost, "/connections/{connection}/invoke", auth.Operate, (*API).invoke},
	{http.MethodPost, "/tenants/{tenant}/send", auth.Admin, (*API).send},
}

// Bounds of what is sent and asked.
const (
	maxEvent = 128 // bytes of the name of an event or a method
	maxWhom  = 256 // bytes of the name of a user, a tenant or a connection

	answerTime    = 5 * time.Second // for the answers of clients, unless the request says
	mostAnswer    = time.Minute
	minAnswerTime = 10 * time.Millisecond
)

// receiver is whom the path names; what can be no name names nobody.
func (c *call) receiver() (to Receiver, err error) {
	if c.PathValue("group") != "" {
		g, err := c.group()
		return Receiver{Group: string(g)}, err
	}
	to = Receiver{User: c.PathValue("user"), Connection: c.PathValue("connection"), Tenant: c.PathValue("tenant")}
	if name := to.User + to.Connection + to.Tenant; name == "" || len(name) > maxWhom || !utf8.ValidString(name) {
		return to, area.Errorf(area.CodeNotFound, "nobody is called %.80q", name)
	}
	return to, nil
}

// event is what is sent: an event with its arguments, or a method of the clients.
type event struct {
	Event *string           `json:"event"`
	Args  []json.RawMessage `json:"args"`
}

// said is to whom something is said, and what.
func (c *call) said() (to Receiver, e event, err error) {
	if to, err = c.receiver(); err == nil {
		e, err = c.event()
	}
	return to, e, err
}

func (c *call) event() (e event, err error) {
	if err := c.decode(&e); err != nil {
		return e, err
	}
	if e.Event == nil || *e.Event == "" || len(*e.Event) > maxEvent {
		return e, area.InvalidField("event", "the name of an event of 1 to %d bytes is needed", maxEvent)
	}
	return e, nil
}

// sent is the answer to a send.
type sent struct {
	Connections int `json:"connections"`
}

func (a *API) send(c *call) (answer, error) {
	to, e, err := c.said()
	if err != nil {
		return answer{}, err
	}
	n, err := a.Groups.Send(c.Context(), c.who, to, *e.Event, e.Args)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: sent{Connections: n}}, nil
}

// replies is the answer to a question to all.
type replies struct {
	Results []Reply `json:"results"`
}

func (a *API) invoke(c *call) (answer, error) {
	q := c.query()
	mode, patience := q.text("mode"), q.duration("timeout", minAnswerTime, mostAnswer, answerTime)
	if mode != "" && mode != "all" && mode != "one" {
		q.fault("mode", "neither all nor one")
	}
	if err := q.err(); err != nil {
		return answer{}, err
	}
	to, e, err := c.said()
	if err != nil {
		return answer{}, err
	}
	ctx, stop := context.WithTimeout(c.Context(), patience)
	defer stop()
	if mode == "one" {
		r, err := a.Groups.InvokeOne(ctx, c.who, to, *e.Event, e.Args)
		if err != nil {
			return answer{}, err
		}
		return ok(r)
	}
	list, err := a.Groups.InvokeAll(ctx, c.who, to, *e.Event, e.Args)
	if err != nil {
		return answer{}, err
	}
	return ok(replies{Results: list})
}
