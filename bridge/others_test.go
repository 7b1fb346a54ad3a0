package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// country is the nodes of a hub, each a world of its own.
type country struct {
	mu     sync.Mutex
	worlds map[string]*world
	want   map[string]map[string]int // how many want the notes on a topic, by node
}

// link is the others of one node.
type link struct {
	*country
	node string
}

// newCountry makes the worlds of nodes.
func newCountry(t *testing.T, names ...string) *country {
	t.Helper()
	c := &country{worlds: map[string]*world{}, want: map[string]map[string]int{}}
	for _, name := range names {
		w := newWorldAmong(t, newBus(), link{c, name}, newWatcher())
		t.Cleanup(w.close)
		c.mu.Lock()
		c.worlds[name], c.want[name] = w, map[string]int{}
		c.mu.Unlock()
	}
	return c
}

// elsewhere are the other worlds.
func (l link) elsewhere() map[string]*world {
	l.mu.Lock()
	defer l.mu.Unlock()
	others := map[string]*world{}
	for name, w := range l.worlds {
		if name != l.node {
			others[name] = w
		}
	}
	return others
}

func (l link) wants(node, topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.want[node][topic] > 0
}

func (l link) Want(topic string, on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.want[l.node][topic]--; on {
		l.want[l.node][topic] += 2
	}
}

func (l link) Wanted(topic string) bool {
	for node := range l.elsewhere() {
		if l.wants(node, topic) {
			return true
		}
	}
	return false
}

func (l link) Say(topic string, note []byte) {
	for node, w := range l.elsewhere() {
		if l.wants(node, topic) {
			w.pump.Noted(l.node, topic, note)
		}
	}
}

func (l link) Await(context.Context) {}

func (l link) Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	var cancels []func()
	for node, w := range l.elsewhere() {
		cancel, err := w.bus.Subscribe(filter, func(m area.Message) {
			if m.Node = node; !m.Replay {
				enqueue(m)
			}
		})
		if err != nil {
			return nil, err
		}
		cancels = append(cancels, cancel)
	}
	return func() {
		for _, cancel := range cancels {
			cancel()
		}
	}, nil
}

func (l link) Ask(ctx context.Context, question []byte, more func(node string, answer []byte, err error) []byte) {
	for node, w := range l.elsewhere() {
		if node == "mute" {
			<-ctx.Done()
			more(node, nil, ctx.Err())
			continue
		}
		for q := question; q != nil; {
			answer, err := w.pump.Answer(ctx, q)
			q = more(node, answer, err)
		}
	}
}

// The group of topics at one node gets a sample of those of all, 20 a second at most,
// while it has a member there; what it got from others goes no further.
func TestTheSampleOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCountry(t, "a", "b")
		a, b := c.worlds["a"], c.worlds["b"]
		synctest.Wait()
		a.publish(t, "x/before", "1")
		time.Sleep(time.Second)
		if got := b.hub.of(GroupTopics, eventTopic); len(got) != 0 || a.pump.Stats().Notes+b.pump.Stats().Notes != 0 {
			t.Errorf("nobody wants topics at b, which gets %v", got)
		}
		link{c, "b"}.Want(NoteTopics, true)
		link{c, "a"}.Want(NoteTopics, true)
		for i := range 200 { // each 100 a second
			a.publish(t, fmt.Sprint("x/a", i%7), fmt.Sprint(i))
			b.publish(t, fmt.Sprint("x/b", i%7), fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		for name, w := range c.worlds {
			got := w.hub.of(GroupTopics, eventTopic)
			of := map[string]int{}
			for i := range got {
				if i >= 20 && got[i].at.Sub(got[i-20].at) <= time.Second {
					t.Errorf("%s: 21 topics in %v", name, got[i].at.Sub(got[i-20].at))
				}
				for _, node := range []string{"a", "b"} {
					if strings.Contains(got[i].args, `"topic":"x/`+node) {
						of[node]++
					}
				}
			}
			if of["a"] < 10 || of["b"] < 10 {
				t.Errorf("%s shows %v", name, of)
			}
			if n := w.pump.Stats().Notes; n < 10 || n > 60 { // with what went round there would be ever more
				t.Errorf("%s has got %d notes", name, n)
			}
		}
		b.pump.Noted("a", NoteTopics, []byte("{"))
		synctest.Wait()
		if s := b.pump.Stats(); s.NotesUnread != 1 {
			t.Errorf("a note that cannot be read: %+v", s)
		}
	})
}

// The list of topics and a stream of them have those of all nodes, each once and the
// newest, in however many pages they come.
func TestTopicsOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCountry(t, "a", "b")
		a, b := c.worlds["a"], c.worlds["b"]
		synctest.Wait()
		b.publish(t, "x/both", "old")
		time.Sleep(time.Millisecond)
		a.publish(t, "x/both", "new")
		large := strings.Repeat("x", 100<<10)
		for i := range 30 {
			a.publish(t, fmt.Sprintf("x/%02d", i), large)
		}
		a.publish(t, "x/huge", strings.Repeat("x", listMost+1))
		b.publish(t, "x/own", "1")
		synctest.Wait()
		items, missing, err := b.pump.Topics(t.Context(), "x/#")
		must(t, err)
		if len(items) != 32 || missing != nil || items[29].Topic != "x/29" || items[30].Topic != "x/both" || string(items[30].Payload) != `"new"` || items[31].Topic != "x/own" {
			t.Errorf("b lists %d topics, and misses those of %v", len(items), missing)
		}
		if n := a.pump.Stats().TopicsUnknown; n == 0 {
			t.Error("a topic that is too large for the way is not counted")
		}
		var s spectator[area.TopicValue]
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.pump.StreamTopics(ctx, "x/+", 100, s.send) }()
		synctest.Wait()
		a.publish(t, "x/live", "of a")
		b.publish(t, "x/live too", "of b")
		a.publish(t, "y/live", "of nobody")
		time.Sleep(time.Second)
		synctest.Wait()
		got := map[string]int{}
		for _, v := range s.list() {
			got[v.Topic]++
		}
		if len(got) != 34 || got["x/live"] != 1 || got["x/live too"] != 1 || got["x/both"] != 1 {
			t.Errorf("the stream has sent %v", got)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := a.pump.Answer(t.Context(), []byte(`{"filter":"#/x"}`)); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("a question with a bad filter: %v", err)
		}
	})
}

// A node that does not answer holds the list up for two seconds; that it is missing is
// told, and counted.
func TestTopicsOfAMuteNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCountry(t, "a", "mute")
		a := c.worlds["a"]
		a.publish(t, "x", "1")
		synctest.Wait()
		begin := time.Now()
		items, missing, err := a.pump.Topics(t.Context(), "#")
		must(t, err)
		if took := time.Since(begin); len(items) != 1 || !slices.Equal(missing, []string{"mute"}) || took != listTime || a.pump.Stats().TopicsUnknown != 1 {
			t.Errorf("%d topics without those of %v after %v, %+v", len(items), missing, took, a.pump.Stats())
		}
	})
}
