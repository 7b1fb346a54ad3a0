package hubd

// areasState says whether every area is some node's. Where one is not, it stands
// silent: while the server is away for longer than a reign, and for the wait and the
// settling of whoever takes it next.
func (h *Hub) areasState() partState {
	if h.arbiter.Stats().Vacant > 0 {
		return partState{Mode: "silent"}
	}
	return partState{OK: true}
}
