package external

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
)

// kept is what the broker retains, as far as it is known: bounded in topics and
// bytes; what is beyond is left out and counted.
type kept struct {
	most, mostBytes int
	unkept          atomic.Uint64

	mu    sync.Mutex // guards what follows
	all   map[string]area.Message
	bytes int
}

func newKept(most, mostBytes int) *kept {
	return &kept{most: most, mostBytes: mostBytes, all: map[string]area.Message{}}
}

// put takes a message: one that is retained, or one on a topic of which something
// is. Whether a live one of somebody else's is retained the broker does not say;
// it is taken for that where one before it was.
func (k *kept) put(m area.Message, retained bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was, known := k.all[m.Topic]
	if !retained && !known && area.ParseTopic(m.Topic).Kind != area.KindStatus {
		return
	}
	if known {
		k.bytes -= len(was.Topic) + len(was.Payload)
		delete(k.all, m.Topic)
	}
	if len(m.Payload) == 0 {
		return
	}
	if len(k.all) >= k.most || k.bytes+len(m.Topic)+len(m.Payload) > k.mostBytes {
		k.unkept.Add(1)
		return
	}
	m.Retain, m.Replay, m.Reply = true, true, nil
	k.all[m.Topic] = m
	k.bytes += len(m.Topic) + len(m.Payload)
}

func (k *kept) list(filter string, most int) []area.Message {
	k.mu.Lock()
	var list []area.Message
	for topic, m := range k.all {
		if area.MatchFilter(filter, topic) {
			list = append(list, m)
		}
	}
	k.mu.Unlock()
	slices.SortFunc(list, func(a, b area.Message) int { return cmp.Compare(a.Topic, b.Topic) })
	if most > 0 && len(list) > most {
		list = list[:most]
	}
	return list
}
