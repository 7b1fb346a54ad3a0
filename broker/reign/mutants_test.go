package reign

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// A rig is nodes and their ledger in simulated time: what is under way takes up to
// five seconds and gets lost, connections break, processes start anew, and the
// ledger forgets everything or goes back to what a replica knew. A bug breaks one
// rule of §8.1, by what is done to the seats from outside.
type rig struct {
	dice   *rand.Rand
	now    area.Instant
	head   string
	before []string // heads that a replica may have
	nodes  []*rigNode
	bug    string

	reigns, overlaps int
}

type rigNode struct {
	seat
	conn uint64       // its connection to the ledger
	away area.Instant // until then it reaches nothing
	op   *rigOp       // under way
	next area.Instant
}

// rigOp is a read or a write under way.
type rigOp struct {
	sent, there, back area.Instant
	conn              uint64
	was, text         string // of a write
	head              Head
	link              uint64
	write, arrived    bool
	mark              bool
	done              bool
	found             string
}

const (
	rigTTL  = 10 * time.Second
	rigBeat = 2500 * time.Millisecond
	rigStep = 20 * time.Millisecond
	rigCalm = rigStep * 4000 / 7
)

func newRig(seed uint64, bug string) *rig {
	r := &rig{dice: rand.New(rand.NewPCG(seed, 7)), bug: bug, now: 1}
	for i := range 3 {
		n := &rigNode{conn: 1}
		r.nodes = append(r.nodes, n)
		r.begin(i)
	}
	return r
}

// begin starts the process of a node, which knows nothing of an earlier one.
func (r *rig) begin(i int) {
	n := r.nodes[i]
	n.seat = seat{self: fmt.Sprintf("hub-%d", i), life: fmt.Sprintf("%d", r.dice.Uint64()), index: uint64(i), ttl: rigTTL}
	n.op, n.conn, n.next = nil, n.conn+1, r.now
}

func (r *rig) delay() time.Duration {
	if r.dice.IntN(4) == 0 {
		return time.Duration(r.dice.Int64N(int64(5 * time.Second)))
	}
	return time.Duration(1+r.dice.IntN(5)) * time.Millisecond
}

// run goes on for a while, from one of the moments at which something is due to the next;
// they are 20 ms apart, or a multiple of that. Between faults are 11 s in the middle.
func (r *rig) run(d time.Duration) {
	fault := r.now
	for end := r.now.Add(d); r.now < end; r.now = r.now.Add(rigStep * ((r.due(fault).Sub(r.now)-1)/rigStep + 1)) {
		if r.now >= fault {
			r.fault()
			fault = r.now.Add(time.Duration(r.dice.ExpFloat64() * float64(rigCalm)))
		}
		mine := 0
		for _, n := range r.nodes {
			r.step(n)
			if n.mine && r.now < n.until {
				mine++
			}
		}
		if mine > 1 {
			r.overlaps++
		}
	}
}

// due is when the next thing happens, later than now.
func (r *rig) due(fault area.Instant) area.Instant {
	due := fault
	for _, n := range r.nodes {
		switch op := n.op; {
		case op == nil:
			due = min(due, n.next)
		case !op.arrived:
			due = min(due, op.there)
		default:
			due = min(due, op.back)
		}
		if n.mine {
			due = min(due, n.until)
		}
	}
	return max(due, r.now+1)
}

func (r *rig) fault() {
	switch i := r.dice.IntN(len(r.nodes)); r.dice.IntN(7) {
	case 0, 1, 2:
		n := r.nodes[i]
		n.conn++
		if r.dice.IntN(2) == 0 {
			n.away = r.now.Add(time.Duration(r.dice.Int64N(int64(3 * rigTTL))))
		}
	case 3:
		r.begin(i)
	case 4:
		r.head = ""
	case 5, 6: // a replica becomes the ledger
		if len(r.before) > 0 {
			r.head = r.before[r.dice.IntN(len(r.before))]
		}
		for _, n := range r.nodes {
			n.conn++
		}
	}
}

