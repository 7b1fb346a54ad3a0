package host

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/broker/store"
)

// orders are those that were handed in at this device, on disk. It is safe for
// concurrent use.
type orders struct {
	*order.Durable
	table  *store.Table // what the hub knows of them
	log    *slog.Logger
	failed atomic.Uint64

	mu   sync.Mutex
	told map[area.WorkID]string
}

// What the hub knows of an order.
const (
	toldAway = "away" // it may go on with the order: nobody here does
	toldEnd  = "end"
)

func openOrders(s *store.Store, log *slog.Logger) (*orders, error) {
	kept, err := order.NewDurable(s.Table("orders"), keptOwn, log)
	if err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	o := &orders{Durable: kept, table: s.Table("told"), log: log, told: map[area.WorkID]string{}}
	err = o.table.Load(func(key string, value []byte) error {
		if _, known := kept.Get(area.WorkID(key)); known {
			o.told[area.WorkID(key)] = string(value)
		} else {
			o.table.DeleteAsync(key, o.saved(key))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	return o, nil
}

// Live is the orders that are to be gone on with here.
func (o *orders) Live() (list []order.Record) {
	for _, r := range o.Durable.Live() {
		if o.knows(r.Order.ID) == "" {
			list = append(list, r)
		}
	}
	return list
}

// away is those that the hub may have, and has not confirmed.
func (o *orders) away() (list []order.Record) {
	for _, r := range o.Durable.Live() {
		if o.knows(r.Order.ID) == toldAway {
			list = append(list, r)
		}
	}
	return list
}

// untold is the ended ones of which the hub may not know.
func (o *orders) untold() (list []area.Order) {
	var after string
	for {
		items, next, err := o.List(order.Filter{After: after, Limit: 1000})
		if err != nil {
			return list // there is no other error than an After that was not given out
		}
		for _, one := range items {
			if one.State.Ended() && o.knows(one.ID) == "" {
				list = append(list, one)
			}
		}
		if after = next; next == "" {
			return list
		}
	}
}

func (o *orders) knows(id area.WorkID) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[id]
}

// tell keeps what the hub knows of an order, and calls done once that is on disk.
func (o *orders) tell(id area.WorkID, what string, done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told[id] = what
	o.table.PutAsync(string(id), []byte(what), func(err error) {
		o.saved(string(id))(err)
		if err == nil && done != nil {
			done()
		}
	})
}

// gone forgets an order that the hub goes on with.
func (o *orders) gone(id area.WorkID) {
	o.mu.Lock()
	delete(o.told, id)
	o.mu.Unlock()
	if err := o.Drop(context.Background(), id); err != nil {
		o.saved(string(id))(err)
		return
	}
	o.table.DeleteAsync(string(id), o.saved(string(id)))
}

func (o *orders) saved(what string) func(error) {
	return func(err error) {
		if err != nil {
			o.failed.Add(1)
			o.log.Error("not kept of an order what the hub knows", "work", what, "err", err)
		}
	}
}

// reported is what became of an order, as the dispatcher says it.
func reported(o area.Order) area.Report {
	r := area.Report{Work: o.ID, Area: o.Area, State: o.State, Att: o.Attempt, Dur: time.Duration(o.DurationMs) * time.Millisecond}
	if o.Device != nil {
		r.Device = *o.Device
	}
	if o.Reason != nil {
		r.Reason = *o.Reason
	}
	return r
}

// handOf is an order of ours that another arbiter is to go on with.
func handOf(r order.Record, now time.Time) area.Handed {
	o := r.Order
	h := area.Hand(area.Work{
		ID: o.ID, Area: o.Area, Location: r.Location, Device: r.Device, Prio: o.Priority, Dur: time.Duration(o.DurationMs) * time.Millisecond,
		Expires: o.ExpiresAt.Time, Redo: o.Redo, IfBusy: o.IfBusy,
		Body: area.Body{Kind: o.Kind, Message: o.Message, Clip: o.Clip, Chime: o.Chime, Volume: o.Volume, Repeat: o.Repeat, Languages: o.Languages},
	}, now)
	h.Att = max(1, o.Attempt)
	if o.Device != nil && (o.State == area.OrderAssigned || o.State == area.OrderPlaying) {
		h.Given = &area.Assignment{Device: *o.Device}
	}
	return h
}
