package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// Suggest is ", nearest is X" where a known key is near to the one written,
// else what there is to choose from.
func Suggest(wrong string, known map[string]int) string {
	names := slices.Sorted(maps.Keys(known))
	if best := Nearest(wrong, names); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return fmt.Sprintf("; known are %q", names)
}

// Nearest is the first of the names that differs least from the one written; empty where
// each differs in more than half of it, or in all of it.
func Nearest(wrong string, names []string) (best string) {
	least := len(wrong)/2 + 2
	for _, name := range names {
		if n := distance(wrong, name); n < least && n < max(len(wrong), len(name)) {
			best, least = name, n
		}
	}
	return best
}

// distance counts the letters to add, take away, change or swap with their
// neighbour to make b out of a.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

// Detail is an error's text without the code that the wire would carry.
func Detail(err error) string {
	if e, ok := errors.AsType[*area.Error](err); ok {
		return e.Detail
	}
	return err.Error()
}
