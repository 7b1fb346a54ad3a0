package arbiter

import (
	"bytes"
	"maps"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// nodeServer is the Redis-compatible server of a nodeWorld: the ledger of areas.
type nodeServer struct {
	entries map[area.Name]nodeRecord
	before  []map[area.Name]nodeRecord // what a replica may have
	away    int64                      // it is not there until then
	still   int64                      // it does nothing until then
	wrote   int64                      // its newest write
	forgot  int64                      // when it last had less than was written
}

type nodeRecord struct {
	head      string
	core, led []byte
}

// patience is how long a node waits for an answer before it takes its connection for
// lost.
const nodePatience = 2 * time.Second

func (s *nodeServer) flush(w *nodeWorld) {
	w.log("the server forgets everything")
	w.r.flushes++
	s.entries, s.forgot = nil, w.now
}

// older has a replica that knew less become the server.
func (s *nodeServer) older(w *nodeWorld) {
	if len(s.before) == 0 {
		return
	}
	w.log("the server is an older one")
	w.r.olds++
	s.forgot = w.now
	s.entries = maps.Clone(s.before[w.rng.IntN(len(s.before))])
	for _, n := range w.nodes {
		n.conn++
	}
}

func (s *nodeServer) kill(w *nodeWorld, d time.Duration) {
	w.log("the server is killed for %v", d)
	w.r.flushes++
	s.entries, s.away, s.forgot = nil, w.now+int64(d), w.now
	for _, n := range w.nodes {
		n.conn++
	}
}

func (s *nodeServer) stall(w *nodeWorld, d time.Duration) {
	w.log("the server stands still for %v", d)
	w.r.stalls++
	s.still = w.now + int64(d)
}

func (s *nodeServer) heal(w *nodeWorld) { s.away, s.still = 0, 0 }

// nodeCall is a call of a node under way. Between the first half of a change, that
// looks, and the second, that writes, nobody else writes: the server sees to that.
type nodeCall struct {
	n     *simNode
	life  int
	conn  uint64
	call  *reign.Call
	over  bool // the node waits no longer
	heads []string
	out   []reign.Result
}

// ask sends a call of a node to the server.
func (s *nodeServer) ask(n *simNode, call *reign.Call) {
	w := n.w
	c := &nodeCall{n: n, life: n.life, conn: n.conn, call: call}
	n.call = c
	w.in(nodePatience, func() { // in the node's own time: also one that stood still waits no longer
		n.do(c.life, func() { c.end(reign.ErrAway) })
	})
	if w.now < s.away || n.isCut() {
		if w.now < s.away { // refused at once
			w.in(w.delay(), func() { n.do(c.life, func() { c.end(reign.ErrAway) }) })
		}
		return
	}
	w.in(w.delay(), func() { s.arrive(c) })
}

func (s *nodeServer) arrive(c *nodeCall) {
	w := c.n.w
	switch {
	case w.now < s.away || c.conn != c.n.conn && c.call.Changes == nil:
		return
	case w.now < s.still: // what has come is done once it goes on, unless the connection is closed meanwhile
		w.in(time.Duration(s.still-w.now)+w.upTo(10*time.Millisecond), func() { s.arrive(c) })
		return
	case c.conn != c.n.conn && w.rng.IntN(2) == 0:
		return
	}
	s.execute(c)
	back := w.delay()
	w.in(back, func() {
		if c.conn != c.n.conn || c.n.isCut() || w.now < s.away {
			return // the answer is lost
		}
		c.n.do(c.life, func() { c.end(nil) })
	})
}

func (s *nodeServer) execute(c *nodeCall) {
	w := c.n.w
	if c.call.Changes == nil {
		for _, a := range c.call.Areas {
			c.heads = append(c.heads, s.entries[a].head)
		}
		return
	}
	if s.entries == nil {
		s.entries = map[area.Name]nodeRecord{}
	}
	if w.rng.IntN(8) == 0 {
		if s.before = append(s.before, maps.Clone(s.entries)); len(s.before) > 3 {
			s.before = s.before[1:]
		}
	}
	for _, ch := range c.call.Changes {
		e := s.entries[ch.Area]
		taking := ch.Link != 0
		same := e.head == ch.Was || w.bug.noCompare || w.bug.noWait && taking
		r := reign.Result{Done: same && (!taking || ch.Link == c.conn || w.bug.noWait), Found: e.head}
		if ch.Read {
			r.Core, r.Led = bytes.Clone(e.core), bytes.Clone(e.led)
		}
		if r.Done {
			e.head = ch.Head
			if ch.Core != nil {
				e.core = bytes.Clone(ch.Core)
			}
			if ch.Led != nil {
				e.led = bytes.Clone(ch.Led)
			}
			s.entries[ch.Area], s.wrote = e, w.now
		} else {
			w.r.refused++
		}
		c.out = append(c.out, r)
	}
}

// end hands the answer to the node that asked; after an error its connection is
// another one.
func (c *nodeCall) end(err error) {
	if c.over {
		return
	}
	c.over = true
	n := c.n
	n.call = nil
	if err != nil {
		n.conn++
	}
	n.keeper.Answer(c.call, n.forge(c.heads), c.out, c.conn, err)
	n.pump()
}
