package arbiter

import "github.com/tacet-hub/tacet/broker/area"

// termStep is how many arbiters may have numbers of their own (§8.18).
const termStep = 64

// mostTerm is the last term whose tokens a JavaScript number holds exactly.
const mostTerm = uint64(area.MaxCounter/1_000_000) - 1

// nextTerm is the lowest term above heard that is congruent to index mod 64: no
// two arbiters ever take the same (§8.18).
func nextTerm(heard, index uint64) uint64 {
	t := heard + 1
	return t + (index+termStep-t%termStep)%termStep
}
