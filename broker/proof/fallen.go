package proof

import (
	"context"
	"errors"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// fallen brings what is known here of those that do not live, where less is there.
func (m *mirror) fallen(ctx context.Context, living []string) error {
	for node, areas := range m.b.copied() {
		if node == m.b.cfg.Node || slices.Contains(living, node) {
			continue
		}
		texts, err := m.c.Texts(ctx, node)
		if err != nil {
			return err
		}
		if texts == nil {
			texts = map[string]string{}
		}
		for a, h := range areas {
			if err := m.push(ctx, place{node, a}, h, texts); err != nil && !errors.Is(err, errMoved) { // or another brings the same
				return err
			}
		}
		if texts[wordText] != "" {
			continue
		}
		if err := m.sayOf(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

// sayOf gives the word of a node that cannot.
func (m *mirror) sayOf(ctx context.Context, node string) error {
	c, err := against(ctx, m.c, m.b.clock)
	if err != nil {
		return err
	}
	m.b.mu.Lock()
	p := m.b.peer(node)
	w := word{Ahead: c.Ahead + p.clock.Ahead, Error: c.Error + p.clock.Error}
	if p.heard > 0 {
		w.Now = p.heard + p.clock.Ahead
	}
	m.b.mu.Unlock()
	_, err = m.c.Keep(ctx, node, wordText, w.text(), nil)
	return err
}

// copied is how far the copies go, by node.
func (b *Book) copied() map[string]map[area.Name]head {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]map[area.Name]head{}
	for p, h := range b.got {
		if all[p.node] == nil {
			all[p.node] = map[area.Name]head{}
		}
		all[p.node][p.area] = h
	}
	return all
}
