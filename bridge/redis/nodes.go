package redis

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// All keys of the node list have one hash tag: one server of a cluster has all of
// them, or none.
func (c Config) nodeKey(name string) string { return c.nodesKey() + ":" + name }
func (c Config) nodesKey() string           { return c.Prefix + ":{" + c.Prefix + "-nodes}" }

// live says at each heartbeat that this node lives, and looks who else does. It
// begins when what comes to the inbox is no longer missed: who sees this node may
// write to it. It ends with ctx, or with backplane.ErrTwice.
func (p *Plane) live(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-p.ready:
	}
	var b backoff
	first := true
	for {
		err := p.beat(ctx, first)
		wait := p.cfg.Heartbeat
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, backplane.ErrTwice):
			return err
		case err != nil:
			p.beats(false)
			wait = min(b.next(), p.cfg.Heartbeat)
		default:
			first, b = false, backoff{}
			p.beats(true)
			p.out.beat()
			wait = min(wait, p.untilExpiry())
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// beat says the node's name, and looks who else is there.
func (p *Plane) beat(ctx context.Context, first bool) error {
	if err := p.say(ctx, first); err != nil {
		return err
	}
	out, err := p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Sadd().Key(p.cfg.nodesKey()).Member(p.cfg.Node).Build(), b.Smembers().Key(p.cfg.nodesKey()).Build()}
	})
	if err != nil {
		return err
	}
	if added, err := out[0].AsInt64(); p.told.Swap(true) && err == nil && added > 0 {
		p.doubt()
		first = true
	}
	names, err := out[1].AsStrSlice()
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

// again says this node's name to a server that was emptied, and has the others do so:
// whoever starts now is to see them all.
func (p *Plane) again(ctx context.Context) {
	if p.say(ctx, false) != nil { // the next beat does, or finds out that the name is another's
		return
	}
	if _, err := p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Sadd().Key(p.cfg.nodesKey()).Member(p.cfg.Node).Build()}
	}); err == nil {
		p.call(ctx)
	}
}

// doubt notes that the server was emptied: for a node timeout nobody is taken for
// dead because it is not there.
func (p *Plane) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.emptied = time.Now()
}

// look reads who of the named nodes lives, and tidies up after the others. This node
// is read last: where even that is not there, the server was emptied meanwhile.
func (p *Plane) look(ctx context.Context, names []string) error {
	names = slices.DeleteFunc(names, func(n string) bool { return n == p.cfg.Node })
	told := p.told.Load()
	out, err := p.s.do(ctx, func(b rueidis.Builder) (list rueidis.Commands) {
		for _, n := range append(slices.Clip(names), p.cfg.Node) {
			list = append(list, b.Get().Key(p.cfg.nodeKey(n)).Build())
		}
		for _, n := range names {
			list = append(list, b.Pttl().Key(p.cfg.nodeKey(n)).Build())
		}
		return list
	})
	if err != nil {
		return err
	}
	p.expect(out[len(names)+1:])
	alive := []backplane.Node{p.self}
	var dead []string
	if told && rueidis.IsRedisNil(out[len(names)].Error()) {
		p.doubt()
		p.again(ctx)
	}
	for i, r := range out[:len(names)] {
		var n backplane.Node
		text, err := r.ToString()
		switch {
		case err != nil || json.Unmarshal([]byte(text), &n) != nil || n.Name != names[i]:
			dead = append(dead, names[i])
		default:
			alive = append(alive, n)
		}
	}
	p.found(alive)
	if len(dead) == 0 {
		return nil
	}
	_, err = p.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Srem().Key(p.cfg.nodesKey()).Member(dead...).Build()}
	})
	return err
}

// keyLife is how long a node's key lives: a little less than the node timeout, within
// which the others have to know of its death.
func (c Config) keyLife() time.Duration { return c.NodeTimeout - c.NodeTimeout/40 }

// expect notes when the first of the others is gone if it says no more: then it is
// looked for again, so that its death is known in time.
func (p *Plane) expect(left []rueidis.RedisResult) {
	next := time.Hour
	for _, r := range left {
		if ms, err := r.AsInt64(); err == nil && ms >= 0 {
			next = min(next, time.Duration(ms)*time.Millisecond)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expiry = time.Now().Add(next)
}

// afterExpiry is how long after its expiry a key is looked for.
const afterExpiry = 20 * time.Millisecond

// untilExpiry is how long it is until then.
func (p *Plane) untilExpiry() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(time.Until(p.expiry), 0) + afterExpiry
}

// found takes the nodes that were seen, and tells when they are others than before.
func (p *Plane) found(alive []backplane.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.emptied.IsZero() && time.Since(p.emptied) < p.cfg.NodeTimeout {
		for _, old := range p.nodes {
			if !slices.ContainsFunc(alive, func(n backplane.Node) bool { return n.Name == old.Name }) {
				alive = append(alive, old)
			}
		}
	}
	slices.SortFunc(alive, func(a, b backplane.Node) int { return strings.Compare(a.Name, b.Name) })
	if !slices.Equal(p.nodes, alive) {
		p.nodes = alive
		p.in.put(arrival{nodes: alive})
	}
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
			b.Del().Key(p.cfg.history(channel{backplane.Inbox, p.cfg.Node})).Build(),
		}
	})
	if err == nil {
		p.call(ctx)
	}
}
