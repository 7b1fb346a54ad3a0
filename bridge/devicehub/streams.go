package devicehub

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// ReadingFilter picks readings; a nil field picks all.
type ReadingFilter struct {
	Area   *area.Name     `json:"area"`
	Device *area.DeviceID `json:"device"`
	Metric *string        `json:"metric"`
}

func (f ReadingFilter) fits(r area.Reading) bool {
	return (f.Area == nil || *f.Area == r.Area) && (f.Device == nil || *f.Device == r.Device) && (f.Metric == nil || *f.Metric == r.Metric)
}

// Streams shows what is there and then what changes, perSecond items a second at
// most (0: 20; to 1,000), until ctx ends or send fails. Of what is faster the
// newest is sent.
type Streams interface {
	StreamTopics(ctx context.Context, filter string, perSecond int, send func(area.TopicValue) error) error
	StreamReadings(ctx context.Context, perSecond int, fits func(area.Reading) bool, send func(area.Reading) error) error
	// StreamOrders shows the orders that have no end, and each that changes, its end
	// among it; a stream that is read too slowly for that ends with an error.
	StreamOrders(ctx context.Context, in *area.Name, fits func(area.Order) bool, send func(area.Order) error) error
}

// streamTopics is StreamTopics(filter, perSecond): it takes who may read every
// area, as the group of topics does. For another tenant there are none.
func (h *Hub) streamTopics(ctx context.Context, c *signalr.Call, out *signalr.Stream[any]) error {
	var filter string
	var perSecond int
	if err := c.BindOptional(1, &filter, &perSecond); err != nil {
		return err
	}
	p := h.caller(c)
	if err := p.May(auth.Read, anyArea); err != nil {
		return err
	}
	if foreign(p) {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.Streams.StreamTopics(ctx, filter, perSecond, func(v area.TopicValue) error { return out.Send(v) })
}

// streamReadings is StreamReadings({"area","device","metric"}, perSecond), of the
// areas that the caller may read.
func (h *Hub) streamReadings(ctx context.Context, c *signalr.Call, out *signalr.Stream[any]) error {
	var raw json.RawMessage
	var perSecond int
	if err := c.BindOptional(0, &raw, &perSecond); err != nil {
		return err
	}
	f, err := readingFilter(raw)
	if err != nil {
		return err
	}
	p := h.caller(c)
	if err := p.May(auth.Read, ""); err != nil {
		return err
	}
	if f.Area != nil && *f.Area != area.Unassigned {
		name, err := h.findArea(p, string(*f.Area), auth.Read)
		if err != nil {
			return err
		}
		f.Area = &name
	}
	fits := func(r area.Reading) bool { return f.fits(r) && sees(p, r.Area) }
	return h.Streams.StreamReadings(ctx, perSecond, fits, func(r area.Reading) error { return out.Send(r) })
}

func readingFilter(raw json.RawMessage) (f ReadingFilter, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return f, nil
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if d.Decode(&f) != nil {
		return f, area.Errorf(area.CodeBadRequest, "the filter is not {\"area\",\"device\",\"metric\"} with texts")
	}
	return f, nil
}

// streamOrders is StreamOrders(area), or of all areas that the caller may read where
// the argument is null or left out.
func (h *Hub) streamOrders(ctx context.Context, c *signalr.Call, out *signalr.Stream[any]) error {
	var text *string
	if err := c.BindOptional(0, &text); err != nil {
		return err
	}
	p := h.caller(c)
	if err := p.May(auth.Read, ""); err != nil {
		return err
	}
	var in *area.Name
	if text != nil {
		name, err := h.findArea(p, *text, auth.Read)
		if err != nil {
			return err
		}
		in = &name
	}
	fits := func(o area.Order) bool { return (in == nil || o.Area == *in) && sees(p, o.Area) }
	return h.Streams.StreamOrders(ctx, in, fits, func(o area.Order) error { return out.Send(o) })
}

// streamAuditLog is StreamAuditLog(tenant, from), for administrators. As yet there is
// no audit log that could be read: who does what stands in the log of the program.
func (h *Hub) streamAuditLog(_ context.Context, c *signalr.Call, _ *signalr.Stream[any]) error {
	var tenant, from json.RawMessage
	if err := c.BindOptional(0, &tenant, &from); err != nil {
		return err
	}
	if err := h.caller(c).May(auth.Admin, ""); err != nil {
		return err
	}
	return area.Errorf(area.CodeNotFound, "this version of the hub keeps no audit log; its own log says who did what")
}

// stream registers a stream whose faults of ours travel as "CODE: detail".
func (h *Hub) stream(name string, f signalr.StreamHandler) {
	h.Server.HandleStream(name, func(ctx context.Context, c *signalr.Call, out *signalr.Stream[any]) error {
		err := f(ctx, c, out)
		if ctx.Err() != nil {
			return err // the client has ended it
		}
		return outward(err)
	})
}
