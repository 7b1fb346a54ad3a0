package proof

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	mirrorRetry = time.Second      // until what has failed is tried again
	wordEvery   = 5 * time.Second  // how often a node says up to when all is there
	fallenEvery = 30 * time.Second // how often it looks whether it knows more of those that do not live
	keepEvery   = time.Hour        // how often it has its files stay
	lastTime    = time.Second      // for what is written at the end
)

// mirror brings what is on the disk to what the nodes have in common. It has no queue:
// it knows how far that goes, and reads what is missing there from the files.
type mirror struct {
	b      *Book
	c      Common
	living func() []string

	texts map[string]string // of this node there; nil: that is not known
	since uint64            // the version of this node's records that is there
	word  string            // this node's, as it was written last; empty: it was not, or may have been
	said  int64             // when that was
	kept  int64             // when its files were told to stay
	swept int64             // when those that do not live were looked at
	lived []string          // who lived then
	told  map[place]string  // what is wrong with a record, and was logged
}

// Mirror brings what is recorded here to what the nodes have in common, as soon as it is
// written, and what was copied of nodes that do not live and is not there, until ctx
// ends, and then once more when Run has returned. It returns nil. While that cannot be
// reached, and where it was emptied or set back, what is missing comes later, from the
// disk. living are the nodes that live. Run must run.
func (b *Book) Mirror(ctx context.Context, c Common, living func() []string) error {
	m := &mirror{b: b, c: c, living: living, told: map[place]string{}}
	tick := time.NewTicker(mirrorRetry)
	defer tick.Stop()
	for failing := false; ; {
		err := m.round(ctx)
		wake := b.grew
		if err != nil {
			m.failed(ctx, err, failing)
			wake = nil
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			m.last(context.WithoutCancel(ctx))
			return nil
		case <-wake:
		case <-tick.C:
		}
	}
}

// last brings the end of the record. It is as short as the stop of a hub has to be.
func (m *mirror) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	select {
	case <-m.b.done:
	case <-ctx.Done():
		return
	}
	now := m.b.clock()
	err := m.own(ctx)
	if err == nil {
		err = m.say(ctx, now)
	}
	if err != nil {
		m.failed(ctx, err, false)
	}
}

// failed notes that what is there is not known; the first time it tells.
func (m *mirror) failed(ctx context.Context, err error, again bool) {
	m.texts, m.word = nil, ""
	m.b.count.mirrorFailed.Add(1)
	if !again && ctx.Err() == nil {
		m.b.log.Warn("record does not reach what the nodes have in common; it comes later", "node", m.b.cfg.Node, "err", err)
	}
}

// round brings all that is missing, and says so now and then.
func (m *mirror) round(ctx context.Context) error {
	now := m.b.clock()
	if err := m.own(ctx); err != nil || m.texts == nil {
		return err
	}
	if now-m.said >= wordEvery.Milliseconds() {
		if err := m.say(ctx, now); err != nil {
			return err
		}
	}
	living := slices.Sorted(slices.Values(m.living()))
	if now-m.swept < fallenEvery.Milliseconds() && slices.Equal(living, m.lived) {
		return nil
	}
	m.swept, m.lived = now, living
	return m.fallen(ctx, living)
}

// own brings this node's records.
func (m *mirror) own(ctx context.Context) (err error) {
	changed, newest, ok := m.b.changed(m.since)
	if !ok {
		return nil
	}
	if m.texts == nil {
		if m.texts, err = m.c.Texts(ctx, m.b.cfg.Node); err != nil {
			m.texts = nil
			return err
		}
		if m.texts == nil {
			m.texts = map[string]string{}
		}
		changed, newest, _ = m.b.changed(0)
	}
	for a, h := range changed {
		if err := m.push(ctx, place{m.b.cfg.Node, a}, h, m.texts); err != nil {
			return err
		}
	}
	m.since = newest
	return nil
}

// changed is how far the records go that have changed since a version; false: the records
// are not open yet.
func (b *Book) changed(since uint64) (list map[area.Name]head, newest uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list = map[area.Name]head{}
	for a, v := range b.heads {
		if v.at > since {
			list[a] = v.head
		}
	}
	return list, b.newest, b.begun
}

// say tells up to when all is there, and finds out whether what was said last is: else
// this is another server, or it was emptied or set back.
func (m *mirror) say(ctx context.Context, now int64) error {
	c, err := against(ctx, m.c, m.b.clock)
	if err != nil {
		return err
	}
	var files []string
	keep := now-m.kept >= keepEvery.Milliseconds()
	if keep {
		files = filesOf(m.texts)
	}
	text := word{Now: now, Ahead: c.Ahead, Error: c.Error}.text()
	there, err := m.c.Keep(ctx, m.b.cfg.Node, wordText, text, files)
	if err != nil {
		return err
	}
	was := m.word
	m.word = text
	if was != "" && was != there {
		m.texts, m.swept, m.kept = nil, 0, 0
		return m.own(ctx) // and the next round says so
	}
	if m.said = now; keep {
		m.kept = now
	}
	return nil
}

func (w word) text() string {
	b, _ := json.Marshal(w) // plain fields
	return string(b)
}

// filesOf are the files of all indices of a node.
func filesOf(texts map[string]string) (files []string) {
	for name, text := range texts {
		for _, kind := range []string{indexText, asideText} {
			if a, ok := areaOf(name, kind); ok {
				if x, err := parseIndex(text); err == nil {
					files = append(files, x.files(a)...)
				}
			}
		}
	}
	return files
}
