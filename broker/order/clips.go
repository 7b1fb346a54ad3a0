package order

// Clips is the clips that orders without an end name, as the orders do, each
// once. They must stay where they are kept.
func (s *Service) Clips() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, e := range s.live {
		if e.order.Clip != nil && !e.order.State.Ended() {
			seen[*e.order.Clip] = true
		}
	}
	all := make([]string, 0, len(seen))
	for c := range seen {
		all = append(all, c)
	}
	return all
}
