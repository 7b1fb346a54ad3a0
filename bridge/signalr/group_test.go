package signalr_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
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
