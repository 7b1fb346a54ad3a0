package arbiter

import "slices"

// byItself looks at whether the node goes on by itself, and that nothing which it
// granted sounds once it does not any more.
func (n *simNode) byItself() {
	a := &n.desk.nodes.alone
	if n.w.bug.noRest && a.dark != 0 {
		a.wait, n.desk.nodes.post.heard = 0, 0
	}
	if a.dark == 0 {
		n.dark = 0
	} else if n.dark == 0 {
		n.dark = n.w.now
	}
	if n.w.bug.noRunOut && a.stage == leaving {
		n.desk.rejoin(n)
	}
	if is := a.here(); is != n.alone {
		n.alone, n.since = is, n.w.now
		n.w.log("%s goes on by itself: %v", n.name, is)
		if is {
			n.w.r.parted++
			return
		}
		for _, d := range n.w.devices {
			if d.sounds && d.by == n.name && d.byLife == n.life {
				n.w.bad(&n.w.r.overlaps, "%s sounds still, and %s is one of the others", d.id, n.name)
			}
		}
	}
}

// beside tells whether two plays may sound at once: one was granted by a node that goes
// on by itself, or has died then, the other by another one, or by a node that has
// reached the server since the first one has not.
func (w *nodeWorld) beside(x, y *nodeDevice) bool {
	one := func(x, y *nodeDevice) bool {
		n := w.nodeOf(x.by)
		return n != nil && (n.alone || n.life != x.byLife || !n.up) && (w.nodeOf(y.by) != nil || w.server.wrote > x.byDark)
	}
	return x.by != y.by && (one(x, y) || one(y, x))
}

// nodeOf is the node of that name; nil: all of them together.
func (w *nodeWorld) nodeOf(name string) *simNode {
	i := slices.IndexFunc(w.nodes, func(n *simNode) bool { return n.name == name })
	if i < 0 {
		return nil
	}
	return w.nodes[i]
}
