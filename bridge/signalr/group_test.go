package signalr_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

func TestMemberThatHearsSomeEventsAlone(t *testing.T) {
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.Handle("Choose", func(_ context.Context, c *signalr.Call) (any, error) {
			_, err := c.Conn().JoinFor("g", func(event string) bool { return event == "Loud" })
			return nil, err
		})
		s.Handle("All", func(_ context.Context, c *signalr.Call) (any, error) {
			at, err := c.Conn().Join("g")
			return at, err
		})
	})
	c, heard := h.dial(t, signalrtest.Options{}), make(chan string, 8)
	for _, event := range []string{"Loud", "Quiet"} {
		c.On(event, func([]json.RawMessage) { heard <- event })
	}
	call := func(method string) json.RawMessage {
		t.Helper()
		raw, err := c.Invoke(t.Context(), method)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	call("Choose")
	if n := h.Group("g").Send("Quiet"); n != 0 {
		t.Errorf("an event that nobody hears was queued for %d", n)
	}
	h.Group("g").Send("Loud")
	if got := <-heard; got != "Loud" {
		t.Errorf("heard %s first, want Loud alone", got)
	}
	if len(h.Members("g")) != 1 {
		t.Error("the member is not listed")
	}
	var at signalr.Position
	if err := json.Unmarshal(call("All"), &at); err != nil || at.Offset != 2 {
		t.Errorf("position %+v %v, want every event counted", at, err)
	}
	h.Group("g").Send("Quiet")
	if got := <-heard; got != "Quiet" {
		t.Errorf("after Join heard %s, want Quiet", got)
	}
}

// TestGroupOfClientsOfBothProtocols: clients of both encodings, over all
// transports that carry them, are members of one group; each hears everything,
// in the one order of the group.
func TestGroupOfClientsOfBothProtocols(t *testing.T) {
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.Method("Join", signalr.Do0(func(_ context.Context, c *signalr.Call) error { _, err := c.Conn().Join("g"); return err }))
		s.Method("Say", signalr.Do1(func(_ context.Context, _ *signalr.Call, what protocol.Value) error {
			s.Group("g").Send("Said", what)
			return nil
		}))
	})
	const each = 100
	members := []struct {
		by   signalrtest.Transport
		in   protocol.Codec
		says any
	}{
		{signalrtest.WebSockets, protocol.JSON, map[string]any{"a": []any{1, "x", nil}}},
		{signalrtest.WebSockets, protocol.MessagePack, map[string]any{"b": []byte{1, 2, 3}}},
		{signalrtest.ServerSentEvents, protocol.JSON, "text\nof two lines"},
		{signalrtest.LongPolling, protocol.MessagePack, uint64(1 << 60)},
	}
	clients, heard := make([]*signalrtest.Client, len(members)), make([]chan string, len(members))
	for i, m := range members {
		clients[i] = h.dial(t, signalrtest.Options{Transport: m.by, Protocol: m.in})
		heard[i] = make(chan string, each*len(members))
		clients[i].On("Said", func(args []json.RawMessage) { heard[i] <- string(args[0]) })
		if _, err := clients[i].Invoke(t.Context(), "Join"); err != nil {
			t.Fatal(err)
		}
	}
	var saying sync.WaitGroup
	for i, m := range members {
		saying.Go(func() {
			for range each {
				if err := clients[i].Send(t.Context(), "Say", m.says); err != nil {
					t.Error(err)
				}
			}
		})
	}
	saying.Wait()
	count := make(map[string]int)
	for n := range each * len(members) {
		first := <-heard[0]
		count[first]++
		for i := range heard[1:] {
			if got := <-heard[i+1]; got != first {
				t.Fatalf("event %d: member %d heard %s, the first %s", n, i+1, got, first)
			}
		}
	}
	for _, want := range []string{`{"a":[1,"x",null]}`, `{"b":"AQID"}`, `"text\nof two lines"`, `1152921504606846976`} {
		if count[want] != each {
			t.Errorf("%s came %d times, want %d: %v", want, count[want], each, count)
		}
	}
}
