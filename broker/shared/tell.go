package shared

import "context"

// tell calls the watchers, until ctx ends.
func (t *Tables) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.tells:
		}
		for n, ok := t.oneNews(); ok && ctx.Err() == nil; n, ok = t.oneNews() {
			t.tellOne(ctx, n)
		}
	}
}

func (t *Tables) oneNews() (n Name, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.news) == 0 {
		t.news = nil
		return n, false
	}
	n = t.news[0]
	t.news = t.news[1:]
	delete(t.waiting, n)
	return n, true
}

// tellOne tells of a record until what was told is the newest: a change of this node
// may have come between, and its owner must not be left with the older one.
func (t *Tables) tellOne(ctx context.Context, n Name) {
	for ctx.Err() == nil {
		e, err := t.newest(n)
		if err != nil {
			t.log.Error("shared record cannot be read", "node", t.cfg.Node, "err", err)
			return
		}
		t.mu.Lock()
		watchers := t.watchers[n.Table]
		t.mu.Unlock()
		for _, changed := range watchers {
			changed(n.Key, e.Value)
		}
		t.mu.Lock()
		same := t.tables[n.Table][n.Key].Stamp == e.Stamp
		t.mu.Unlock()
		if same {
			return
		}
	}
}
