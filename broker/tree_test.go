package broker

import (
	"slices"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// TestTreeExpires: what has expired goes, and what has taken its place stays.
func TestTreeExpires(t *testing.T) {
	put := func(tr *tree, topic, payload string, version byte, expiry int64) {
		tr.put(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: topic, Payload: []byte(payload), ProtocolVersion: version, Expiry: expiry,
		})
	}
	tr := newTree()
	put(&tr, "a/gone", "x", 5, 10)
	put(&tr, "a/later", "x", 5, 20)
	put(&tr, "a/never", "x", 5, 0)
	put(&tr, "a/old", "x", 4, 10) // 3.1.1 has no expiry
	put(&tr, "a/replaced", "x", 5, 10)
	put(&tr, "a/replaced", "y", 5, 0)
	put(&tr, "a/cleared", "x", 5, 10)
	put(&tr, "a/cleared", "", 5, 10)
	left := func() (topics []string) {
		for _, pk := range tr.all.Messages("a/#") {
			topics = append(topics, pk.TopicName)
		}
		slices.Sort(topics)
		return topics
	}
	for _, c := range []struct {
		now        int64
		gone, left []string
	}{
		{10, nil, []string{"a/gone", "a/later", "a/never", "a/old", "a/replaced"}},
		{11, []string{"a/gone"}, []string{"a/later", "a/never", "a/old", "a/replaced"}},
		{30, []string{"a/later"}, []string{"a/never", "a/old", "a/replaced"}},
	} {
		if gone := tr.takeExpired(c.now); !slices.Equal(gone, c.gone) || !slices.Equal(left(), c.left) || tr.len() != len(c.left) {
			t.Errorf("at %d: %v gone, %v left, want %v and %v", c.now, gone, left(), c.gone, c.left)
		}
	}
	if len(tr.due) != 0 {
		t.Errorf("still waited for: %v", tr.due)
	}
}
