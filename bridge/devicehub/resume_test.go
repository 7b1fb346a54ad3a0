package devicehub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
)

// streams shows one topic and one reading of each area, and then nothing.
type streams struct{}

func (streams) StreamTopics(ctx context.Context, filter string, _ int, send func(area.TopicValue) error) error {
	if err := send(area.TopicValue{Topic: filter, Payload: json.RawMessage("1")}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (streams) StreamReadings(ctx context.Context, perSecond int, fits func(area.Reading) bool, send func(area.Reading) error) error {
	if perSecond < 0 {
		return area.InvalidField("per_second", "%d is not 1 to 1000", perSecond)
	}
	for _, in := range []area.Name{"north", "south", area.Unassigned} {
		if r := (area.Reading{Area: in, Device: "d", Metric: "m", Value: 1.0}); fits(r) {
			if err := send(r); err != nil {
				return err
			}
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (streams) StreamOrders(ctx context.Context, in *area.Name, fits func(area.Order) bool, send func(area.Order) error) error {
	for _, a := range []area.Name{"north", "south"} {
		if o := (area.Order{Area: a}); fits(o) {
			if err := send(o); err != nil {
				return err
			}
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// alarms answers what a client was told on its group.
func alarms(c *signalrtest.Client) func() string {
	heard := make(chan string, 100)
	c.On("Alarm", func(args []json.RawMessage) { heard <- string(args[0]) })
	return func() string {
		synctest.Wait()
		var all []string
		for len(heard) > 0 {
			all = append(all, <-heard)
		}
		return strings.Join(all, " ")
	}
}

func joins(t *testing.T, c *signalrtest.Client, args ...any) (position, gap string) {
	t.Helper()
	raw, err := c.Invoke(t.Context(), "JoinGroup", args...)
	if err != nil {
		t.Fatal(err)
	}
	var at struct {
		Epoch  string
		Offset uint64
		Gap    bool
	}
	if err := json.Unmarshal(raw, &at); err != nil {
		t.Fatal(err)
	}
	p, _ := json.Marshal(map[string]any{"epoch": at.Epoch, "offset": at.Offset})
	return string(p), fmt.Sprint(at.Offset, at.Gap)
}

func TestComingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		other, sender := s.as("announcer"), s.as("operator")
		joins(t, other, "g") // so that somebody is always there
		say := func(n int) {
			t.Helper()
			if _, err := sender.Invoke(t.Context(), "SendToGroup", "g", "Alarm", n); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // of the bubble
		}
		viewer := s.as("viewer")
		heard := alarms(viewer)
		if _, got := joins(t, viewer, "g", "resume"); got != "0 true" {
			t.Errorf("who was never there: %s", got)
		}
		at, _ := joins(t, viewer, "g")
		say(1)
		if got := heard(); got != "1" {
			t.Errorf("heard %q", got)
		}
		_ = viewer.Close()
		synctest.Wait()
		say(2)
		say(3)

		back := s.as("viewer")
		heard = alarms(back)
		if _, got := joins(t, back, "g", "resume"); got != "3 false" || heard() != "2 3" {
			t.Errorf("resume: %s", got)
		}
		if _, got := joins(t, back, "g", json.RawMessage(at)); got != "3 false" || heard() != "1 2 3" {
			t.Errorf("from %s: %s", at, got)
		}
		if _, err := back.Invoke(t.Context(), "LeaveGroup", "g"); err != nil {
			t.Fatal(err)
		}
		say(4)
		if _, got := joins(t, back, "g", "resume"); got != "4 false" || heard() != "4" {
			t.Errorf("after leaving: %s", got)
		}
		if _, got := joins(t, back, "g", map[string]any{"epoch": "old", "offset": 2}); got != "4 true" || heard() != "" {
			t.Errorf("of another epoch: %s", got)
		}
		for _, since := range []any{7, "no", []int{1}, map[string]any{"epoch": "x"}, map[string]any{"epoch": "x", "offset": 1, "more": 1}} {
			if _, err := back.Invoke(t.Context(), "JoinGroup", "g", since); err == nil || !strings.Contains(err.Error(), "bad_request: ") {
				t.Errorf("since %v: %v", since, err)
			}
		}
	})
}

// TestLostClientIsSentAgain: what was sent to a client after it was heard last
// may not have arrived, so it comes again; what came before does not.
func TestLostClientIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		sender := s.program("", "", nil)
		device := s.program("gate-1", "north", "1")
		joins(t, device.Client, "g")
		say := func(n int) {
			t.Helper()
			if _, err := sender.Invoke(t.Context(), "SendToGroup", "g", "Alarm", n); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		say(1)
		time.Sleep(6 * time.Second)
		if _, err := device.Invoke(t.Context(), "Echo", 1); err != nil {
			t.Fatal(err)
		}
		say(2)
		say(3)
		device.Cut()
		synctest.Wait()
		say(4)
		back := s.program("gate-1", "north", "1")
		heard := alarms(back.Client)
		if _, got := joins(t, back.Client, "g", "resume"); got != "4 false" {
			t.Errorf("resume: %s", got)
		}
		if got := heard(); got != "2 3 4" {
			t.Errorf("heard %q, want what came after the device was heard", got)
		}
	})
}

func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		for _, c := range []struct{ who, method, arg, want string }{
			{"viewer", "StreamTopics", `"a/#"`, "a/#"},
			{"northern", "StreamTopics", `"a/#"`, "error forbidden"},
			{"gate-1", "StreamTopics", `"a/#"`, "error forbidden"},
			{"stranger", "StreamTopics", `"a/#"`, ""},
			{"guard", "StreamReadings", `{}`, "error forbidden"},
			{"viewer", "StreamReadings", `null`, "north south unassigned"},
			{"viewer", "StreamReadings", `{"area":"South"}`, "error unknown_area"},
			{"viewer", "StreamReadings", `{"area":"North Wing","device":"d","metric":"m"}`, "north"},
			{"viewer", "StreamReadings", `{"metric":"x"}`, ""},
			{"viewer", "StreamReadings", `{"metre":"x"}`, "error bad_request"},
			{"northern", "StreamReadings", `{}`, "north"},
			{"northern", "StreamReadings", `{"area":"south"}`, "error forbidden"},
			{"gate-1", "StreamReadings", `{}`, "north"},
			{"stranger", "StreamReadings", `{}`, ""},
			{"viewer", "StreamOrders", `null`, "north south"},
			{"viewer", "StreamOrders", `"North Wing"`, "north"},
			{"viewer", "StreamOrders", `"nowhere"`, "error unknown_area"},
			{"northern", "StreamOrders", `null`, "north"},
			{"northern", "StreamOrders", `"south"`, "error forbidden"},
			{"stranger", "StreamOrders", `null`, ""},
			{"stranger", "StreamOrders", `"north"`, "error unknown_area"},
			{"guard", "StreamOrders", `null`, "error forbidden"},
			{"viewer", "StreamAuditLog", `"default"`, "error forbidden"},
			{"admin", "StreamAuditLog", `"default"`, "error not_found"},
		} {
			if got := s.watches(t, c.who, c.method, json.RawMessage(c.arg)); got != c.want {
				t.Errorf("%s %s(%s): got %q, want %q", c.who, c.method, c.arg, got, c.want)
			}
		}
		if got := s.watches(t, "viewer", "StreamReadings", json.RawMessage("{}"), -1); got != "error invalid" {
			t.Errorf("a bad rate: %s", got)
		}
	})
}

// watches calls a stream as somebody and answers what it shows at first.
func (s *site) watches(t *testing.T, who, method string, args ...any) string {
	t.Helper()
	c := s.as(who)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := c.Stream(ctx, method, args...)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan string, 10)
	go func() {
		defer close(shown)
		for {
			raw, err := stream.Next(ctx)
			if err != nil {
				_, text, _ := strings.Cut(err.Error(), "HubException: ")
				if code, _, ok := strings.Cut(text, ":"); ok {
					shown <- "error " + code
				}
				return
			}
			var item struct{ Topic, Area string }
			_ = json.Unmarshal(raw, &item)
			shown <- item.Topic + item.Area
		}
	}()
	synctest.Wait()
	var all []string
	for len(shown) > 0 {
		all = append(all, <-shown)
	}
	return strings.Join(all, " ")
}
