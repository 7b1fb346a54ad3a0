package homeassistant

import (
	"context"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

// commanded takes a command on the publisher's goroutine. One that is retained is
// old news.
func (s *Service) commanded(m area.Message) {
	if _, ours := parseCommand(m.Topic); !ours || m.Replay || m.Node != "" || len(m.Payload) == 0 || !s.Mine() {
		return
	}
	select {
	case s.queue <- m:
	default:
		s.dropped.Add(1)
	}
}

// obey does commands until ctx ends.
func (s *Service) obey(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.queue:
			if err := s.do(ctx, m); err != nil {
				s.refused.Add(1)
				s.log.Warn("command not done", "topic", m.Topic, "err", err)
				continue
			}
			s.commands.Add(1)
		}
	}
}

func (s *Service) do(ctx context.Context, m area.Message) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, _ := parseCommand(m.Topic)
	who, ok := s.Who(m)
	if !ok {
		return area.Errorf(area.CodeForbidden, "nobody knows who says so")
	}
	switch c.name {
	case "announce":
		text, err := textOf(m.Payload)
		if err != nil {
			return err
		}
		return s.order(ctx, who, area.OrderRequest{To: c.to(), Message: &text})
	case "chime":
		r, err := parseRing(m.Payload, s.Chimes.Length, order.MaxRepeat)
		if err != nil {
			return err
		}
		if !r.on {
			return s.stop(ctx, who, c)
		}
		return s.ring(ctx, who, c, r)
	case "test":
		return s.ring(ctx, who, c, ring{tone: defaultTone, repeat: 1})
	}
	return s.stop(ctx, who, c)
}

// order has something sound, on behalf of who may announce there.
func (s *Service) order(ctx context.Context, who auth.Principal, r area.OrderRequest) error {
	return s.Orders.Announce(ctx, r, order.By{Who: who.Name, May: func(in area.Name) error { return who.May(auth.Announce, in) }})
}

func (s *Service) ring(ctx context.Context, who auth.Principal, c command, r ring) error {
	sum, err := s.Chimes.Clip(ctx, r.tone)
	if err != nil {
		return err
	}
	return s.order(ctx, who, area.OrderRequest{To: c.to(), Kind: order.KindPlay, Clip: &sum, Repeat: &r.repeat, Volume: r.volume})
}

// stop ends what sounds and waits in an area, or at a device.
func (s *Service) stop(ctx context.Context, who auth.Principal, c command) error {
	if c.area != "" {
		if err := who.May(auth.Operate, c.area); err != nil {
			return err
		}
		return s.Orders.StopArea(ctx, c.area)
	}
	for id, in := range s.ordersOf(c.device) {
		if err := who.May(auth.Operate, in); err != nil {
			return err
		}
		if err := s.Orders.Cancel(ctx, id); err != nil && area.CodeOf(err) != area.CodeEnded {
			return err
		}
	}
	return nil
}

// ordersOf is what a device says, and what waits for it, with its area.
func (s *Service) ordersOf(d area.DeviceID) map[area.WorkID]area.Name {
	found := map[area.WorkID]area.Name{}
	for _, o := range s.sounding() {
		if o.Device != nil && *o.Device == d {
			found[o.ID] = o.Area
		}
	}
	for _, a := range s.Site.Areas() {
		for _, q := range a.Queue {
			if q.Device != nil && *q.Device == d {
				found[q.Order] = a.ID
			}
		}
	}
	return found
}
