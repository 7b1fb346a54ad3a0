package proof

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// watched is how far back is judged what is recorded.
const watched = 24 * time.Hour

// judge tells of what is against the promise.
func (b *Book) judge(a area.Name, list []Finding) {
	for _, f := range list {
		switch f.Is {
		case Overlap:
			b.count.overlaps.Add(1)
			level := slog.LevelError
			if f.Declared == PerNode {
				level = slog.LevelWarn // as the area is set to
			}
			b.log.Log(context.Background(), level, "two devices sounded at once", "area", a, "device", f.Device, "dur", time.Duration(f.Ms)*time.Millisecond)
		case Intruder:
			b.count.intruders.Add(1)
		case Conflict:
			b.count.conflicts.Add(1)
		}
		b.remember(f)
	}
}

// remember counts a finding for a day. A conflict is none yet: what the device says
// may have been underway for long, and its report will tell.
func (b *Book) remember(f Finding) {
	if f.Is == Conflict {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recent = append(b.recent, f.At.UnixMilli())
}

// follow begins to judge what is recorded of an area, here and elsewhere, with what
// there is of the last 24 hours.
func (b *Book) follow(a area.Name) error {
	if b.audits[a] != nil {
		return nil
	}
	others, err := b.others(a)
	if err != nil {
		return err
	}
	audit := &Audit{}
	own := source{dir: filepath.Join(b.cfg.Dir, string(a))}
	strands, err := together(append([]source{own}, others...), b.clock()-watched.Milliseconds(), audit, func(list []Finding) {
		for _, f := range list {
			b.remember(f)
		}
	})
	if err != nil {
		return err
	}
	for _, s := range strands {
		if s.Broken != "" {
			b.log.Error("the record of an area was changed or damaged", "area", a, "node", s.node, "err", s.Broken)
		}
	}
	b.audits[a] = audit
	return nil
}

// forget drops findings that are older than a day.
func (b *Book) forget() {
	since := b.clock() - watched.Milliseconds()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recent = slices.DeleteFunc(b.recent, func(f int64) bool { return f < since })
}

// Overlaps counts what was against the promise of one voice in the last 24 hours,
// in all areas: overlaps and intruders.
func (b *Book) Overlaps() int {
	since := b.clock() - watched.Milliseconds()
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, f := range b.recent {
		if f >= since {
			n++
		}
	}
	return n
}
