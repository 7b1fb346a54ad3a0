package backplane

import "cmp"

// Eldest is the one of the nodes that live of which there is to be one: of those that
// fit the one that has lived longest, so that who comes later changes nothing. All nodes
// that see the same list agree. False: none fits.
func Eldest(list []Node, fits func(Node) bool) (eldest Node, ok bool) {
	for _, n := range list {
		if fits(n) && (!ok || cmp.Or(n.Since.Compare(eldest.Since), cmp.Compare(n.Name, eldest.Name)) < 0) {
			eldest, ok = n, true
		}
	}
	return eldest, ok
}
