package signalr

import "time"

// place sets where a numbered group stands. Its order is held.
func (r *rooms) place(g *group, at Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g.pos = at
}

// hold keeps a numbered group awake for somebody who is going to join it.
func (r *rooms) hold(name string) *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[name]
	if g == nil || g.empty != nil {
		g = r.wake(name)
	}
	g.num.holds++
	return g
}

func (r *rooms) letGo(g *group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g.num.holds--
	r.rest(g)
}

// numbered lists the numbered groups that are awake; unless all are wanted, those that
// have just been woken, or whose position is not the log's.
func (r *rooms) numbered(all bool) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, g := range r.groups {
		if g.num != nil && g.empty == nil && (all || !g.num.ready.Load() || time.Since(g.num.since) < logFresh) {
			names = append(names, name)
		}
	}
	return names
}

// forgetNumbered forgets the numbered groups in which nobody is.
func (r *rooms) forgetNumbered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, g := range r.groups {
		if g.num != nil && g.empty != nil {
			r.idle.Remove(g.empty)
			delete(r.groups, name)
		}
	}
}
