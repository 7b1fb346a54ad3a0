package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// spectator writes down what a stream sends.
type spectator[T any] struct {
	mu  sync.Mutex
	got []T
	at  []time.Time
}

func (s *spectator[T]) send(v T) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.at = append(s.got, v), append(s.at, time.Now())
	return nil
}

func (s *spectator[T]) list() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func TestStreamTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		w.publish(t, "a/x", "1")
		w.publish(t, "b/x", "1")
		synctest.Wait()
		var s spectator[area.TopicValue]
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.pump.StreamTopics(ctx, "a/#", 0, s.send) }()
		synctest.Wait()
		if got := s.list(); len(got) != 1 || got[0].Topic != "a/x" {
			t.Fatalf("at the beginning: %v", got)
		}
		// 5 s of two topics at 1,000 a second, and one word of a third.
		for n := range 5000 {
			w.publish(t, "a/x", fmt.Sprint(n))
			w.publish(t, "a/y", fmt.Sprint(n))
			w.publish(t, "b/x", fmt.Sprint(n))
			if n == 2500 {
				w.publish(t, "a/once", "1")
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		got := s.list()
		if n := len(got); n < 95 || n > 105 {
			t.Errorf("%d in 5 s, want 20 a second", n)
		}
		newest, once := map[string]string{}, 0
		for i, v := range got {
			if i > 1 && s.at[i].Sub(s.at[i-1]) < 50*time.Millisecond {
				t.Errorf("%d and %d are %v apart", i-1, i, s.at[i].Sub(s.at[i-1]))
			}
			if newest[v.Topic] = string(v.Payload); v.Topic == "a/once" {
				once++
			}
		}
		if once != 1 || newest["a/x"] != "4999" || newest["a/y"] != "4999" || newest["b/x"] != "" {
			t.Errorf("once %d times, newest %v", once, newest)
		}
		if sampled := w.pump.Stats().ViewsSampled; int(sampled)+len(got) != 10_002 {
			t.Errorf("%d left out and %d sent", sampled, len(got))
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if len(*w.pump.views.topics.Load()) != 0 {
			t.Error("the view is still there")
		}
	})
}

func TestStreamReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		w.publish(t, "home/north/hall/temperature", "20")
		w.publish(t, "home/north/hall/humidity", "50")
		synctest.Wait()
		var s spectator[area.Reading]
		go func() {
			_ = w.pump.StreamReadings(t.Context(), 1000, func(r area.Reading) bool { return r.Metric == "temperature" },
				func() []area.Reading { return w.reg.ReadingsOf("hall") }, s.send)
		}()
		synctest.Wait()
		w.publish(t, "home/north/hall/temperature", "21")
		w.publish(t, "home/north/hall/humidity", "51")
		w.publish(t, "home/south/yard/temperature", "5")
		time.Sleep(time.Second)
		synctest.Wait()
		got := ""
		for _, r := range s.list() {
			got += fmt.Sprint(r.Device, " ", r.Value, "; ")
		}
		if want := "hall 20; hall 21; yard 5; "; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestStreamsRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		var s spectator[area.TopicValue]
		for _, c := range []struct {
			filter string
			rate   int
		}{{"a/#/b", 0}, {"a", -1}, {"a", 1001}} {
			if err := w.pump.StreamTopics(t.Context(), c.filter, c.rate, s.send); area.CodeOf(err) != area.CodeInvalid {
				t.Errorf("%v: %v", c, err)
			}
		}
		for range viewsMost {
			go func() { _ = w.pump.StreamTopics(t.Context(), "a", 0, s.send) }()
		}
		synctest.Wait()
		if err := w.pump.StreamTopics(t.Context(), "a", 0, s.send); area.CodeOf(err) != area.CodeRate {
			t.Errorf("one too many: %v", err)
		}
	})
}

// TestViewIsBounded: what has waited longest goes.
func TestViewIsBounded(t *testing.T) {
	w := &views{}
	v := newView(1, &w.sampledOut, func(string) bool { return true }, func(s string) string { return s })
	for n := range viewKeys + 1 {
		v.offer(fmt.Sprint(n))
	}
	if first, _ := v.take(); first != "1" || w.sampledOut.Load() != 1 || len(v.wait) != viewKeys-1 {
		t.Errorf("first %s, %d out, %d wait", first, w.sampledOut.Load(), len(v.wait))
	}
}
