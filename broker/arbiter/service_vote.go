package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// reelect: who votes may have changed. It is asked for when the desk comes to it, so
// that what was known in an earlier reign does not count in the next.
type reelect struct{}

func (reelect) event() {}

// Elect tells the arbiter of an area that its members may have changed.
func (s *Service) Elect(in area.Name) {
	if s.cfg.Voters == nil {
		return
	}
	s.mu.Lock()
	d := s.desks[in]
	s.mu.Unlock()
	if d != nil {
		d.box.put(reelect{})
	}
}

// Seconded tells the arbiter of a strict area, which a leader is, that the hub has
// followed it for so long: it has answered what the leader said at the instant of
// the service's clock.
func (s *Service) Seconded(in area.Name, said area.Instant, since time.Duration) {
	if d := s.found(in); d != nil {
		d.box.put(Seconded{Said: said, Since: since})
	}
}

// Vote hands in the vote of a member that is connected elsewhere. Over the area's
// bound it is dropped and counted: it comes again, with the next poll.
func (s *Service) Vote(in area.Name, d area.DeviceID, v area.Vote) {
	if desk := s.found(in); desk != nil {
		desk.box.hear(Voted{Device: d, Vote: v})
	}
}

// heardVote hands a vote to the arbiter that asked for it. Like a claim it comes
// again, with the next poll.
func (s *Service) heardVote(m area.Message) {
	t := area.ParseTopic(m.Topic)
	if t.Kind != area.KindVote || m.Replay || m.Will || len(m.Payload) == 0 {
		return
	}
	v, err := area.ParseVote(m.Payload)
	if err != nil {
		s.malformed(m, err)
		return
	}
	s.mu.Lock()
	d := s.desks[t.Area]
	s.mu.Unlock()
	if d != nil {
		d.box.hear(s.overBroker(Voted{Device: t.Device, Vote: v}))
	}
}
