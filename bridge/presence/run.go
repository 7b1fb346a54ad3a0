package presence

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// Bounds of the wire.
const (
	wordConns  = 200              // connections in one word
	pieceBytes = 512 << 10        // of one piece of everything, about
	askTime    = 10 * time.Second // for one piece
)

// word is what a node tells of its connections. Without any it is a beat.
type word struct {
	Life uint64   `json:"life"`
	Rev  uint64   `json:"rev"` // number of this word; of a beat, that of the word before
	Set  []Conn   `json:"set,omitempty"`
	Gone []string `json:"gone,omitempty"`
}

func (w *word) beat() bool { return len(w.Set)+len(w.Gone) == 0 }

// part is a piece of everything that a node has, in the order of ids.
type part struct {
	Life  uint64 `json:"life"`
	Rev   uint64 `json:"rev"`
	Conns []Conn `json:"conns"`
	More  bool   `json:"more"`
}

// node is what is known of another node.
type node struct {
	*members
	life   uint64
	heard  time.Time // when it said something last
	asking bool
	late   []word // came while it was being asked
	holes  bool   // some of those were lost
}

// event is something for Run: a word, a gap (no body), nodes, or what a node has
// answered.
type event struct {
	from  string
	body  []byte
	nodes []backplane.Node
	all   *node // nil with done: it did not answer
	done  bool
}

// put hands an event to Run, or drops it.
func (d *Directory) put(e event) {
	select {
	case d.heard <- e:
	default:
		d.count.dropped.Add(1)
	}
}

// list hands the nodes to Run. A newer list replaces one that waits; none is lost, for
// nobody tells it again. The mux calls it, one call at a time.
func (d *Directory) list(nodes []backplane.Node) {
	select {
	case <-d.listed:
	default:
	}
	d.listed <- nodes
}

// Run takes what the others tell and tells of own changes, until ctx ends. It returns
// nil.
func (d *Directory) Run(ctx context.Context) error {
	beat := time.NewTicker(d.cfg.Beat)
	defer beat.Stop()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	answers := make(chan event)
	ask := func(name string) {
		tasks.Go(func() {
			all, err := d.everything(ctx, name)
			if err != nil {
				d.cfg.Log.Debug("node does not tell its connections", "node", name, "err", err)
			}
			select {
			case answers <- event{from: name, all: all, done: true}:
			case <-ctx.Done():
			}
		})
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case nodes := <-d.listed:
			d.take(event{nodes: nodes}, ask)
		case e := <-d.heard:
			d.take(e, ask)
		case e := <-answers:
			d.take(e, ask)
		case <-d.wake:
			d.tell()
		case <-beat.C:
			d.say(word{Life: d.life, Rev: d.revision()})
		}
	}
}

func (d *Directory) revision() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.own.rev
}

// tell tells of the own connections that have changed.
func (d *Directory) tell() {
	d.mu.Lock()
	dirty := d.dirty
	d.dirty = map[string]struct{}{}
	d.mu.Unlock()
	w := word{Life: d.life}
	for id := range dirty {
		if c, ok := d.describe(id); ok {
			c.Node = d.self
			w.Set = append(w.Set, c)
		} else {
			w.Gone = append(w.Gone, id)
		}
		if len(w.Set)+len(w.Gone) == wordConns {
			d.say(d.note(w))
			w = word{Life: d.life}
		}
	}
	if !w.beat() {
		d.say(d.note(w))
	}
}

// note writes a word of our own down, and numbers it.
func (d *Directory) note(w word) word {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Rev = d.own.rev + 1
	d.own.apply(&w, d.self)
	return w
}

func (d *Directory) say(w word) {
	b, err := json.Marshal(w)
	if err == nil {
		err = d.mux.Publish(topic, backplane.Envelope{Kind: d.cfg.Kind, Target: topic, Body: b})
	}
	if err != nil {
		d.count.unsent.Add(1) // the next word, or beat, shows that it is missing
	}
}

func (m *members) apply(w *word, name string) {
	for _, c := range w.Set {
		c.Node = name
		m.set(c)
	}
	for _, id := range w.Gone {
		m.drop(id)
	}
	m.rev = w.Rev
}

