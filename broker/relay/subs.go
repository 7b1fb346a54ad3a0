package relay

import (
	"strconv"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/interest"
)

// subs are the filters of this node, each with who has it. What of them the others
// have to know is in the facts. Relay.mu guards it.
type subs struct {
	most int
	own  *facts
	by   map[string]map[string]struct{} // clients by filter
	here map[string]map[string]struct{} // shared filters by client that has some
	up   map[string]struct{}            // clients in here that are connected
	over bool                           // there are too many to tell
}

// everything is the filter that is told where there are too many.
const everything = "#"

func newSubs(most int, own *facts) subs {
	return subs{most: most, own: own, by: map[string]map[string]struct{}{}, here: map[string]map[string]struct{}{}, up: map[string]struct{}{}}
}

// shares tells whether a shared subscription is one to a topic.
func shares(filter, topic string) bool { return area.MatchFilter(interest.Unshared(filter), topic) }

func isShare(filter string) bool {
	_, shared := interest.CutShare(filter)
	return shared
}

func put(m map[string]map[string]struct{}, k, v string) {
	if m[k] == nil {
		m[k] = map[string]struct{}{}
	}
	m[k][v] = struct{}{}
}

func take(m map[string]map[string]struct{}, k, v string) {
	if delete(m[k], v); len(m[k]) == 0 {
		delete(m, k)
	}
}

// add and remove answer whether there are newly too many.
func (s *subs) add(client, filter string, connected bool) (over bool) {
	put(s.by, filter, client)
	if isShare(filter) {
		put(s.here, client, filter)
		if connected {
			s.up[client] = struct{}{}
		}
		s.tellShare(filter)
		return false
	}
	if s.over = s.over || len(s.by) > s.most; !s.over {
		s.own.set(key(aboutFilter, filter), "")
		return false
	}
	_, told := s.own.all[key(aboutFilter, everything)]
	s.own.set(key(aboutFilter, everything), "")
	return !told
}

func (s *subs) remove(client, filter string) {
	take(s.by, filter, client)
	switch {
	case isShare(filter):
		if take(s.here, client, filter); s.here[client] == nil {
			delete(s.up, client)
		}
		s.tellShare(filter)
	case s.by[filter] == nil && (filter != everything || !s.over):
		s.own.unset(key(aboutFilter, filter))
	}
	if s.over && len(s.by) <= s.most/2 {
		s.anew()
	}
}

// anew tells all filters, when they are no longer too many.
func (s *subs) anew() {
	s.over = false
	if s.by[everything] == nil {
		s.own.unset(key(aboutFilter, everything))
	}
	for f := range s.by {
		if !isShare(f) {
			s.own.set(key(aboutFilter, f), "")
		}
	}
}

// connected notes that a client has come, or gone.
func (s *subs) connected(client string, up bool) {
	if len(s.here[client]) == 0 {
		return
	}
	if delete(s.up, client); up {
		s.up[client] = struct{}{}
	}
	for f := range s.here[client] {
		s.tellShare(f)
	}
}

func (s *subs) tellShare(filter string) {
	if s.by[filter] == nil {
		s.own.unset(key(aboutShare, filter))
		return
	}
	n := 0
	for client := range s.by[filter] {
		if _, up := s.up[client]; up {
			n++
		}
	}
	s.own.set(key(aboutShare, filter), strconv.Itoa(n))
}

// Subscribed says that a client, or a part of the hub under a name of its own, has a
// filter; once more is as once.
func (r *Relay) Subscribed(client, filter string, connected bool) {
	r.mu.Lock()
	if r.subs.add(client, filter, connected) {
		r.count.filtersOff.Add(1)
	}
	r.mu.Unlock()
	r.nudge()
}

// Unsubscribed says that it has it no longer.
func (r *Relay) Unsubscribed(client, filter string) {
	r.mu.Lock()
	r.subs.remove(client, filter)
	r.mu.Unlock()
	r.nudge()
}

func (r *Relay) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
