package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	takers *store.Table
	log    *slog.Logger
	failed atomic.Uint64

	mu    sync.Mutex
	told  map[area.WorkID]string
	given map[area.WorkID]area.Assignment // who has, or had, the attempt under way
	waits map[area.WorkID][]chan struct{} // closed once the hub knows
}

// What the hub knows of an order.
const (
	toldKnown = "known" // it has the order, which is in our hands
	toldAway  = "away"  // it may go on with the order: nobody here does
	toldEnd   = "end"
)

func openOrders(s *store.Store, log *slog.Logger) (*orders, error) {
	kept, err := order.NewDurable(s.Table("orders"), keptOwn, log)
	if err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	o := &orders{Durable: kept, table: s.Table("told"), takers: s.Table("takers"), log: log,
		told: map[area.WorkID]string{}, given: map[area.WorkID]area.Assignment{}, waits: map[area.WorkID][]chan struct{}{}}
	if err = o.load(); err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	return o, nil
}

// load reads what is kept beside the orders, and drops what is kept of none.
func (o *orders) load() error {
	each := func(t *store.Table, read func(id area.WorkID, value []byte) error) error {
		return t.Load(func(key string, value []byte) error {
			if _, known := o.Get(area.WorkID(key)); known && read(area.WorkID(key), value) == nil {
				return nil
			}
			t.DeleteAsync(key, o.saved(key))
			return nil
		})
	}
	return errors.Join(
		each(o.table, func(id area.WorkID, value []byte) error { o.told[id] = string(value); return nil }),
		each(o.takers, func(id area.WorkID, value []byte) error {
			var a area.Assignment
			err := json.Unmarshal(value, &a)
			if err == nil {
				o.given[id] = a
			}
			return err
		}))
}

// Live is the orders that are to be gone on with here.
func (o *orders) Live() (list []order.Record) {
	for _, r := range o.Durable.Live() {
		if o.knows(r.Order.ID) != toldAway {
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
			if is := o.knows(one.ID); one.State.Ended() && is != toldEnd && is != toldAway {
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

// led is called before a reign. Where another may have led since the one before, the
// hub has given what it knew of to that one: it is not ours any more.
func (o *orders) led(since bool) {
	for _, r := range o.Durable.Live() {
		if since && o.knows(r.Order.ID) == toldKnown {
			o.tell(r.Order.ID, toldAway, nil)
		}
	}
}

// taken keeps who has an order.
func (o *orders) taken(r area.Report) {
	if r.Device == "" || r.State != area.OrderAssigned && r.State != area.OrderPlaying {
		return
	}
	a := area.Assignment{Device: r.Device, MID: r.MID, Boot: r.Boot}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.given[r.Work] != a {
		o.given[r.Work] = a
		o.takers.PutAsync(string(r.Work), encode(a), o.saved(string(r.Work)))
	}
}

// heard answers a channel that is closed once the hub knows an order; unheard is to
// be called with it.
func (o *orders) heard(id area.WorkID) chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := make(chan struct{})
	if o.told[id] != "" {
		close(c)
	} else {
		o.waits[id] = append(o.waits[id], c)
	}
	return c
}

// unheard forgets who waits for the hub to know an order.
func (o *orders) unheard(id area.WorkID, c chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits[id] = slices.DeleteFunc(o.waits[id], func(w chan struct{}) bool { return w == c })
	if len(o.waits[id]) == 0 {
		delete(o.waits, id)
	}
}

// tell keeps what the hub knows of an order, and calls done once that is on disk.
func (o *orders) tell(id area.WorkID, what string, done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.waits[id] {
		close(c)
	}
	delete(o.waits, id)
	if what == toldKnown && o.told[id] != "" {
		return // it knows that, or more
	}
	o.told[id] = what
	if _, was := o.given[id]; was && what == toldEnd {
		delete(o.given, id)
		o.takers.DeleteAsync(string(id), o.saved(string(id)))
	}
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
	delete(o.given, id)
	o.mu.Unlock()
	if err := o.Drop(context.Background(), id); err != nil {
		o.saved(string(id))(err)
		return
	}
	o.table.DeleteAsync(string(id), o.saved(string(id)))
	o.takers.DeleteAsync(string(id), o.saved(string(id)))
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
func (own *orders) reported(o area.Order) area.Report {
	r := area.Report{Work: o.ID, Area: o.Area, State: o.State, Att: o.Attempt, Dur: time.Duration(o.DurationMs) * time.Millisecond}
	if o.Device != nil {
		r.Device = *o.Device
	}
	if o.Reason != nil {
		r.Reason = *o.Reason
	}
	own.mu.Lock()
	defer own.mu.Unlock()
	if g := own.given[o.ID]; g.Device == r.Device {
		r.MID, r.Boot = g.MID, g.Boot
	}
	return r
}

// handOf is an order of ours that another arbiter goes on with, or may have to.
func (own *orders) handOf(r order.Record, now time.Time) area.Handed {
	o := r.Order
	h := area.Hand(area.Work{
		ID: o.ID, Area: o.Area, Location: r.Location, Device: r.Device, Prio: o.Priority, Dur: time.Duration(o.DurationMs) * time.Millisecond,
		Expires: o.ExpiresAt.Time, Redo: o.Redo, IfBusy: o.IfBusy,
		Body: area.Body{Kind: o.Kind, Message: o.Message, Clip: o.Clip, Chime: o.Chime, Volume: o.Volume, Repeat: o.Repeat, Languages: o.Languages},
	}, now)
	h.Att = max(1, o.Attempt)
	if o.Device != nil && (o.State == area.OrderAssigned || o.State == area.OrderPlaying) {
		was := own.reported(o)
		h.Given = &area.Assignment{Device: was.Device, MID: was.MID, Boot: was.Boot}
	}
	return h
}
