package order

import (
	"context"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// Record is what is kept of an order: the order as everybody sees it, and what
// it takes to hand it to the dispatcher again.
type Record struct {
	Order    area.Order
	Location area.LocationID // empty: any device of the area
	Device   area.DeviceID   // not empty: that device alone
	Node     string          // whose it is, where there are several nodes; empty: ours
}

// Filter chooses orders. A zero field does not filter.
type Filter struct {
	Area  area.Name
	State area.OrderState
	From  area.Time   // orders that had no end before it
	To    area.Time   // orders that were created before it
	After string      // opaque: what List answered as next
	Limit int         // 1 to 1000; 0: 100
	Areas []area.Name // those of them that are in one of these; nil: all
}

// Store keeps orders. Its methods are safe for concurrent use.
type Store interface {
	// Put keeps records, new or changed. A new one, and one with its end, is
	// durable when Put returns; a change in between may be later.
	Put(ctx context.Context, records ...Record) error
	// Drop forgets an order that was refused after all.
	Drop(ctx context.Context, id area.WorkID) error
	// Get answers false for an order that is not kept.
	Get(id area.WorkID) (Record, bool)
	// List answers the newest first, and where to go on; next is empty at the
	// end. Its error is an [area.Error] of code invalid for an After that it
	// never gave out.
	List(f Filter) (items []area.Order, next string, err error)
	// Live answers the orders without an end, the oldest first.
	Live() []Record
}

func (f Filter) limit() int {
	if f.Limit <= 0 {
		return 100
	}
	return min(f.Limit, 1000)
}

func (f Filter) match(o *area.Order) bool {
	switch {
	case f.Area != "" && o.Area != f.Area || f.Areas != nil && !slices.Contains(f.Areas, o.Area):
	case f.State != "" && o.State != f.State:
	case !f.To.IsZero() && !o.CreatedAt.Before(f.To.Time):
	case !f.From.IsZero() && o.EndedAt != nil && o.EndedAt.Before(f.From.Time):
	default:
		return true
	}
	return false
}
