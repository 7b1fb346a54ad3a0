package leader

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"

	"github.com/tacet-hub/tacet/broker/area"
)

// carrier is a member that carries.
type carrier struct {
	device area.DeviceID
	at     netip.AddrPort
}

// DialWeb makes a connection to the hub's web listener through another member, where
// this one does not reach the hub itself and another does. Its answer is nil, without
// an error, where the way is one's own. It blocks until it is connected, or ctx ends.
func (s *Seat) DialWeb(ctx context.Context) (net.Conn, error) {
	list, key := s.carry()
	var errs []error
	for _, c := range list {
		conn, err := carried(ctx, s.cfg.Device, c.device, key, c.at, &url.URL{Scheme: webScheme})
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, nil
	}
	return nil, fmt.Errorf("the hub's web listener, through a neighbour: %w", errors.Join(errs...))
}

// carry is who carries this member now, in turn: whom it follows first. Nobody:
// it reaches the hub itself, or nobody does.
func (s *Seat) carry() (list []carrier, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.away {
		return nil, nil
	}
	for _, d := range s.carriers {
		c := carrier{d, s.ways[d]}
		if d == s.state.Who {
			list = append([]carrier{c}, list...)
			continue
		}
		list = append(list, c)
	}
	return list, s.key
}
