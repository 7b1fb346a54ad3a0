package estate

import (
	"context"
	"errors"
	"time"
)

const (
	laterWait  = 250 * time.Millisecond // for what nobody waits for
	answerWait = time.Second            // for the common copy, before the node goes on alone
	firstPause = 50 * time.Millisecond  // between tries; it doubles
	lastPause  = 2 * time.Second
	mostDirty  = 1 << 16 // records that are owed, before those are looked for that are not

	writeRecords = 2000      // that go together
	writeBytes   = 512 << 10 // about so many bytes of them
)

// errLost is that the common copy is not what was written there.
var errLost = errors.New("estate: the common copy was lost")

// Run brings what changes to the common copy until ctx ends, and then what is owed, if it
// answers; then it returns nil. The owner must have come to rest before.
func (m *Mirror) Run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		err := m.whole(ctx)
		if err == nil {
			pause = firstPause
			err = m.follow(ctx)
		}
		if ctx.Err() != nil {
			break
		}
		m.lost(err)
		wait(ctx, pause)
		pause = min(2*pause, lastPause)
	}
	if m.stands() {
		_ = m.flush(context.WithoutCancel(ctx)) // what is missing is on disk
	}
	m.alone()
	return nil
}

func (m *Mirror) stands() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inStep
}

// follow brings changes over until one fails.
func (m *Mirror) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		}
		m.mu.Lock()
		urgent := m.urgent
		m.mu.Unlock()
		if !urgent {
			m.gather(ctx)
		}
		if err := m.flush(ctx); err != nil {
			return err
		}
	}
}

// gather waits for what else comes, unless somebody waits.
func (m *Mirror) gather(ctx context.Context) {
	t := time.NewTimer(laterWait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-m.wake:
	case <-t.C:
	}
}

// whole makes the common copy what this node has, and begins to be in step with it.
func (m *Mirror) whole(ctx context.Context) error {
	m.count.anew.Add(1)
	names, claims, err := m.there(ctx)
	if err != nil {
		return err
	}
	m.claims(claims)
	m.mu.Lock()
	m.known, m.bytes = map[Name]int64{}, 0
	for _, n := range names {
		m.known[n] = 0
		m.dirty[n] = struct{}{}
	}
	m.mu.Unlock()
	for _, t := range m.cfg.Tables {
		if err := m.Load(t, func(key string, _ []byte) error { m.touch(t, key, false); return nil }); err != nil {
			return err
		}
	}
	if err := m.flush(ctx); err != nil && !errors.Is(err, errLost) {
		return err
	}
	short, stop := context.WithTimeout(ctx, answerWait)
	defer stop()
	if err := m.common.Begin(short, m.cfg.Node, m.mark); err != nil {
		return err
	}
	m.mu.Lock()
	m.inStep = true
	m.mu.Unlock()
	m.log.Info("sessions of this node are with the other nodes", "node", m.cfg.Node, "n", len(m.known))
	return nil
}

// there reads what the common copy has of this node, and on it.
func (m *Mirror) there(ctx context.Context) ([]Name, map[string]Claim, error) {
	claims, err := m.common.Claims(ctx, m.cfg.Node)
	if err != nil {
		return nil, nil, err
	}
	names, err := m.common.Names(ctx, m.cfg.Node)
	return names, claims, err
}

// lost goes on with the disk alone.
func (m *Mirror) lost(err error) {
	if m.alone() {
		m.count.losses.Add(1)
		m.log.Warn("sessions of this node are not with the other nodes", "node", m.cfg.Node, "err", err)
	}
	m.prune()
}

// alone has nobody wait for the common copy, and tells whether anybody would have.
func (m *Mirror) alone() (was bool) {
	m.mu.Lock()
	was, m.inStep = m.inStep, false
	list := m.waiting
	m.waiting = nil
	m.mu.Unlock()
	m.count.alone.Add(uint64(len(list)))
	for _, h := range list {
		m.durable(h.pos)
	}
	return was
}

// prune takes what has come and gone off what is owed, where that grows long.
func (m *Mirror) prune() {
	m.mu.Lock()
	var list []Name
	if len(m.dirty) >= m.pruned {
		list = m.owed()
	}
	m.mu.Unlock()
	for _, n := range list {
		if _, keep := m.read(n.Table, n.Key); keep {
			continue
		}
		m.mu.Lock()
		if _, there := m.known[n]; !there {
			delete(m.dirty, n)
		}
		m.mu.Unlock()
	}
	if list != nil {
		m.mu.Lock()
		m.pruned = max(mostDirty, 2*len(m.dirty))
		m.mu.Unlock()
	}
}