// take is one event. ask asks a node for everything.
func (d *Directory) take(e event, ask func(string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var want []string
	switch {
	case e.nodes != nil:
		want = d.present(e.nodes)
	case e.done:
		want = d.answered(e)
	case e.from == d.self:
	case e.body == nil:
		want = d.doubt(e.from)
	default:
		want = d.word(e)
	}
	for _, name := range want {
		d.nodes[name].asking = true
		ask(name)
	}
}

// present drops the nodes that are gone, and has the new ones asked.
func (d *Directory) present(list []backplane.Node) (ask []string) {
	for name, n := range d.nodes {
		if !slices.ContainsFunc(list, func(n backplane.Node) bool { return n.Name == name }) {
			delete(d.nodes, name)
			if len(n.conns) > 0 {
				d.gone(slices.Collect(maps.Values(n.conns)))
			}
		}
	}
	for _, n := range list {
		if n.Name != d.self && d.nodes[n.Name] == nil {
			d.nodes[n.Name] = &node{members: newMembers(), heard: time.Now()}
			ask = append(ask, n.Name)
		}
	}
	return ask
}

// doubt has a node asked of which something was missed.
func (d *Directory) doubt(name string) (ask []string) {
	n := d.nodes[name]
	switch {
	case n == nil:
		return nil
	case n.asking:
		n.holes = true
		return nil
	}
	return []string{name}
}

// word takes what a node tells.
func (d *Directory) word(e event) (ask []string) {
	var w word
	n := d.nodes[e.from]
	if err := json.Unmarshal(e.body, &w); err != nil {
		d.count.malformed.Add(1)
		return d.doubt(e.from)
	}
	if n == nil {
		return nil // it is asked when it is listed
	}
	n.heard = time.Now()
	switch {
	case n.asking && w.beat():
		return nil
	case n.asking && len(n.late) >= d.cfg.Inbox:
		n.holes = true
		return nil
	case n.asking:
		n.late = append(n.late, w)
		return nil
	case w.Life == n.life && w.beat() && w.Rev == n.rev:
		return nil
	case w.Life == n.life && !w.beat() && w.Rev == n.rev+1:
		n.apply(&w, e.from)
		return nil
	case w.Life == n.life && !w.beat() && w.Rev <= n.rev:
		return nil // it was in the answer
	}
	return []string{e.from}
}

// answered takes everything that a node has, and what it has told since. Where some of
// that is missing the next word shows it.
func (d *Directory) answered(e event) (ask []string) {
	n := d.nodes[e.from]
	if n == nil || !n.asking {
		return nil
	}
	late, holes := n.late, n.holes
	n.asking, n.late, n.holes = false, nil, false
	if e.all == nil {
		return nil // its next beat has it asked again
	}
	d.count.synced.Add(1)
	if n.life != 0 && n.life != e.all.life && len(n.conns) > 0 { // it has begun anew before it was missed
		d.gone(slices.Collect(maps.Values(n.conns)))
	}
	n.members, n.life, n.heard = e.all.members, e.all.life, time.Now()
	for i := range late {
		if w := &late[i]; w.Life == n.life && w.Rev > n.rev {
			if w.Rev != n.rev+1 {
				holes = true
				break
			}
			n.apply(w, e.from)
		}
	}
	if holes {
		return []string{e.from}
	}
	return nil
}

var errOther = errors.New("presence: the node has begun anew meanwhile")

// everything asks a node for all of its connections, piece by piece. Its number is that
// of the first piece: what was told since is applied to it, and is the newer word.
func (d *Directory) everything(ctx context.Context, name string) (*node, error) {
	all := &node{members: newMembers()}
	after, first := "", true
	for {
		var p part
		var err error = backplane.ErrNoNode
		one, stop := context.WithTimeout(ctx, askTime)
		d.mux.Ask(one, d.cfg.Kind, []string{name}, []byte(after), func(_ string, answer []byte, failed error) bool {
			if err = failed; err == nil {
				err = json.Unmarshal(answer, &p)
			}
			return false
		})
		stop()
		if err != nil {
			return nil, err
		}
		if first {
			all.life, all.rev, first = p.Life, p.Rev, false
		}
		if p.Life != all.life {
			return nil, errOther
		}
		for _, c := range p.Conns {
			c.Node = name
			all.set(c)
			after = c.ID
		}
		if !p.More || len(p.Conns) == 0 {
			return all, nil
		}
	}
}

// piece answers the own connections behind an id.
func (d *Directory) piece(after string) ([]byte, error) {
	d.mu.Lock()
	p := part{Life: d.life, Rev: d.own.rev}
	ids := make([]string, 0, len(d.own.conns))
	for id := range d.own.conns {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	size := 0
	for _, id := range ids {
		c := d.own.conns[id]
		if size += 128 + 32*(len(c.Groups)+len(c.Attributes)) + len(c.About); size > pieceBytes && len(p.Conns) > 0 {
			p.More = true
			break
		}
		p.Conns = append(p.Conns, c)
	}
	d.mu.Unlock()
	return json.Marshal(p)
}
