package reign

import (
	"fmt"

	"github.com/tacet-hub/tacet/broker/area"
)

// Call is a call to the store that is due: its changes, or else the areas whose heads
// are to be read.
type Call struct {
	Changes []Change
	Areas   []area.Name

	sent   area.Instant
	writes []pending
	looks  []*chair
}

// pending is a write under way.
type pending struct {
	c    *chair
	head Head
	give bool
	mark bool // it takes nothing yet
}

// Step takes up what was asked for and answers the call to the store that is due; nil:
// none is. The caller does it and hands the answer to Answer, before anything else.
// Run does so; it is for who runs a keeper without a goroutine, as simulations do.
func (k *Keeper) Step() *Call {
	k.takeUp()
	k.settle()
	now := k.clock()
	if now >= k.looks {
		if c := k.look(now); c != nil {
			return c
		}
	}
	return k.write(now)
}

// Answer takes in what the store has answered to a call. After an error nobody knows
// what was done.
func (k *Keeper) Answer(c *Call, heads []string, out []Result, link uint64, err error) {
	if c.Changes == nil {
		k.seen(c, heads, link, err)
		return
	}
	if err == nil && len(out) != len(c.writes) {
		err = fmt.Errorf("reign: %d changes are answered by %d results", len(c.writes), len(out))
	}
	for i, p := range c.writes {
		if err != nil {
			k.unanswered(p, c.Changes[i].Head, err)
			continue
		}
		k.answered(p, c.Changes[i], out[i], link, c.sent)
	}
}

// write gathers the writes that are due.
func (k *Keeper) write(now area.Instant) *Call {
	call := &Call{}
	for _, c := range k.sorted() {
		if c.due(k.cfg.Beat) > now {
			continue
		}
		p := pending{c: c}
		ch := Change{Area: c.name, Was: c.text}
		todo := c.todo
		if todo == nil {
			todo = &Commit{}
		}
		if p.mark = c.absent(); p.mark {
			p.head = c.mark()
		} else {
			p.head, p.give = c.next(todo.Term), c.mine && c.give
		}
		if p.give {
			p.head.Owner = ""
		}
		if c.mine {
			ch.Core, ch.Led = todo.Core, todo.Led
		} else {
			ch.Link, ch.Read = c.link, true
		}
		ch.Head = p.head.encode()
		call.writes, call.Changes = append(call.writes, p), append(call.Changes, ch)
	}
	if len(call.writes) == 0 {
		return nil
	}
	call.sent = k.clock()
	return call
}

// unanswered notes that nobody knows whether a write was done.
func (k *Keeper) unanswered(p pending, head string, err error) {
	k.count.failed.Add(1)
	p.c.retry = k.clock().Add(k.cfg.Beat / 4)
	p.c.tried(head)
	if p.c.mine {
		p.c.answer(err)
	}
}

func (k *Keeper) answered(p pending, ch Change, r Result, link uint64, sent area.Instant) {
	c := p.c
	k.count.writes.Add(1)
	c.retry, c.away = 0, false
	switch {
	case !r.Done && c.mine:
		if c.found(r.Found, link, k.clock()) {
			return // a write of ours whose answer was lost: once more, on top of it
		}
		k.count.lost.Add(1)
		k.cfg.Log.Warn("area lost to another record", "area", c.name, "node", k.cfg.Node)
		c.answer(ErrNotOurs)
		k.tell(c)
	case !r.Done: // somebody else was quicker, or the entry was written meanwhile
		c.tries = nil
		c.saw(r.Found, link, k.clock())
		c.since = k.clock()
		k.tell(c)
	case p.mark:
		c.tries = nil
		c.saw(ch.Head, link, k.clock())
		k.tell(c)
	case p.give:
		c.lose()
		c.saw(ch.Head, link, k.clock())
		c.give, c.out = false, true
		k.count.gave.Add(1)
		c.answer(nil)
		k.tell(c)
	default:
		k.reigns(c, p.head, ch.Head, r, link, sent)
	}
}

// reigns notes a write of a reign of ours.
func (k *Keeper) reigns(c *chair, h Head, text string, r Result, link uint64, sent area.Instant) {
	begun := c.wrote(h, text, link, sent)
	s := State{Mine: true, Owner: k.cfg.Node, Life: k.cfg.Life, Term: c.last.Term, Until: c.until}
	if begun {
		k.count.taken.Add(1)
		k.cfg.Log.Info("area taken", "area", c.name, "node", k.cfg.Node, "lease", h.Term)
		s.Begun, s.Term, s.Core, s.Led = true, h.Term, r.Core, r.Led
	}
	c.last = s
	c.last.Begun, c.last.Core, c.last.Led = false, nil, nil
	c.told(s)
	if !begun {
		c.answer(nil)
	}
}

// look has the heads of the areas read that are not ours.
func (k *Keeper) look(now area.Instant) *Call {
	k.looks = now.Add(k.cfg.Beat)
	call := &Call{}
	for _, c := range k.sorted() {
		if !c.mine {
			call.looks, call.Areas = append(call.looks, c), append(call.Areas, c.name)
		}
	}
	if len(call.looks) == 0 {
		return nil
	}
	return call
}

func (k *Keeper) seen(call *Call, heads []string, link uint64, err error) {
	now := k.clock()
	for i, c := range call.looks {
		if c.away = err != nil || len(heads) != len(call.looks); c.away {
			c.blind()
		} else {
			c.saw(heads[i], link, now)
		}
		k.tell(c)
	}
}
