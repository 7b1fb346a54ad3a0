package api

import (
	"net/http"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

var orderRoutes = []route{
	{http.MethodGet, "/orders", auth.Read, (*API).listOrders},
	{http.MethodPost, "/orders", auth.Announce, (*API).createOrder},
	{http.MethodGet, "/orders/{order}", auth.Read, (*API).getOrder},
	{http.MethodDelete, "/orders/{order}", auth.Announce, (*API).cancelOrder},
}

func (a *API) listOrders(c *call) (answer, error) {
	q := c.query()
	f := order.Filter{
		Area: area.Name(q.id("area")), State: area.OrderState(q.text("state")), From: q.instant("from"), To: q.instant("to"),
		After: q.text("after"), Limit: q.number("limit", 1, maxLimit, defaultLimit), Areas: c.areas(),
	}
	if err := q.err(); err != nil {
		return answer{}, err
	}
	items, next, err := a.Orders.List(f)
	if err != nil {
		return answer{}, err
	}
	out := list[area.Order]{Items: items}
	if next != "" {
		out.Next = &next
	}
	if items == nil {
		out.Items = []area.Order{}
	}
	return ok(out)
}

// dryRun is what a dry run answers: id is null unless the request has one.
type dryRun struct {
	ID             *area.WorkID    `json:"id"`
	State          area.OrderState `json:"state"`
	EstimatedStart *area.Time      `json:"estimated_start"`
	After          *area.WorkID    `json:"after"`
	DurationMs     int64           `json:"duration_ms"`
	Clip           *string         `json:"clip"`
}

func (a *API) createOrder(c *call) (answer, error) {
	q := c.query()
	dry := q.flag("dry_run", false)
	if err := q.err(); err != nil {
		return answer{}, err
	}
	b, err := c.body()
	if err != nil {
		return answer{}, err
	}
	r, err := order.Decode(b)
	if err != nil {
		return answer{}, err
	}
	if dry {
		return a.dryRun(c, r)
	}
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	o, replayed, err := a.Orders.AcceptOnce(c.Context(), r, order.By{Who: c.caller(), IdempotencyKey: key, May: c.mayAnnounce(r)})
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusAccepted, replayed: replayed, location: "/orders/" + string(o.ID),
		body: o.Accepted(),
	}, nil
}

func (a *API) dryRun(c *call, r area.OrderRequest) (answer, error) {
	o, err := a.Orders.DryRun(c.Context(), r, order.By{Who: c.caller(), May: c.mayAnnounce(r)})
	if err != nil {
		return answer{}, err
	}
	out := dryRun{State: o.State, EstimatedStart: o.EstimatedStart, After: o.After, DurationMs: o.DurationMs, Clip: o.Clip}
	if o.ID != "" {
		out.ID = &o.ID
	}
	return ok(out)
}

func (a *API) getOrder(c *call) (answer, error) {
	o, err := a.order(c, auth.Read)
	if err != nil {
		return answer{}, err
	}
	return ok(o)
}

// order is the order that the path names, for a caller who may do something in
// its area.
func (a *API) order(c *call, do auth.Action) (area.Order, error) {
	id := area.WorkID(c.PathValue("order"))
	o, err := a.Orders.Find(c.Context(), id)
	if err == nil && c.foreign() {
		err = area.Errorf(area.CodeNotFound, "no order %s", id)
	}
	if err == nil {
		err = c.may(do, o.Area)
	}
	return o, err
}

// mayAnnounce refuses an order for an area in which the caller may not announce.
// For another tenant there is no such target.
func (c *call) mayAnnounce(r area.OrderRequest) func(area.Name) error {
	return func(in area.Name) error {
		if !c.foreign() {
			return c.may(auth.Announce, in)
		}
		code, field := area.CodeUnknownArea, "to.area"
		switch {
		case r.To.Location != nil:
			code, field = area.CodeUnknownLocation, "to.location"
		case r.To.Device != nil:
			code, field = area.CodeUnknownDevice, "to.device"
		}
		e := area.Errorf(code, "no such target")
		e.Fields = []area.FieldError{{Field: field, Message: e.Detail}}
		return e
	}
}

func (a *API) cancelOrder(c *call) (answer, error) {
	o, err := a.order(c, auth.Announce)
	if err != nil {
		return answer{}, err
	}
	o, err = a.Orders.Cancel(c.Context(), o.ID)
	if err != nil {
		return answer{}, err
	}
	return ok(o)
}
