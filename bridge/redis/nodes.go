package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

func (c Config) nodeKey(name string) string { return c.Prefix + ":node:" + name }
func (c Config) nodesKey() string           { return c.Prefix + ":nodes" }

// live says at each heartbeat that this node lives, and looks who else does. It ends
// with ctx, or with backplane.ErrTwice.
func (p *Plane) live(ctx context.Context) error {
	var b backoff
	first := true
	for {
		err := p.beat(ctx, first)
		wait := p.cfg.Heartbeat
		switch {
		case ctx.Err() != nil:
			return nil
		case err == backplane.ErrTwice:
			return fmt.Errorf("node %s: %w", p.cfg.Node, err)
		case err != nil:
			p.state(false)
			wait = min(b.next(), p.cfg.Heartbeat)
		default:
			first, b = false, backoff{}
			p.state(true)
			p.out.beat()
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// beat renews the node's key. A key of another life means that a newer process has
// this name; the first beat takes it over.
func (p *Plane) beat(ctx context.Context, first bool) error {
	me, _ := json.Marshal(p.self) // plain fields
	out, err := p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Get().Key(p.cfg.nodeKey(p.cfg.Node)).Build()}
	})
	if err != nil {
		return err
	}
	if text, err := out[0].ToString(); err == nil && !first {
		var n backplane.Node
		if json.Unmarshal([]byte(text), &n) == nil && n.Life != p.self.Life {
			return backplane.ErrTwice
		}
	}
	out, err = p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{
			b.Set().Key(p.cfg.nodeKey(p.cfg.Node)).Value(string(me)).PxMilliseconds(p.cfg.NodeTimeout.Milliseconds()).Build(),
			b.Sadd().Key(p.cfg.nodesKey()).Member(p.cfg.Node).Build(),
			b.Smembers().Key(p.cfg.nodesKey()).Build(),
		}
	})
	if err != nil {
		return err
	}
	names, err := out[2].AsStrSlice()
	if err != nil {
		return err
	}
	if err := p.look(ctx, names); err != nil {
		return err
	}
	if first {
		p.call(ctx)
	}
	return nil
}

// look reads who of the named nodes lives, and tidies up after the others.
func (p *Plane) look(ctx context.Context, names []string) error {
	slices.Sort(names)
	out, err := p.s.do(ctx, func(b rueidis.Builder) (list rueidis.Commands) {
		for _, n := range names {
			list = append(list, b.Get().Key(p.cfg.nodeKey(n)).Build())
		}
		return list
	})
	if err != nil {
		return err
	}
	alive := []backplane.Node{p.self}
	var dead []string
	for i, r := range out {
		var n backplane.Node
		text, err := r.ToString()
		switch {
		case names[i] == p.cfg.Node:
		case err != nil || json.Unmarshal([]byte(text), &n) != nil || n.Name != names[i]:
			dead = append(dead, names[i])
		default:
			alive = append(alive, n)
		}
	}
	slices.SortFunc(alive, func(a, b backplane.Node) int { return strings.Compare(a.Name, b.Name) })
	p.mu.Lock()
	same := slices.Equal(p.nodes, alive)
	p.nodes = alive
	p.mu.Unlock()
	if !same {
		p.in.put(arrival{nodes: alive})
	}
	if len(dead) == 0 {
		return nil
	}
	_, err = p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Srem().Key(p.cfg.nodesKey()).Member(dead...).Build()}
	})
	return err
}

// call has every other node look at once who is there: a word without envelopes on
// the channel that all listen to.
func (p *Plane) call(ctx context.Context) {
	_, _ = p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands { // they look at their next beat else
		return rueidis.Commands{b.Publish().Channel(p.cfg.callChannel()).Message(p.cfg.Node).Build()}
	})
}

func (c Config) callChannel() string { return c.Prefix + ":call" }

// called is somebody's call: who is there is read anew.
func (p *Plane) called(ctx context.Context) {
	out, err := p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Smembers().Key(p.cfg.nodesKey()).Build()}
	})
	if err != nil {
		return
	}
	if names, err := out[0].AsStrSlice(); err == nil {
		_ = p.look(ctx, names) // the next beat looks again
	}
}

// farewell takes leave of the others, within patience.
func (p *Plane) farewell() {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	_, err := p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{
			b.Del().Key(p.cfg.nodeKey(p.cfg.Node)).Build(), b.Srem().Key(p.cfg.nodesKey()).Member(p.cfg.Node).Build(),
			b.Del().Key(p.cfg.stream(channel{backplane.Inbox, p.cfg.Node})).Build(),
		}
	})
	if err == nil {
		p.call(ctx)
	}
}
