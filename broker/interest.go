package broker

import (
	"strings"
	"sync"
	"sync/atomic"
)

// interest answers, for each message, whether any filter of a set matches its
// topic. It is asked before the message is acknowledged, so it allocates
// nothing, and costs a load where the set is empty. The zero value is empty.
type interest struct {
	count atomic.Int64

	mu   sync.RWMutex
	root level
}

// level is a node of the tree of filters.
type level struct {
	ends, rest int // filters that end here, and that end in "#" below
	next       map[string]*level
}

// add puts a filter in; shared ones count as the filter that is shared.
func (i *interest) add(filter string) { i.change(filter, 1) }

// remove takes one out that was added.
func (i *interest) remove(filter string) { i.change(filter, -1) }

func (i *interest) change(filter string, by int) {
	if rest, shared := cutShare(filter); shared {
		_, filter, _ = strings.Cut(rest, "/")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.root.change(filter, true, by)
	i.count.Add(int64(by))
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

// match tells whether a filter matches the topic.
func (i *interest) match(topic string) bool {
	if i.count.Load() == 0 {
		return false
	}
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.root.match(topic, true, !strings.HasPrefix(topic, "$")) // [MQTT-4.7.2-1]
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