// step does what is due at a node.
func (r *rig) step(n *rigNode) {
	if r.bug == "a reign has no end" && n.mine {
		n.until = area.Never
	}
	n.over(r.now)
	if op := n.op; op != nil {
		if r.now >= op.there && !op.arrived {
			r.arrive(n, op)
		}
		if r.now >= op.back {
			n.op = nil
			r.answer(n, op)
		}
		return
	}
	if r.now < n.next {
		return
	}
	op := &rigOp{sent: r.now, there: r.now.Add(r.delay()), conn: n.conn}
	if r.now < n.away {
		op.conn = 0
	}
	op.back = op.there.Add(r.delay())
	takes := n.takeAt() <= r.now
	if r.bug == "absence is waited for" && n.absent() {
		takes = n.since.Add(rigTTL) <= r.now
	}
	if r.bug == "the area is taken at once" && !n.mine && n.link != 0 && n.head.Owner != n.self {
		takes = true
	}
	if n.mine || takes {
		op.write, op.was, op.mark = true, n.text, n.absent() && r.bug != "absence is waited for"
		if op.head = n.seat.next(0); op.mark {
			op.head = n.seat.mark()
		}
		op.text = op.head.encode()
		if !n.mine {
			op.link = n.link
		}
	}
	n.op, n.next = op, r.now.Add(100*time.Millisecond)
	if n.mine {
		n.next = r.now.Add(rigBeat)
	}
}

// arrive is the ledger's part.
func (r *rig) arrive(n *rigNode, op *rigOp) {
	op.arrived, op.found = true, r.head
	if op.conn != n.conn {
		return
	}
	same := op.was == r.head || r.bug == "writes do not compare"
	if op.write && same && (op.link == 0 || op.link == op.conn || r.bug == "the wait goes on over a new connection") {
		if r.before = append(r.before, r.head); len(r.before) > 3 {
			r.before = r.before[1:]
		}
		r.head, op.done = op.text, true
	}
}

// answer is what the node makes of what came back.
func (r *rig) answer(n *rigNode, op *rigOp) {
	switch {
	case op.conn != n.conn && op.write: // nobody knows
		n.tried(op.text)
		n.next = r.now
	case op.conn != n.conn:
		n.blind()
	case op.done && op.mark:
		n.saw(op.text, op.conn, r.now)
	case op.done:
		r.count(n.wrote(op.head, op.text, op.conn, op.sent))
		if r.bug == "a reign counts from the answer" {
			n.until = n.until.Add(r.now.Sub(op.sent))
		}
	case op.write:
		n.found(op.found, op.conn, r.now)
	case n.mine:
	default:
		text, since := n.text, n.since
		n.saw(op.found, op.conn, r.now)
		if r.bug == "the wait goes on over a new connection" && text == n.text && since != 0 {
			n.since = since
		}
		if r.bug == "a change begins no new wait" && since != 0 {
			n.since = since
		}
	}
}

func (r *rig) count(begun bool) {
	if begun {
		r.reigns++
	}
}

// TestRulesOfAReign: no two nodes ever reign at once, and a node that breaks a rule
// of §8.1 is found.
func TestRulesOfAReign(t *testing.T) {
	const seeds = 40
	reigns := 0
	for seed := range uint64(seeds) {
		r := newRig(seed, "")
		r.run(time.Hour)
		if reigns += r.reigns; r.overlaps > 0 {
			t.Errorf("seed %d has two reigns at once", seed)
		}
	}
	if t.Logf("%d reigns", reigns); reigns < 20*seeds {
		t.Errorf("%d reigns in %d seeds", reigns, seeds)
	}
	for _, bug := range []string{"the area is taken at once", "the wait goes on over a new connection", "a change begins no new wait", "a reign counts from the answer",
		"a reign has no end", "absence is waited for", "writes do not compare"} {
		t.Run(bug, func(t *testing.T) {
			for seed := range uint64(seeds) {
				r := newRig(seed, bug)
				if r.run(time.Hour); r.overlaps > 0 {
					t.Logf("seed %d finds it", seed)
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}
