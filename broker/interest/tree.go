package interest

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Tree answers, for each message, whether any filter of a set matches its topic.
// It allocates nothing, and costs a load where the set is empty. The zero value is
// empty. It is safe for concurrent use.
type Tree struct {
	count atomic.Int64

	mu   sync.RWMutex
	root level
}

// level is a node of the tree of filters.
type level struct {
	ends, rest int // filters that end here, and that end in "#" below
	next       map[string]*level
}

// Add puts a filter in, once more where it is there; shared ones count as the
// filter that is shared.
func (t *Tree) Add(filter string) { t.change(filter, 1) }

// Remove takes one out that was added, once.
func (t *Tree) Remove(filter string) { t.change(filter, -1) }

func (t *Tree) change(filter string, by int) {
	filter = Unshared(filter)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.root.change(filter, true, by)
	t.count.Add(int64(by))
}

func (n *level) change(filter string, more bool, by int) {
	if !more {
		n.ends += by
		return
	}
	head, tail, more := strings.Cut(filter, "/")
	if head == "#" {
		n.rest += by
		return
	}
	child := n.next[head]
	if child == nil {
		child = &level{}
		if n.next == nil {
			n.next = map[string]*level{}
		}
		n.next[head] = child
	}
	child.change(tail, more, by)
	if child.ends == 0 && child.rest == 0 && len(child.next) == 0 {
		delete(n.next, head)
	}
}

// Match tells whether a filter matches the topic, as MQTT 5 §4.7 has it. It does not
// block.
func (t *Tree) Match(topic string) bool {
	if t.count.Load() == 0 {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.root.match(topic, true, !strings.HasPrefix(topic, "$")) // [MQTT-4.7.2-1]
}

func (n *level) match(topic string, more, wild bool) bool {
	if wild && n.rest > 0 {
		return true
	}
	if !more {
		return n.ends > 0
	}
	head, tail, more := strings.Cut(topic, "/")
	if child := n.next[head]; child != nil && child.match(tail, more, true) {
		return true
	}
	child := n.next["+"]
	return wild && child != nil && child.match(tail, more, true)
}
