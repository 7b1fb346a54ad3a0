package api

import (
	"net/http"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
)

var orderRoutes = []route{
	{http.MethodGet, "/orders", (*API).listOrders},
	{http.MethodPost, "/orders", (*API).createOrder},
	{http.MethodGet, "/orders/{order}", (*API).getOrder},
	{http.MethodDelete, "/orders/{order}", (*API).cancelOrder},
}

func (a *API) listOrders(c *call) (answer, error) {
	q := c.query()
	f := order.Filter{
		Area: area.Name(q.id("area")), State: area.OrderState(q.text("state")), From: q.instant("from"), To: q.instant("to"),
		After: q.text("after"), Limit: q.number("limit", 1, maxLimit, defaultLimit),
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
	o, replayed, err := a.Orders.AcceptOnce(c.Context(), r, order.By{Who: c.who, IdempotencyKey: key})
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusAccepted, replayed: replayed, location: "/orders/" + string(o.ID),
		body: area.Accepted{ID: o.ID, State: o.State, EstimatedStart: o.EstimatedStart, After: o.After},
	}, nil
}

func (a *API) dryRun(c *call, r area.OrderRequest) (answer, error) {
	o, err := a.Orders.DryRun(c.Context(), r)
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
	o, err := a.Orders.Get(area.WorkID(c.PathValue("order")))
	if err != nil {
		return answer{}, err
	}
	return ok(o)
}

func (a *API) cancelOrder(c *call) (answer, error) {
	o, err := a.Orders.Cancel(c.Context(), area.WorkID(c.PathValue("order")))
	if err != nil {
		return answer{}, err
	}
	return ok(o)
}
