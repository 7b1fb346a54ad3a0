package bridge

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// sampler lets messages through one every gap. In between it keeps the newest
// of each topic, oldest topic first, most of them; what it lets go is counted.
type sampler struct {
	gap  time.Duration
	most int
	next time.Time // nothing goes before this
	wait []sampled
	out  uint64 // sampled out so far
}

// sampled is a message and when it came.
type sampled struct {
	area.Message
	at time.Time
}

// offer hands a message in.
func (s *sampler) offer(m sampled) {
	if i := slices.IndexFunc(s.wait, func(w sampled) bool { return w.Topic == m.Topic }); i >= 0 {
		s.wait[i] = m
		s.out++
		return
	}
	if len(s.wait) >= s.most {
		s.wait = slices.Delete(s.wait, 0, 1)
		s.out++
	}
	s.wait = append(s.wait, m)
}

// due takes out the message that may go now.
func (s *sampler) due(now time.Time) (sampled, bool) {
	if len(s.wait) == 0 || now.Before(s.next) {
		return sampled{}, false
	}
	m := s.wait[0]
	s.wait = slices.Delete(s.wait, 0, 1)
	s.next = now.Add(s.gap)
	return m, true
}

// sleep is how long nothing is due; negative: until the next offer.
func (s *sampler) sleep(now time.Time) time.Duration {
	if len(s.wait) == 0 {
		return -1
	}
	return max(0, s.next.Sub(now))
}