func (m *Mirror) owed() []Name {
	list := make([]Name, 0, len(m.dirty))
	for n := range m.dirty {
		list = append(list, n)
	}
	return list
}

// flush brings over what is owed, and tells the positions that have waited for it. What
// is not taken is owed again.
func (m *Mirror) flush(ctx context.Context) error {
	m.mu.Lock()
	list, upTo := m.owed(), m.touches
	clear(m.dirty)
	m.urgent = false
	m.mu.Unlock()
	lost := false
	for len(list) > 0 {
		n, err := m.write(ctx, list)
		if lost = lost || errors.Is(err, errLost); err != nil && !lost {
			m.mu.Lock()
			for _, name := range list {
				m.dirty[name] = struct{}{}
			}
			m.mu.Unlock()
			return err
		}
		list = list[n:]
	}
	if lost {
		return errLost
	}
	m.reached(upTo)
	return nil
}

// reached tells the positions that have waited for so many touches.
func (m *Mirror) reached(touches uint64) {
	m.mu.Lock()
	m.safe = touches
	n := 0
	for n < len(m.waiting) && m.waiting[n].touches <= touches {
		n++
	}
	list := m.waiting[:n:n]
	m.waiting = m.waiting[n:]
	m.mu.Unlock()
	for _, h := range list {
		m.durable(h.pos)
	}
}

// write brings the first of a list over, and answers how many.
func (m *Mirror) write(ctx context.Context, list []Name) (n int, err error) {
	var records []Record
	for size := 0; n < len(list) && n < writeRecords && (n == 0 || size < writeBytes); n++ {
		r := Record{Name: list[n]}
		if value, keep := m.read(r.Table, r.Key); keep {
			r.Value = value
		} else if !m.has(r.Name) {
			continue
		}
		size += len(r.Key) + len(r.Value)
		records = append(records, r)
	}
	if records = m.bounded(records); len(records) == 0 {
		return n, nil
	}
	ctx, stop := context.WithTimeout(ctx, answerWait)
	defer stop()
	mark, err := m.common.Write(ctx, m.cfg.Node, records)
	if err != nil {
		return 0, err
	}
	m.note(records)
	if mark != m.mark {
		err = errLost
	}
	return n, err
}

// bounded leaves out what finds no room in the common copy; of that nothing is to be
// there.
func (m *Mirror) bounded(list []Record) []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	room := m.cfg.Bytes - m.bytes
	for _, r := range list {
		room += m.known[r.Name]
	}
	out := list[:0]
	for _, r := range list {
		if r.Table == m.cfg.Bulk && r.Value != nil {
			if room -= int64(len(r.Value)); room < 0 {
				room += int64(len(r.Value))
				m.count.over.Add(1)
				if r.Value = nil; !m.hasLocked(r.Name) {
					continue
				}
			}
		}
		out = append(out, r)
	}
	return out
}

func (m *Mirror) hasLocked(n Name) bool {
	_, there := m.known[n]
	return there
}

func (m *Mirror) has(n Name) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hasLocked(n)
}

// note takes in what the common copy has now.
func (m *Mirror) note(list []Record) {
	m.count.written.Add(uint64(len(list)))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range list {
		m.bytes -= m.known[r.Name]
		if delete(m.known, r.Name); r.Value == nil {
			continue
		}
		size := int64(0)
		if r.Table == m.cfg.Bulk {
			size = int64(len(r.Value))
		}
		m.known[r.Name] = size
		m.bytes += size
	}
}

// sync blocks until what was touched is in the common copy.
func (m *Mirror) sync(ctx context.Context) error {
	m.mu.Lock()
	upTo := m.touches
	m.mu.Unlock()
	for {
		m.mu.Lock()
		done := m.inStep && m.safe >= upTo
		m.urgent = true
		m.mu.Unlock()
		if done {
			return nil
		}
		m.nudge()
		if !wait(ctx, firstPause) {
			return ctx.Err()
		}
	}
}

// wait waits for so long; false: ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
