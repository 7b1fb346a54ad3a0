package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// place is what stands under a node's name at the server: whose the name is, until
// the node has been silent for a node timeout.
//
// A name is whose it is: who comes later is refused. Three things are told apart.
// A process that was killed a moment ago has left its name behind, and its next start
// takes it over: it shows the same home, which only one process at a time can have
// open. A name that is not there is taken by the first who writes it. And where the
// server was emptied a newcomer may find the name of a living node free: so he gives
// way to whoever has said it before, until he has said it twice himself.
type place struct {
	backplane.Node
	Home string `json:"home,omitempty"` // see [Config.Home]
	New  bool   `json:"new,omitempty"`  // this was said once
}

// claim is what a node may do about its name.
type claim int

const (
	taken claim = iota // it is another's
	free               // nobody has it
	ours               // it may be written over
)

// claimOf judges what stands under our name; first: we have not said it yet.
func (p *Plane) claimOf(text string, first bool) (claim, place) {
	var there place
	if text == "" || json.Unmarshal([]byte(text), &there) != nil {
		return free, place{}
	}
	sameHome := there.Home != "" && there.Home == p.cfg.Home
	switch {
	case there.Life == p.self.Life, first && sameHome, !first && !sameHome && there.New:
		return ours, there
	}
	return taken, there
}

// Free tells whether this node may have its name: nil, or backplane.ErrTwice where a
// process of another home has it and was heard within the node timeout. Run finds that
// by itself; this is for who wants to know before. It may block for as long as the
// server takes; another error is the server's.
func (p *Plane) Free(ctx context.Context) error {
	text, err := p.underName(ctx)
	if err != nil {
		return err
	}
	if c, there := p.claimOf(text, true); c == taken {
		return p.refusal(there)
	}
	return nil
}

func (p *Plane) underName(ctx context.Context) (string, error) {
	out, err := p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Get().Key(p.cfg.nodeKey(p.cfg.Node)).Build()}
	})
	if err != nil {
		return "", err
	}
	text, err := out[0].ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return "", err
	}
	return text, nil
}

func (p *Plane) refusal(there place) error {
	return fmt.Errorf("node %s: %w: it runs since %s with a data directory of its own, and was heard within %s", p.cfg.Node, backplane.ErrTwice,
		there.Since.Format(time.RFC3339), p.cfg.NodeTimeout)
}

// say writes our name down; first: for the first time. It answers an ErrTwice where
// that is another's.
func (p *Plane) say(ctx context.Context, first bool) error {
	text, err := p.underName(ctx)
	if err != nil {
		return err
	}
	c, there := p.claimOf(text, first)
	if c == taken {
		return p.refusal(there)
	}
	me, _ := json.Marshal(place{Node: p.self, Home: p.cfg.Home, New: first}) // plain fields
	out, err := p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		set := b.Set().Key(p.cfg.nodeKey(p.cfg.Node)).Value(string(me))
		if first && c == free {
			return rueidis.Commands{set.Nx().PxMilliseconds(p.cfg.keyLife().Milliseconds()).Build()}
		}
		return rueidis.Commands{set.PxMilliseconds(p.cfg.keyLife().Milliseconds()).Build()}
	})
	if err == nil && rueidis.IsRedisNil(out[0].Error()) { // somebody was quicker
		return fmt.Errorf("node %s: %w: it has started at the same moment", p.cfg.Node, backplane.ErrTwice)
	}
	return err
}
