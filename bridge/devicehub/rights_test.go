package devicehub_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

// persons are who may connect in these tests, by their token; who has none is
// in open mode.
var persons = map[string]auth.Principal{
	"guard":     {Name: "guard", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{"guard"}, Areas: []string{"*"}},
	"viewer":    {Name: "viewer", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleViewer}, Areas: []string{"*"}},
	"announcer": {Name: "announcer", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleAnnouncer}, Areas: []string{"*"}},
	"operator":  {Name: "operator", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleOperator}, Areas: []string{"*"}},
	"northern":  {Name: "northern", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleOperator}, Areas: []string{"north"}},
	"gate-1":    {Name: "gate-1", Kind: auth.KindDevice, Tenant: auth.DefaultTenant, Area: "north", Attributes: map[string]string{"hall": "A"}},
	"stranger":  {Name: "stranger", Kind: auth.KindUser, Tenant: "acme", Roles: []string{auth.RoleAdmin}, Areas: []string{"*"}},
	"neighbour": {Name: "neighbour", Kind: auth.KindUser, Tenant: "acme", Roles: []string{auth.RoleViewer}, Areas: []string{"*"}},
}

func authenticate(r *http.Request) (signalr.Principal, error) {
	name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	p, ok := persons[name]
	switch {
	case ok:
	case strings.Contains(name, "@"): // an address: a viewer, whose name no group can have
		p = persons["viewer"]
		p.Name = name
	default:
		return signalr.Principal{}, nil
	}
	return signalr.Principal{Name: p.Tenant + "/" + p.Name, Roles: p.Roles, Claims: map[string]any{"p": p}}, nil
}

func connected(c *signalr.Conn) auth.Principal {
	if p, ok := c.Principal().Claims["p"].(auth.Principal); ok {
		return p
	}
	return auth.Anonymous()
}

// as connects as somebody.
func (s *site) as(name string) *signalrtest.Client {
	s.t.Helper()
	c, err := signalrtest.Dial(s.t.Context(), "http://hub/hubs/devices", signalrtest.Options{NetDial: s.pipe.Dial, AccessToken: name})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	synctest.Wait()
	return c
}

