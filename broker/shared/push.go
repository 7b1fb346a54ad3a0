package shared

import "context"

const (
	pushMost  = 256     // records that are brought at once
	pushBytes = 1 << 20 // of their values, but for a single one
)

// push brings what is owed to the common copy, until ctx ends.
func (t *Tables) push(ctx context.Context) {
	var wait backoff
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.pushes:
		}
		for {
			more, err := t.pushSome(ctx)
			if err != nil {
				t.log.Debug("changes wait for the other nodes", "node", t.cfg.Node, "err", err)
				pause(ctx, wait.next())
				signal(t.pushes)
				break
			}
			wait = 0
			if !more {
				break
			}
		}
	}
}

func (t *Tables) pushSome(ctx context.Context) (more bool, err error) {
	names := t.owing()
	if len(names) == 0 {
		return false, nil
	}
	list, err := t.read(names)
	if err != nil {
		return false, err
	}
	list = t.fitting(list)
	newer, err := t.common.Merge(ctx, list)
	if err != nil {
		return false, err
	}
	t.lost(newer)
	t.paid(list)
	t.count.pushed.Add(uint64(len(list) - len(newer)))
	return true, t.apply(ctx, newer)
}

// owing is some of what is owed.
func (t *Tables) owing() (names []Name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := range t.owed {
		if names = append(names, n); len(names) == pushMost {
			break
		}
	}
	return names
}

// fitting is as many of the entries as go at once. Of a record whose stamp the disk
// has lost nothing can be told: it is not owed.
func (t *Tables) fitting(list []Entry) (out []Entry) {
	size := 0
	for _, e := range list {
		if size += len(e.Value); size > pushBytes && len(out) > 0 {
			break
		}
		if e.Stamp.Time == 0 {
			t.mu.Lock()
			delete(t.owed, e.Name)
			t.mu.Unlock()
			continue
		}
		out = append(out, e)
	}
	return out
}

// lost counts what a newer change of another node has replaced. What this node has
// changed since it was read may be newer than that, and is still owed.
func (t *Tables) lost(newer []Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range newer {
		if _, owed := t.owed[e.Name]; owed && e.Compare(t.tables[e.Table][e.Key].Stamp) > 0 {
			delete(t.owed, e.Name)
			t.count.conflicts.Add(1)
		}
	}
}

// paid notes what the common copy has got, or something newer. What has become
// durable since it was read is still owed; what has not will be.
func (t *Tables) paid(list []Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range list {
		_, doubted := t.doubt[e.Name]
		if r := t.tables[e.Table][e.Key]; r.Stamp == e.Stamp || r.flying || doubted {
			delete(t.owed, e.Name)
		}
	}
}
