package signalr

import "encoding/json"

// tailsSaid is how often the newest event of a group is named after the log was away: the
// word may itself be lost.
const tailsSaid = 2

// owes notes that something goes to a group without number. Where the other nodes cannot be
// told of it, nothing shows them that later, unless something more is sent.
func (w *scribe) owes(group string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.owing) >= mostTails {
		clear(w.owing)
	}
	w.owing[group] = tailsSaid
}

// sayTails names our newest events to the other nodes, which so know what they lack.
func (w *scribe) sayTails(s *Server) {
	if w.away.Load() {
		return
	}
	heads := map[string]recordHead{}
	w.mu.Lock()
	for group, times := range w.owing {
		id := w.tails[group]
		heads[group] = recordHead{From: w.id, ID: id, Prev: id}
		if w.owing[group]--; times <= 1 {
			delete(w.owing, group)
		}
	}
	w.mu.Unlock()
	for group, h := range heads {
		body, _ := json.Marshal(h) // plain fields
		s.publish(group, Letter{Kind: toTail, Target: group, Body: body})
	}
}

// arrivedTail takes the name of another node's newest event in a group: what came before
// it is waited for as if it were followed by another.
func (s *Server) arrivedTail(l Letter) {
	if s.cfg.Log == nil {
		return // it puts nothing in order
	}
	a := &arrival{}
	if json.Unmarshal(l.Body, &a.head) != nil || !s.numbers(l.Target) {
		s.count.unheard.Add(1)
		s.log.Warn("letter of another node dropped", "n", len(l.Body), "err", errWire)
		return
	}
	s.count.heard.Add(1)
	s.arrivedLoose(l.Target, a)
}
