package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// Bounds of what one message may become.
const (
	MaxPayload = 64 << 10 // bytes of a payload that is read
	MaxValues  = 256      // readings of one message
	MaxEvents  = 16       // events of one message
	maxDepth   = 16       // nesting of a JSON payload
	maxName    = 128      // bytes of a metric, a channel or an event (DESIGN.md §3.6, Names)
	maxRules   = 10_000   // of an operator
)

// Table is compiled rules. It does not change and is safe for concurrent use.
type Table struct {
	root     node
	operator int // rules of lower rank are the operator's
}

// node is one level in the tree of all patterns.
type node struct {
	next map[string]*node // literal levels
	any  *node            // + or a capture
	here []*rule          // patterns that end here
	rest []*rule          // patterns that end in # below here
}

// Compile makes a table of the operator's rules, in their order, and, behind
// them, of the built-in ones. Its error names every fault of every rule.
func Compile(operator []Rule) (*Table, error) {
	if len(operator) > maxRules {
		return nil, fmt.Errorf("%d mappings, at most %d", len(operator), maxRules)
	}
	t, faults := &Table{operator: len(operator)}, []error{}
	for i, r := range append(slices.Clone(operator), Builtin()...) {
		c, err := compile(r, i)
		if err != nil {
			faults = append(faults, fmt.Errorf("mapping %d (%s): %w", i+1, r.Topic, err))
			continue
		}
		t.root.add(c.levels, c)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return t, nil
}

func (n *node) add(levels []string, r *rule) {
	switch {
	case len(levels) == 0:
		n.here = append(n.here, r)
	case levels[0] == "#":
		n.rest = append(n.rest, r)
	case levels[0] == "+":
		if n.any == nil {
			n.any = new(node)
		}
		n.any.add(levels[1:], r)
	default:
		if n.next == nil {
			n.next = map[string]*node{}
		}
		if n.next[levels[0]] == nil {
			n.next[levels[0]] = new(node)
		}
		n.next[levels[0]].add(levels[1:], r)
	}
}

// collect appends the rules that match the levels below n.
func (n *node) collect(levels []string, found []*rule) []*rule {
	found = append(found, n.rest...)
	if len(levels) == 0 {
		return append(found, n.here...)
	}
	if c := n.next[levels[0]]; c != nil {
		found = c.collect(levels[1:], found)
	}
	if n.any != nil {
		found = n.any.collect(levels[1:], found)
	}
	return found
}

// match appends the rules for a topic, by rank. Wildcards in the first level
// do not match "$…" [MQTT-4.7.2-1].
func (t *Table) match(levels []string, found []*rule) []*rule {
	if strings.HasPrefix(levels[0], "$") {
		if c := t.root.next[levels[0]]; c != nil {
			found = c.collect(levels[1:], found)
		}
	} else {
		found = t.root.collect(levels, found)
	}
	slices.SortFunc(found, func(a, b *rule) int { return a.rank - b.rank })
	return found
}

// forTopic finds what rules say of a topic: the one that makes its readings,
// the operator's or else a built-in one, or nil, and those that make events.
func (t *Table) forTopic(levels []string, found []*rule) (own, builtin *rule, events []*rule) {
	events = found[:0]
	for _, r := range t.match(levels, found) {
		switch {
		case r.format == None:
		case r.rank >= t.operator && builtin == nil:
			builtin = r
		case r.rank < t.operator && own == nil && levels[0] != area.Root: // of "#" our own topics are none
			own = r
		}
		if len(r.group) > 0 {
			events = append(events, r)
		}
	}
	return own, builtin, events
}

func splitLevels(into []string, topic string) []string {
	for {
		level, rest, more := strings.Cut(topic, "/")
		into = append(into, level)
		if !more {
			return into
		}
		topic = rest
	}
}

// event adds what r says to a group.
func (out *Outcome) event(r *rule, levels []string) {
	if len(out.Events) >= MaxEvents {
		out.Faults.add(Many)
		return
	}
	group, err := area.ParseGroup(r.group.render(levels))
	event := r.event.render(levels)
	if err != nil || !isName(event) || group.Reserved() && area.HubEvent(event) {
		out.Faults.add(Name)
		return
	}
	captures := make(map[string]string, len(r.captures))
	for name, level := range r.captures {
		captures[name] = levels[level]
	}
	out.Events = append(out.Events, Event{Group: group, Event: event, Captures: captures})
}

// isName tells whether s can be a metric, a channel or an event: 1 to 128
// bytes of UTF-8 without control characters, as the ids of sensors.
func isName(s string) bool {
	if len(s) == 0 || len(s) > maxName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return false
		}
	}
	return true
}
