package shared

import (
	"context"
	"errors"
	"time"
)

const (
	readMost              = 64 // records that are asked for at once
	retryLeast, retryMost = 50 * time.Millisecond, 2 * time.Second
	choresEvery           = time.Hour // stamps are forgotten, and it is noted how far the common copy is known
)

// backoff is the waits between tries.
type backoff time.Duration

func (b *backoff) next() time.Duration {
	*b = backoff(min(max(2*time.Duration(*b), retryLeast), retryMost))
	return time.Duration(*b)
}

// Catch compares everything with the common copy once, before the owners of the
// tables load them. Where it cannot be reached Run does so later.
func (t *Tables) Catch(ctx context.Context) error {
	if t.common == nil {
		return nil
	}
	_, err := t.compare(ctx)
	return err
}

// follow compares everything, and then takes each change as it comes, until ctx ends;
// and begins anew when it is not sure of having them all.
func (t *Tables) follow(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		err := t.followOnce(ctx, &wait)
		if errors.Is(err, ErrGap) {
			t.count.gaps.Add(1)
		} else if ctx.Err() == nil {
			t.state(false, err)
		}
		pause(ctx, wait.next())
	}
}

func (t *Tables) followOnce(ctx context.Context, wait *backoff) error {
	mark, err := t.compare(ctx)
	if err != nil {
		return err
	}
	t.state(true, nil)
	*wait = 0
	chores := time.NewTimer(0)
	defer chores.Stop()
	for {
		var list []Change
		if list, mark, err = t.common.Since(ctx, mark); err != nil {
			return err
		}
		if err = t.fetch(ctx, t.unknown(list)); err != nil {
			return err
		}
		select {
		case <-chores.C:
			if err = t.tidy(ctx); err != nil {
				return err
			}
			chores.Reset(choresEvery)
		case <-t.doubts:
			if err = t.resolve(); err != nil {
				return err
			}
		default:
		}
	}
}

// state says whether the common copy is followed; changes are told.
func (t *Tables) state(on bool, err error) {
	if t.count.connected.Swap(on) == on {
		return
	}
	if on {
		t.log.Info("shared tables are one with the other nodes'", "node", t.cfg.Node)
		return
	}
	t.count.losses.Add(1)
	t.log.Warn("shared tables are kept alone", "node", t.cfg.Node, "err", err)
}

// compare takes over everything that is newer there, and has what is newer here be
// owed. It answers the mark from which changes are to be followed.
func (t *Tables) compare(ctx context.Context) (mark string, err error) {
	if err = t.resolve(); err != nil {
		return "", err
	}
	mark, epoch, err := t.common.Mark(ctx)
	if err != nil {
		return "", err
	}
	for _, table := range t.cfg.Tables {
		there, err := t.common.Stamps(ctx, table)
		if err != nil {
			return "", err
		}
		if err = t.fetch(ctx, t.differ(table, there, epoch)); err != nil {
			return "", err
		}
	}
	t.count.resyncs.Add(1)
	t.mu.Lock()
	if t.synced.Epoch != epoch {
		t.synced = synced{Epoch: epoch}
	}
	t.mu.Unlock()
	signal(t.pushes)
	return mark, nil
}

// differ answers the names of what is newer there.
func (t *Tables) differ(table string, there map[string]Stamp, epoch string) (newer []Name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	here := t.tables[table]
	for key, s := range there {
		if !t.expired(s) && s.Compare(here[key].Stamp) > 0 {
			newer = append(newer, Name{table, key})
		}
	}
	for key, r := range here {
		n := Name{table, key}
		switch s := there[key]; {
		case r.flying || r.Compare(s) <= 0 || t.expired(r.Stamp):
		case s.Time == 0 && t.outlived(r.Stamp, epoch):
			if err := t.erase(n, func(error) {}); err == nil { // else the next comparison finds it again
				t.announce(n)
			}
		default:
			t.owed[n] = struct{}{}
		}
	}
	return newer
}

// unknown answers the names of changes that are newer than what is here.
func (t *Tables) unknown(list []Change) (names []Name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[Name]bool{}
	for _, c := range list {
		if rows := t.tables[c.Table]; c.Compare(rows[c.Key].Stamp) > 0 && t.has(c.Table) && !seen[c.Name] {
			seen[c.Name] = true
			names = append(names, c.Name)
		}
	}
	return names
}

// fetch reads records from the common copy and takes them over.
func (t *Tables) fetch(ctx context.Context, names []Name) error {
	for len(names) > 0 {
		some := names[:min(readMost, len(names))]
		names = names[len(some):]
		list, err := t.common.Read(ctx, some)
		if err != nil {
			return err
		}
		if err := t.apply(ctx, list); err != nil {
			return err
		}
	}
	return nil
}
