package devicehub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// TestSendAtAllNodes: what is sent to a user, a connection, a tenant or a group by one
// node goes to all who are meant, wherever they are, and they are counted.
func TestSendAtAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		heard := map[string]func() string{}
		clients := map[string]*signalrtest.Client{}
		for name, at := range map[string]*resident{"viewer 1": a, "viewer 2": b, "gate-1 2": b, "guard 2": b, "stranger 1": a} {
			who, _, _ := strings.Cut(name, " ")
			clients[name] = at.as(who)
			heard[name] = alarms(clients[name])
		}
		joins(t, clients["viewer 1"], "g")
		joins(t, clients["gate-1 2"], "g")
		joins(t, clients["stranger 1"], "g")
		time.Sleep(2 * time.Second)
		operator, stranger := persons["operator"], persons["stranger"]
		admin := operator
		admin.Roles = []string{auth.RoleAdmin}
		for i, c := range []struct {
			by   auth.Principal
			to   devicehub.Receiver
			who  string // "" in front of a code: refused
			code area.Code
		}{
			{operator, devicehub.Receiver{User: "viewer"}, "viewer 1, viewer 2", ""},
			{operator, devicehub.Receiver{User: "nobody@all"}, "", ""},
			{stranger, devicehub.Receiver{User: "viewer"}, "", ""}, // of his own tenant
			{operator, devicehub.Receiver{Group: "g"}, "viewer 1, gate-1 2", ""},
			{stranger, devicehub.Receiver{Group: "g"}, "stranger 1", ""},
			{operator, devicehub.Receiver{Connection: clients["guard 2"].ID()}, "guard 2", ""},
			{operator, devicehub.Receiver{Connection: clients["viewer 1"].ID()}, "viewer 1", ""},
			{admin, devicehub.Receiver{Tenant: "default"}, "viewer 1, viewer 2, gate-1 2, guard 2", ""},
			{stranger, devicehub.Receiver{Tenant: "acme"}, "stranger 1", ""},
			{operator, devicehub.Receiver{Tenant: "default"}, "", area.CodeForbidden},
			{admin, devicehub.Receiver{Tenant: "acme"}, "", area.CodeNotFound},
			{persons["announcer"], devicehub.Receiver{User: "viewer"}, "", area.CodeForbidden},
			{persons["northern"], devicehub.Receiver{Connection: clients["viewer 1"].ID()}, "", area.CodeForbidden},
			{stranger, devicehub.Receiver{Connection: clients["viewer 1"].ID()}, "", area.CodeNotFound},
			{operator, devicehub.Receiver{Connection: "gone.hub-2"}, "", area.CodeNotFound},
		} {
			want := map[string]bool{}
			for name := range strings.SplitSeq(c.who, ", ") {
				want[name] = name != ""
			}
			for _, from := range []*resident{a, b} {
				n, err := from.Send(c.by, c.to, "Alarm", []any{i})
				if area.CodeOf(err) != c.code && (err != nil || c.code != "") {
					t.Errorf("%s to %+v: %v, want %q", c.by.Name, c.to, err, c.code)
				}
				time.Sleep(2 * time.Second)
				there := 0
				for name, h := range heard {
					got := h()
					if (got == fmt.Sprint(i)) != want[name] || got != "" && !want[name] {
						t.Errorf("%s to %+v: %s heard %q", c.by.Name, c.to, name, got)
					}
					if want[name] {
						there++
					}
				}
				if n != there {
					t.Errorf("%s to %+v: %d connections, want %d", c.by.Name, c.to, n, there)
				}
			}
		}
	})
}

// TestEventsOfTheHubAlone: by no way does somebody pass off news of his own as the hub's.
func TestEventsOfTheHubAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		for _, c := range []struct {
			to    devicehub.Receiver
			event string
			code  area.Code
		}{
			{devicehub.Receiver{Group: "area:north"}, "AreaChanged", area.CodeForbidden},
			{devicehub.Receiver{Group: "area:north"}, "Alarm", ""},
			{devicehub.Receiver{Group: "g"}, "AreaChanged", ""},
			{devicehub.Receiver{User: "viewer"}, "ReceiveNotification", ""}, // which needs the right to operate
		} {
			if _, err := s.Send(persons["operator"], c.to, c.event, nil); area.CodeOf(err) != c.code && (err != nil || c.code != "") {
				t.Errorf("%s to %+v: %v, want %q", c.event, c.to, err, c.code)
			}
		}
	})
}

// TestInvokeAtAllNodes: clients of both nodes answer, one says no, one says nothing.
func TestInvokeAtAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		answers := func(c *signalrtest.Client, f func() (any, error)) string {
			c.Answer("Identify", func([]json.RawMessage) (any, error) { return f() })
			joins(t, c, "g")
			return c.ID()
		}
		one := answers(a.as("viewer"), func() (any, error) { return "one", nil })
		no := answers(b.as("announcer"), func() (any, error) { return nil, signalrtest.Error("not I") })
		hold := make(chan struct{})
		defer close(hold)
		silent := answers(b.as("gate-1"), func() (any, error) { <-hold; return nil, nil })
		two := answers(b.as("viewer"), func() (any, error) { return 2, nil })
		time.Sleep(2 * time.Second)

		ask := func(from *resident, to devicehub.Receiver) string {
			t.Helper()
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			list, err := from.InvokeAll(ctx, persons["operator"], to, "Identify", nil)
			if err != nil {
				t.Error(err)
			}
			var all []string
			for _, id := range []string{one, no, silent, two} {
				for _, r := range list {
					if r.ConnectionID != nil && *r.ConnectionID == id {
						all = append(all, string(r.Result)+r.Error)
					}
				}
			}
			if len(all) != len(list) {
				t.Errorf("%+v has others than were asked", list)
			}
			return strings.Join(all, ", ")
		}
		for _, from := range []*resident{a, b} {
			for to, want := range map[devicehub.Receiver]string{
				{Group: "g"}: `"one", not I, no answer in time, 2`, {User: "viewer"}: `"one", 2`, {Connection: two}: "2", {Connection: one}: `"one"`, {User: "nobody"}: "",
			} {
				if got := ask(from, to); got != want {
					t.Errorf("%+v from %s: %s, want %s", to, from.name, got, want)
				}
			}
			for to, want := range map[devicehub.Receiver]string{
				{User: "announcer"}: "no_answer: ", {User: "nobody"}: "no_answer: nobody is there", {Connection: silent}: "no_answer: no answer in time",
			} {
				ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
				if r, err := from.InvokeOne(ctx, persons["operator"], to, "Identify", nil); err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%+v: %+v, %v, want %s", to, r, err, want)
				}
				stop()
			}
			r, err := from.InvokeOne(t.Context(), persons["operator"], devicehub.Receiver{Connection: one}, "Identify", nil)
			if err != nil || *r.ConnectionID != one || string(r.Result) != `"one"` {
				t.Errorf("one: %+v, %v", r, err)
			}
		}
	})
}
