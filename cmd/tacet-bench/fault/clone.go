package fault

import (
	"maps"
	"slices"
)

// clone is a rig with the same promises, which can be judged by itself.
func (r *rig) clone() *rig {
	c := &rig{kept: r.kept.clone(), flips: r.flips.clone(), groups: r.groups, idle: r.idle}
	for _, f := range r.flippers {
		c.flippers = append(c.flippers, &flipper{f.id, f.under, f.filters, c.flips})
	}
	for _, s := range r.away {
		c.away = append(c.away, s.clone())
	}
	for _, s := range r.here {
		c.here = append(c.here, s.clone())
	}
	return c
}

// things is how many there are to lose.
func (r *rig) things() (n int) {
	n = len(r.kept.present()) + len(r.flips.present()) + r.idle + len(r.flippers)
	for _, s := range slices.Concat(r.away, r.here) {
		n += 1 + s.stream.owes()
	}
	return n
}

func (v *values) clone() *values {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := newValues()
	for key, h := range v.keys {
		c.keys[key] = &history{h.base, h.top, slices.Clone(h.ops)}
	}
	return c
}

func (s *session) clone() *session {
	c := newSession(s.id, s.qos, s.most)
	c.pending = maps.Clone(s.pending)
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	c.stream.sent, c.stream.highest = s.stream.sent, s.stream.highest
	c.stream.owed, c.stream.came = maps.Clone(s.stream.owed), maps.Clone(s.stream.came)
	return c
}
