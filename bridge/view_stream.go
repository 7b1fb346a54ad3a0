package bridge

import (
	"context"
	"errors"

	"github.com/tacet-hub/tacet/broker/area"
)

// errBehind ends a stream of orders that is read too slowly to have each order's
// end.
var errBehind = area.Errorf(area.CodeRate, "more than %d orders changed that were not read", viewKeys)

// StreamOrders sends the orders that open lists, and then each order that fits when
// it changes, at most 1,000 a second: of one that changes faster the newest, whose
// history has the rest. It goes on until ctx ends, whose error it answers, or send
// fails. Its other errors are open's and, of code rate, that 1,000 streams are open,
// or that more than 10,000 orders changed while nothing was read: no end of an order
// is left out in silence.
func (v *View) StreamOrders(ctx context.Context, fits func(area.Order) bool, open func() ([]area.Order, error), send func(area.Order) error) error {
	defer v.streams.Add(-1)
	if v.streams.Add(1) > viewsMost {
		return area.Errorf(area.CodeRate, "%d streams are open, which is as many as there may be", viewsMost)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	changes := newView(viewMost, &v.ordersOut, fits, func(o area.Order) string { return string(o.ID) })
	changes.over = func() { fail(errBehind) }
	defer v.Orders.Watch(changes.offer)()
	now, err := open()
	if err != nil {
		return err
	}
	steps := make(map[area.WorkID]int, len(now)) // that were sent: what waits may be older than the list
	for _, o := range now {
		if !fits(o) {
			continue
		}
		steps[o.ID] = len(o.History)
		if err := send(o); err != nil {
			return err
		}
	}
	err = changes.run(ctx, func(o area.Order) error {
		sent, listed := steps[o.ID]
		if delete(steps, o.ID); listed && len(o.History) < sent {
			return nil
		}
		return send(o)
	})
	if errors.Is(context.Cause(ctx), errBehind) {
		return errBehind
	}
	return err
}
