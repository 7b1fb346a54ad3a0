package relay

import (
	"strconv"

	"github.com/tacet-hub/tacet/broker/interest"
)

// peer is another node, as far as it has told. It is a pure state machine.
type peer struct {
	name    string
	life    uint64 // 0: heard, and not yet seen among the nodes
	told    bool   // its facts are known
	version uint64 // of them
	asked   bool   // for all of them
	mute    bool   // it did not answer a question, and nothing was heard of it since
	sent    uint64 // version of ours that it has; 0: none
	refused bool   // the wire did not take what it was to be told: the next beat tries again
	knows   uint64 // version of ours that it has said it has
	checked uint64 // version of ours that it was asked for; 0: none, or the question may be lost

	unsure  unsure // what was sent to it
	marked  uint64 // so far it had sent, as it has said since our last beat; 0: it has not
	settled uint64 // and before that

	owed   bool   // it lacks what is retained here: the wire did not take it
	digest uint64 // of its sums, at its last beat
	ours   uint64 // of ours then

	wants   interest.Tree
	filters map[string]struct{}
	shares  map[string]int
	clients map[string]string   // value of the fact, by client id
	sides   map[string]bool     // true: it is linked
	notes   map[string]struct{} // topics
	coming  map[string]string   // of a telling of all that has not ended
}

func newPeer(name string, life uint64) *peer {
	return &peer{name: name, life: life, filters: map[string]struct{}{}, shares: map[string]int{}, clients: map[string]string{}, sides: map[string]bool{}, notes: map[string]struct{}{}}
}

// take takes a telling in; false: one before it is missing.
func (p *peer) take(t telling, changed func(client, is string)) bool {
	if t.from == 0 {
		p.whole(t, changed)
		return true
	}
	switch {
	case !p.told || t.from > p.version:
		return false
	case t.to <= p.version:
		return true // it was in what was told as a whole
	}
	for _, x := range t.list {
		p.set(x, changed)
	}
	if t.last {
		p.version = t.to
	}
	return true
}

// whole takes part of a telling of all facts.
func (p *peer) whole(t telling, changed func(client, is string)) {
	if t.first {
		p.coming = map[string]string{}
	}
	if p.coming == nil {
		return // the first part is missing: it was or will be asked for again
	}
	for _, x := range t.list {
		p.coming[x.key] = x.value
	}
	if !t.last {
		return
	}
	for _, k := range p.keys() {
		if _, ok := p.coming[k]; !ok {
			p.set(fact{key: k, gone: true}, changed)
		}
	}
	for k, v := range p.coming {
		p.set(fact{key: k, value: v}, changed)
	}
	p.coming, p.told, p.asked, p.version = nil, true, false, t.to
}

func (p *peer) keys() (all []string) {
	for f := range p.filters {
		all = append(all, key(aboutFilter, f))
	}
	for f := range p.shares {
		all = append(all, key(aboutShare, f))
	}
	for c := range p.clients {
		all = append(all, key(aboutClient, c))
	}
	for s := range p.sides {
		all = append(all, key(aboutSide, s))
	}
	for n := range p.notes {
		all = append(all, key(aboutNote, n))
	}
	return all
}

func (p *peer) set(x fact, changed func(client, is string)) {
	name := x.key[1:]
	switch x.key[0] {
	case aboutFilter:
		_, has := p.filters[name]
		switch {
		case x.gone && has:
			delete(p.filters, name)
			p.wants.Remove(name)
		case !x.gone && !has:
			p.filters[name] = struct{}{}
			p.wants.Add(name)
		}
	case aboutShare:
		if n, err := strconv.Atoi(x.value); x.gone || err != nil {
			delete(p.shares, name)
		} else {
			p.shares[name] = n
		}
	case aboutClient:
		if x.gone {
			delete(p.clients, name)
			return
		}
		p.clients[name] = x.value
		changed(name, x.value)
	case aboutSide:
		if delete(p.sides, name); !x.gone {
			p.sides[name] = x.value == sideLinked
		}
	case aboutNote:
		mark(p.notes, name, !x.gone)
	}
}

func mark(set map[string]struct{}, name string, in bool) {
	if delete(set, name); in {
		set[name] = struct{}{}
	}
}

// mayWant tells whether the node has, or may have, somebody who subscribes to a topic.
func (p *peer) mayWant(topic string) bool { return !p.told || p.wants.Match(topic) }
