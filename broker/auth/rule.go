package auth

import (
	"errors"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// Rule allows or denies a topic filter.
type Rule struct {
	Deny   bool
	Filter string
}

// ParseRule reads a rule as the configuration has it: a topic filter, or "!"
// and a topic filter, which denies. Shared filters, and those of $SYS or
// another tenant, are no rules.
func ParseRule(text string) (Rule, error) {
	filter, deny := strings.CutPrefix(text, "!")
	switch {
	case !area.ValidFilter(filter) || len(filter) > 512:
		return Rule{}, errors.New("is not a topic filter, nor \"!\" and a topic filter")
	case filter[0] == '$' || filter[0] == '@':
		return Rule{}, errors.New("begins with $ or @, which nobody is given")
	}
	return Rule{Deny: deny, Filter: filter}, nil
}

// String is the inverse of [ParseRule].
func (r Rule) String() string {
	if r.Deny {
		return "!" + r.Filter
	}
	return r.Filter
}

// Covers tells whether every topic that filter matches is matched by rule too,
// both being valid topic filters.
func Covers(rule, filter string) bool {
	if dollar(filter) != dollar(rule) { // a wildcard in front does not match $
		return false
	}
	return covers(rule, filter)
}

func dollar(filter string) bool { return strings.HasPrefix(filter, "$") }

func covers(rule, filter string) bool {
	for first := true; ; first = false {
		r, rrest, rmore := strings.Cut(rule, "/")
		if r == "#" {
			return true
		}
		f, frest, fmore := strings.Cut(filter, "/")
		switch {
		case f == "#":
			// It matches the level above, and everything below: so must the rule.
			// In the first level there is none above: then "+/#" is the same.
			return first && r == "+" && rrest == "#"
		case r != "+" && r != f:
			return false
		case !rmore && !fmore:
			return true
		case rmore && !fmore:
			return rrest == "#"
		case !rmore:
			return false
		}
		rule, filter = rrest, frest
	}
}

// Overlaps tells whether some topic is matched by both, both being valid topic
// filters.
func Overlaps(x, y string) bool {
	if dollar(x) != dollar(y) {
		return false
	}
	for {
		a, arest, amore := strings.Cut(x, "/")
		b, brest, bmore := strings.Cut(y, "/")
		switch {
		case a == "#" || b == "#":
			return true
		case a != "+" && b != "+" && a != b:
			return false
		case !amore && !bmore:
			return true
		case amore && !bmore:
			return arest == "#"
		case !amore:
			return brest == "#"
		}
		x, y = arest, brest
	}
}
