package bridge

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// listTime bounds how long the list of topics waits for other nodes.
const listTime = 2 * time.Second

// listBytes is about how much one answer to another node has; a topic with more than
// listMost does not go there.
const (
	listBytes = 512 << 10
	listMost  = 640 << 10 // in base64 less than a wire takes
)

// Topics is the newest value of each topic that a filter matches, at whichever node it
// came in, by topic name. It blocks until the other nodes have answered, for two
// seconds, or until ctx ends; of those that have not, or not to the end, what they retain
// is there, they are missing, by name, and that is counted ([Stats].TopicsUnknown). Its
// error is an [area.Error] of code invalid. The list is never nil.
func (p *Pump) Topics(ctx context.Context, filter string) (list []area.TopicValue, missing []string, err error) {
	if !area.ValidFilter(filter) {
		return nil, nil, area.InvalidField("filter", "%q is no topic filter", filter)
	}
	list, missing = p.list(ctx, filter)
	return list, missing, nil
}

// list is Topics of a valid filter.
func (p *Pump) list(ctx context.Context, filter string) (list []area.TopicValue, missing []string) {
	own := p.topics.list(filter, p.Retained)
	ctx, stop := context.WithTimeout(ctx, listTime)
	defer stop()
	var others []area.TopicValue
	p.Others.Ask(ctx, encode(listQuestion{Filter: filter}), func(node string, answer []byte, err error) []byte {
		var page listAnswer
		if err == nil {
			err = json.Unmarshal(answer, &page)
		}
		if err != nil {
			p.count.topicsUnknown.Add(1)
			p.log.Debug("topics of another node are not known", "node", node, "err", err)
			missing = append(missing, node)
			return nil
		}
		others = append(others, page.Items...)
		if !page.More || len(page.Items) == 0 {
			return nil
		}
		return encode(listQuestion{filter, page.Items[len(page.Items)-1].Topic})
	})
	slices.Sort(missing)
	return newestOf(own, others), missing
}

// newestOf joins lists of topics: of each the newest value, by topic name. One that is
// of no known time is older than any other.
func newestOf(own, others []area.TopicValue) []area.TopicValue {
	if len(others) == 0 {
		return own
	}
	all := make(map[string]area.TopicValue, len(own)+len(others))
	for _, v := range own {
		all[v.Topic] = v
	}
	for _, v := range others {
		was, ok := all[v.Topic]
		if ok && was.TS >= v.TS {
			continue
		}
		if ok {
			v.Retained = was.Retained // which this node knows
		}
		all[v.Topic] = v
	}
	items := make([]area.TopicValue, 0, len(all))
	for _, topic := range slices.Sorted(maps.Keys(all)) {
		items = append(items, all[topic])
	}
	return items
}

// listQuestion asks a node for its topics behind one, and listAnswer is a page of them.
type listQuestion struct {
	Filter string `json:"filter"`
	After  string `json:"after,omitempty"`
}

type listAnswer struct {
	Items []area.TopicValue `json:"items"`
	More  bool              `json:"more,omitempty"`
}

// Answer answers a question of another node's pump: what has come in here, live. It is
// safe for concurrent use.
func (p *Pump) Answer(_ context.Context, question []byte) ([]byte, error) {
	var q listQuestion
	if err := json.Unmarshal(question, &q); err != nil || !area.ValidFilter(q.Filter) {
		return nil, area.InvalidField("filter", "is no topic filter")
	}
	found := p.topics.matching(q.Filter)
	found = slices.DeleteFunc(found, func(m sampled) bool { return m.Topic <= q.After || m.Node != "" || m.Replay })
	slices.SortFunc(found, func(x, y sampled) int { return strings.Compare(x.Topic, y.Topic) })
	page, size := listAnswer{Items: []area.TopicValue{}}, 0
	for i, m := range found {
		if len(m.Topic)+len(m.Payload) > listMost {
			p.count.topicsUnknown.Add(1)
			continue
		}
		page.Items = append(page.Items, show(m))
		if size += len(m.Topic) + len(m.Payload) + 64; size > listBytes && i+1 < len(found) {
			page.More = true
			break
		}
	}
	return json.Marshal(page)
}