// TestRights calls everything as everybody. A case names who may; the others
// are refused with one of the codes.
func TestRights(t *testing.T) {
	everybody := []string{"guard", "viewer", "announcer", "operator", "northern", "gate-1", "stranger", "neighbour"}
	ours := []string{"viewer", "announcer", "operator", "northern", "gate-1"}
	all := []string{"viewer", "announcer", "operator"}
	here := map[string]any{"to": map[string]string{"area": "north"}, "message": "x"}
	for _, c := range []struct {
		method string
		args   []any
		may    []string
	}{
		{"Echo", []any{1}, everybody},
		{"GetAreas", nil, everybody},
		{"GetArea", []any{"north"}, ours},
		{"GetArea", []any{"south"}, all},
		{"JoinArea", []any{"north"}, ours},
		{"JoinArea", []any{"south"}, all},
		{"JoinArea", []any{"*"}, everybody}, // of those that they see
		{"GetPresence", []any{"tenant"}, append(ours, "stranger", "neighbour")},
		{"GetPresence", []any{"area:north"}, ours},
		{"GetPresence", []any{"group:user:viewer"}, []string{"viewer"}},

		{"JoinGroup", []any{"g"}, append(ours, "stranger", "neighbour")},
		{"JoinGroup", []any{"topics"}, append(all, "stranger", "neighbour")},          // a stranger's is another
		{"JoinGroup", []any{"alerts"}, []string{"operator", "stranger", "neighbour"}}, // a stranger's is another
		{"SendToGroup", []any{"alerts", "Event", 1}, []string{"operator", "stranger"}},
		{"JoinGroup", []any{"area:north"}, ours},
		{"JoinGroup", []any{"user:viewer"}, []string{"viewer"}},
		{"JoinGroup", []any{"role:viewer"}, []string{"viewer", "neighbour"}},
		{"JoinGroup", []any{"tenant:default"}, append(ours, "guard")},
		{"JoinGroup", []any{"doc:x"}, nil},
		{"SendToGroup", []any{"g", "Event", 1}, []string{"announcer", "operator", "northern", "gate-1", "stranger"}},
		{"SendToGroup", []any{"area:north", "Event", 1}, []string{"announcer", "operator", "northern", "gate-1"}},
		{"SendToGroup", []any{"area:south", "Event", 1}, []string{"announcer", "operator"}},
		{"SendToGroup", []any{"user:viewer", "Event", 1}, []string{"operator", "stranger"}},
		{"SendToGroup", []any{"role:viewer", "Event", 1}, []string{"operator", "stranger"}},
		{"SendToGroup", []any{"tenant:default", "Event", 1}, []string{"operator"}},

		{"Announce", []any{here}, []string{"announcer", "operator", "northern"}},
		{"Announce", []any{map[string]any{"to": map[string]string{"area": "south"}, "message": "x"}}, []string{"announcer", "operator"}},
		{"StopArea", []any{"north"}, []string{"operator", "northern"}},
		{"StopArea", []any{"south"}, []string{"operator"}},
		{"StopAll", nil, []string{"operator", "stranger"}}, // who stops nothing

		{"ReceiveDeviceConnected", []any{"gate-1", "north", "1"}, []string{"operator", "northern", "gate-1"}},
		{"ReceiveDeviceConnected", []any{"gate-1", "North Wing", 1}, []string{"operator", "northern", "gate-1"}},
		{"ReceiveDeviceConnected", []any{"gate-1", "south", "3"}, []string{"operator"}},
		{"ReceiveDeviceConnected", []any{"gate-1", "Brand New", "7"}, []string{"operator"}},
		{"ReceiveDeviceConnected", []any{"gate-1", "North", "7"}, []string{"operator"}}, // not north: an id is made of it as it is
		{"ReceiveDeviceConnected", []any{"gate-2", "north", "2"}, []string{"operator", "northern"}},
	} {
		t.Run(c.method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for name := range persons {
					s := newSite(t)
					_, err := s.as(name).Invoke(t.Context(), c.method, c.args...)
					switch may := slices.Contains(c.may, name); {
					case may && err != nil:
						t.Errorf("%s%v as %s: %v", c.method, c.args, name, err)
					case !may && (err == nil || !strings.Contains(err.Error(), "forbidden") && !strings.Contains(err.Error(), "unknown_area")):
						t.Errorf("%s%v as %s: %v, want a refusal", c.method, c.args, name, err)
					}
				}
			})
		})
	}
}

// TestCancelOrderByRight: an order is of its area.
func TestCancelOrderByRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		south, text := "south", "x"
		o, err := s.orders.Accept(t.Context(), area.OrderRequest{To: area.To{Area: &south}, Message: &text}, order.By{})
		if err != nil {
			t.Fatal(err)
		}
		for name, code := range map[string]string{"viewer": "forbidden", "northern": "forbidden", "gate-1": "forbidden", "stranger": "not_found"} {
			if _, err := s.as(name).Invoke(t.Context(), "CancelOrder", string(o.ID)); err == nil || !strings.Contains(err.Error(), code) {
				t.Errorf("as %s: %v, want %s", name, err, code)
			}
		}
		if _, err := s.as("announcer").Invoke(t.Context(), "CancelOrder", string(o.ID)); err != nil {
			t.Error(err)
		}
	})
}

