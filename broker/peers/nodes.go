package peers

import (
	"bytes"
	"context"
	"errors"
	"maps"

	"github.com/tacet-hub/tacet/broker/area"
)

// errElsewhere is that another node has changed a book meanwhile.
var errElsewhere = errors.New("another node has changed it")

// ChangedElsewhere says that the table has another book of an area by now, which this
// node has not written. It does not block.
func (s *Service) ChangedElsewhere(a area.Name) {
	s.mu.Lock()
	s.changed[a] = true
	s.mu.Unlock()
	s.poke()
}

// takeChanged takes in what other nodes have changed.
func (s *Service) takeChanged(ctx context.Context) {
	s.mu.Lock()
	list := s.changed
	s.changed = map[area.Name]bool{}
	s.mu.Unlock()
	for a := range list {
		value, ok, err := s.table.Get(string(a))
		switch {
		case err != nil:
			s.log.Error("roster of an area cannot be read", "area", a, "err", err)
		case ok:
			s.take(ctx, a, value)
		}
	}
}

// take takes in the book that the table has. Its document goes to the members that
// this node sends to.
func (s *Service) take(ctx context.Context, a area.Name, value []byte) {
	was := s.book(a)
	if value == nil || bytes.Equal(value, was.raw) {
		return
	}
	k, err := readBook(value)
	if err != nil {
		s.count.failed.Add(1)
		s.log.Error("roster of another node cannot be read", "area", a, "err", err)
		return
	}
	s.count.elsewhere.Add(1)
	s.set(a, k)
	delete(s.like, a) // it may have been made of what the other node knew
	if of, ok := s.areas.Describe(a); ok {
		s.stand(a, of)
	}
	if k.Rev != was.Rev {
		s.sendAll(ctx, a, k)
	}
}

// owns tells whether this node writes the roster of an area: it has the area, and
// knows the newest roster. What is asked for by somebody any node writes.
func (s *Service) owns(a area.Name) bool {
	n := s.areas.Reign(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	return n == Alone || n != 0 && s.confirmed[a] == n
}

// confirmAll gets the newest rosters of the areas whose reign has begun: until then
// nobody votes there, and nothing is written. It answers false where that cannot be
// known.
func (s *Service) confirmAll(ctx context.Context) bool {
	well := true
	reigns := map[area.Name]uint64{}
	for _, a := range s.areas.Names() {
		if n := s.areas.Reign(a); n != 0 && n != Alone {
			reigns[a] = n
		}
	}
	s.mu.Lock()
	maps.DeleteFunc(s.confirmed, func(a area.Name, n uint64) bool { return reigns[a] != n })
	maps.DeleteFunc(reigns, func(a area.Name, n uint64) bool { return s.confirmed[a] == n })
	s.mu.Unlock()
	for a, n := range reigns {
		well = s.confirm(ctx, a, n) && well
	}
	return well
}

func (s *Service) confirm(ctx context.Context, a area.Name, reign uint64) bool {
	value, _, err := s.table.Latest(ctx, string(a))
	if err != nil {
		s.log.Warn("newest roster of an area is not known", "area", a, "err", err)
		return false
	}
	s.take(ctx, a, value)
	s.mu.Lock()
	s.confirmed[a] = reign
	s.mu.Unlock()
	delete(s.like, a)
	if of, ok := s.areas.Describe(a); ok {
		s.stand(a, of)
	}
	return true
}

// Voters are the members of an area, by name, once they are known: where a reign over
// it has just begun the newest roster may be another node's.
func (s *Service) Voters(in area.Name) (list []area.Member, known bool) {
	if !s.owns(in) {
		return nil, false
	}
	return s.Members(in), true
}
