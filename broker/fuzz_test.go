package broker

import (
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/interest"
)

// FuzzFilters holds what decides who gets a message, the library's tree with
// the filters that we add to a client's, against the definition of a match.
func FuzzFilters(f *testing.F) {
	for _, c := range [][2]string{
		{"a/b", "a/b"}, {"x/+/#", "x/y"}, {"+/#", "a"}, {"#", "$SYS/a"}, {"+/a", "$x/a"}, {"a/#", "a"}, {"a//+", "a//"}, {"/+", "/"}, {"$share/g/+/#", "a"}, {"+", ""},
	} {
		f.Add(c[0], c[1])
	}
	b := &Broker{cfg: Config{}.withDefaults()}
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if !b.validFilter(filter) || !b.validTopic(topic) || mqtt.IsSharedFilter(topic) {
			return
		}
		tree := mqtt.NewTopicsIndex()
		tree.Subscribe("gate-1", packets.Subscription{Filter: filter})
		if parent, ok := parentOf(filter); ok {
			tree.Subscribe("gate-1", packets.Subscription{Filter: parent})
		}
		subs := tree.Subscribers(topic)
		got := len(subs.Subscriptions) + len(subs.Shared)
		if want := area.MatchFilter(interest.Unshared(filter), topic); (got > 0) != want {
			t.Errorf("filter %q, topic %q: %d matches, want one: %t", filter, topic, got, want)
		}
		var i interest.Tree
		i.Add(filter)
		if i.Match(topic) != (got > 0) {
			t.Errorf("filter %q, topic %q: interest says %t", filter, topic, i.Match(topic))
		}
		if i.Remove(filter); i.Match(topic) {
			t.Errorf("filter %q is not gone", filter)
		}
	})
}
