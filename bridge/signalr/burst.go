package signalr

// Burst is events that are written together: who relays what comes in batches
// sends a batch in a burst, and a connection that gets ten events of it gets them
// by one system call. What was sent waits for [Burst.End], or for the events
// being half of what is written at once; what others send to those connections
// meanwhile waits behind it. So a burst must end as soon as its owner has nothing
// more at hand, and the owner must not wait for a connection before that. It
// belongs to one goroutine. After End it can be used again.
type Burst struct {
	s     *Server
	fan   *fanout // nil: nothing waits
	bytes int     // of the events since it began: as much may wait for one connection
}

// Burst makes an empty burst.
func (s *Server) Burst() *Burst { return &Burst{s: s} }

// Group is [Server.Group] for events of the burst.
func (b *Burst) Group(g string) Target { return Target{s: b.s, group: g, burst: b} }

// End has everything written that was sent. No lock may be held.
func (b *Burst) End() {
	if b.fan == nil {
		return
	}
	fan := b.fan
	b.fan, b.bytes = nil, 0
	fan.end()
}

// most bounds what one connection may have waiting of a burst: so little that
// nobody is taken for slow because of it.
func (b *Burst) most() int { return min(gather/2, b.s.cfg.OutboxBytes/4) }

// sent counts an event that was queued.
func (b *Burst) sent(e *event) {
	n := 0
	for _, f := range e.frames {
		if f != nil {
			n = max(n, f.size())
		}
	}
	if b.bytes += n; b.bytes >= b.most() {
		b.End()
	}
}

// fanFor begins to send the event to n connections, in its burst if it is in one.
func (e *event) fanFor(w *writers, n int) *fanout {
	if e.burst == nil {
		return w.fan(n)
	}
	if e.burst.fan == nil {
		e.burst.fan = w.fan(n)
	}
	e.burst.fan.small = n <= smallGroup
	return e.burst.fan
}

// finish ends what fanFor began, unless a burst does.
func (e *event) finish(fan *fanout) {
	if e.burst == nil {
		fan.end()
	}
}