// TestTenantsDoNotMeet: a group of one tenant is another than the group of that
// name of another, and neither sees who is there of the other.
func TestTenantsDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		ours, theirs := s.as("operator"), s.as("stranger")
		heard := map[string][]string{}
		for name, c := range map[string]*signalrtest.Client{"ours": ours, "theirs": theirs} {
			c.On("Event", func(args []json.RawMessage) { heard[name] = append(heard[name], string(args[0])) })
			for _, g := range []string{"g", "topics"} {
				if _, err := c.Invoke(t.Context(), "JoinGroup", g); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, c := range []*signalrtest.Client{ours, theirs} {
			for _, g := range []string{"g", "topics", "role:admin", "user:operator"} {
				if _, err := c.Invoke(t.Context(), "SendToGroup", g, "Event", i); err != nil {
					t.Fatalf("%d to %s: %v", i, g, err)
				}
				synctest.Wait()
			}
		}
		if got := fmt.Sprint(heard); got != "map[ours:[0 0 0] theirs:[1 1 1]]" {
			t.Errorf("heard %s", got)
		}
		if want := []string{`g Event [0]`, `topics Event [0]`, `role:admin Event [0]`, `user:operator Event [0]`}; !slices.Equal(s.sent, want) {
			t.Errorf("mirrored %q, want %q", s.sent, want)
		}
		for name, c := range map[string]*signalrtest.Client{"operator": ours, "stranger": theirs} {
			raw, err := c.Invoke(t.Context(), "GetPresence", "tenant")
			if err != nil || strings.Count(string(raw), "connection_id") != 1 || !strings.Contains(string(raw), `"user":"`+name+`"`) {
				t.Errorf("%s sees %s, %v", name, raw, err)
			}
		}
		if raw, err := theirs.Invoke(t.Context(), "StopAll"); err != nil || string(raw) != `{"stopped":[],"cancelled":[]}` {
			t.Errorf("a stranger stops %s, %v", raw, err)
		}
		if raw, err := theirs.Invoke(t.Context(), "GetAreas"); err != nil || string(raw) != "[]" {
			t.Errorf("a stranger gets the areas %s, %v", raw, err)
		}
	})
}

// TestClose: a connection is ended by who runs the area that its device is in.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		gate, viewer := s.as("gate-1"), s.as("viewer")
		if _, err := gate.Invoke(t.Context(), "ReceiveDeviceConnected", "gate-1", "north", 1); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			by   string
			conn *signalrtest.Client
			want area.Code
		}{
			{"viewer", gate, area.CodeForbidden}, {"stranger", gate, area.CodeNotFound}, {"northern", viewer, area.CodeForbidden},
			{"northern", gate, ""}, {"operator", viewer, ""}, {"operator", viewer, area.CodeNotFound},
		} {
			if err := s.Close(t.Context(), persons[c.by], c.conn.ID()); area.CodeOf(err) != c.want {
				t.Errorf("%s closes %s: %v, want %s", c.by, c.conn.ID(), err, c.want)
			}
			if synctest.Wait(); c.want == "" {
				<-c.conn.Closed()
			}
		}
	})
}

// TestSomeAreas: who may see some areas gets those by "*", and the attributes of
// a token are a connection's.
func TestSomeAreas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		c := s.as("northern")
		raw, err := c.Invoke(t.Context(), "JoinArea", "*")
		if err != nil || !strings.Contains(string(raw), `"id":"north"`) || strings.Contains(string(raw), `"id":"south"`) {
			t.Fatalf("joined %s, %v", raw, err)
		}
		gate := s.as("gate-1")
		if _, err := gate.Invoke(t.Context(), "ReceiveDeviceConnected", "gate-1", "north", 1); err != nil {
			t.Fatal(err)
		}
		for _, scope := range []string{"area:north", "attr:hall=A", "user:gate-1"} {
			if raw, err := c.Invoke(t.Context(), "GetPresence", scope); err != nil || !strings.Contains(string(raw), `"device":"gate-1"`) || !strings.Contains(string(raw), `"hall":"A"`) {
				t.Errorf("%s: %s, %v", scope, raw, err)
			}
		}
	})
}
