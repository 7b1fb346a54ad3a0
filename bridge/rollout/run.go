package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// look is how often patience is looked at while a rollout runs.
const look = time.Second

// Run orders devices until ctx ends; it then returns nil. Its error is that of
// the subscription.
func (s *Service) Run(ctx context.Context) error {
	cancel, err := s.Bus.Subscribe(area.StatusTopic("+"), s.note)
	if err != nil {
		return fmt.Errorf("subscribe to the devices' statuses: %w", err)
	}
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for looks := true; ; {
		s.step(ctx, looks)
		looks = false
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-tick.C:
			looks = true
			if !s.busy() {
				tick.Stop()
			}
		}
		if s.busy() {
			tick.Reset(look)
		}
	}
}

func (s *Service) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.busy()
}

// note keeps what a device says of its update, and has that looked at.
func (s *Service) note(m area.Message) {
	if s.listen(area.ParseTopic(m.Topic).Device, m.Payload) {
		s.poke()
	}
}

// listen keeps what a device says of its update, where that is about a rollout.
func (s *Service) listen(id area.DeviceID, status []byte) bool {
	st, err := area.ParseStatus(status)
	if err != nil || st.Update == nil || st.Update.Order == "" || !st.Online {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(st.Update.Order) == nil {
		return false
	}
	s.heard[id] = *st.Update
	return true
}

// step does what is to be done now, where it is this node's to do. What another node has
// is taken over with a look alone: should two think that it is theirs, they do not fight.
func (s *Service) step(ctx context.Context, looks bool) {
	if !s.inOffice() || !s.takeAll(ctx, looks) {
		return
	}
	orders, changed := s.plan()
	kept := map[string]bool{}
	for _, r := range changed {
		kept[r.ID] = s.save(r)
	}
	for _, o := range orders {
		if is, changed := kept[o.Order]; is || !changed {
			s.order(ctx, o)
		}
	}
	s.forget(ctx)
}

// plan takes in what devices have said, and answers who is to be ordered, and
// what has changed.
func (s *Service) plan() (orders []sending, changed []Rollout) {
	now := s.Now()
	orders, turns := s.catchUp(now)
	for looked := map[area.DeviceID]bool{}; len(turns) > 0; { // one that is skipped lets the next one come
		unfit := make([]string, len(turns))
		for i, id := range turns {
			unfit[i], looked[id] = s.unfit(id), true
		}
		var more []sending
		more, turns = s.give(turns, unfit, now)
		orders = append(orders, more...)
		turns = slices.DeleteFunc(turns, func(id area.DeviceID) bool { return looked[id] }) // who still waits is waited for
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return orders, s.took()
}

// catchUp takes in what devices have said, and what they have not. It answers who
// is ordered again, and whose turn it is.
func (s *Service) catchUp(now time.Time) (again []sending, turns []area.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, u := range s.heard {
		s.book.heard(id, u, now)
	}
	clear(s.heard)
	for _, p := range s.book.late(now) {
		again = append(again, s.send(p))
	}
	return again, s.turns()
}

// turns is whose turn it is now.
func (s *Service) turns() (ids []area.DeviceID) {
	for _, p := range s.book.turns() {
		ids = append(ids, p.device.Device)
	}
	return ids
}

// absent is why a device cannot be ordered that is not connected.
const absent = "it is not there"

// unfit tells why a device cannot be ordered; empty: it can.
func (s *Service) unfit(id area.DeviceID) string {
	if d, known := s.Devices.Device(id); !known || d.Presence != area.Online {
		return absent
	}
	for _, m := range s.Retained.Retained(area.StatusTopic(id), 1) {
		if st, err := area.ParseStatus(m.Payload); err == nil && st.Update != nil {
			return ""
		}
	}
	return "its program takes no updates"
}

// give gives devices their turn, where it still is theirs, or skips them. It
// answers who is ordered, and whose turn it is then.
func (s *Service) give(turns []area.DeviceID, unfit []string, now time.Time) (orders []sending, next []area.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.book.turns() {
		i := slices.Index(turns, p.device.Device)
		switch {
		case i < 0: // it has become its turn meanwhile, and has not been looked at
		case unfit[i] == absent && p.of.CreatedAt.Before(s.began) && now.Sub(s.began) < AnswerTime: // it may be about to come, to this node or to another
		case unfit[i] != "":
			s.book.set(p.of, p.device, Skipped, unfit[i], now)
		default:
			s.book.set(p.of, p.device, Ordered, "", now)
			orders = append(orders, s.send(p))
		}
	}
	return orders, s.turns()
}

// took is what has changed; what has ended is counted and logged.
func (s *Service) took() (changed []Rollout) {
	rollouts, ended := s.book.take()
	for _, p := range ended {
		s.tell(p.of, *p.device)
	}
	for _, r := range rollouts {
		changed = append(changed, r.clone())
	}
	return changed
}

// tell logs and counts how a device has ended.
func (s *Service) tell(r *Rollout, d Device) {
	switch d.State {
	case Skipped:
		s.count.skipped.Add(1)
		s.log.Info("device skipped", "device", d.Device, "area", d.Area, "rule", r.ID, "err", d.Reason)
	case area.UpdateConfirmed:
		s.count.confirmed.Add(1)
		s.log.Info("device updated", "device", d.Device, "area", d.Area, "rule", r.ID)
	case area.UpdateFailed:
		s.count.failed.Add(1)
		s.log.Error("device not updated, the rollout ends", "device", d.Device, "area", d.Area, "rule", r.ID, "err", d.Reason)
	case area.UpdateRefused:
		s.count.refused.Add(1)
		s.log.Warn("device refuses the update", "device", d.Device, "area", d.Area, "rule", r.ID, "err", d.Reason)
	}
}

// sending is an order as it goes out.
type sending struct {
	to area.DeviceID
	area.UpdateOrder
}

func (s *Service) send(p part) sending {
	p.device.sent++
	return sending{p.device.Device, area.UpdateOrder{Order: p.of.ID, Version: p.of.Version, AllowDowngrade: p.of.AllowDowngrade}}
}

func (s *Service) order(ctx context.Context, o sending) {
	s.count.orders.Add(1)
	err := s.Bus.Publish(ctx, area.Message{Topic: area.CommandTopic(o.to, "update"), Payload: o.Encode(), QoS: 1})
	if err != nil && ctx.Err() == nil {
		s.log.Error("update not ordered", "device", o.to, "rule", o.Order, "err", err)
	}
}

// forget removes the rollouts that ended longest ago, where there are too many.
func (s *Service) forget(ctx context.Context) {
	s.mu.Lock()
	var gone []string // who is the oldest comes first
	for i := 0; len(s.book.list) > mostKept && i < len(s.book.list); {
		if r := s.book.list[i]; r.EndedAt != nil {
			gone = append(gone, r.ID)
			s.book.list = slices.Delete(s.book.list, i, i+1)
			continue
		}
		i++
	}
	s.mu.Unlock()
	for _, id := range gone {
		if err := s.Table.Delete(ctx, id); err != nil && ctx.Err() == nil {
			s.log.Error("rollout not forgotten", "rule", id, "err", err)
		}
	}
}
